internal import Channel
internal import Cryptography

/// An organization whose identities an authority issues.
package struct Organization: Sendable, Codable {
    /// Fields of the names of the organization's certificates; empty ones are left out.
    package struct Place: Sendable, Codable {
        package var country = ""
        package var province = ""
        package var locality = ""
        package var organizationalUnit = ""
        package var streetAddress = ""
        package var postalCode = ""

        package init() {}

        /// The attributes before the common name, in Fabric's order.
        var attributes: [DistinguishedName.Attribute] {
            let pairs: [(String, (String) -> DistinguishedName.Attribute)] = [
                (self.country, DistinguishedName.Attribute.country),
                (self.province, DistinguishedName.Attribute.province),
                (self.locality, DistinguishedName.Attribute.locality),
                (self.streetAddress, DistinguishedName.Attribute.streetAddress),
                (self.postalCode, DistinguishedName.Attribute.postalCode),
            ]
            return pairs.filter { !$0.0.isEmpty }.map { $0.1($0.0) }
        }
    }

    /// The domain under which its nodes and users are named, such as `utility.example.com`.
    package var domain: String
    /// The name of its MSP, such as `UtilityMSP`.
    package var mspID: String
    /// The name of the enrollment authority; the TLS authority's has `tls` before it.
    package var authorityName: String
    package var place = Place()
    /// Whether roles are told apart by organizational units; else administrators are listed.
    package var hasNodeOUs = true
    /// The kind of the enrollment authority's key; that of TLS is always P-256, which every TLS library knows.
    package var keyKind = KeyKind.p256

    /// The kinds of key, as written to files.
    package enum KeyKind: String, Sendable, Codable, CaseIterable {
        case p256 = "ecdsa"
        case ed25519

        var kind: PrivateKey.Kind {
            switch self {
            case .p256: .p256
            case .ed25519: .ed25519
            }
        }
    }

    /// - Throws: ``AuthorityError`` if a name is empty or cannot be part of a path.
    package init(domain: String, mspID: String, authorityName: String? = nil) throws(AuthorityError) {
        self.domain = try Self.checkName(domain, "domain")
        do throws(InvalidName) {
            self.mspID = try MSPID(mspID).description
        } catch {
            throw AuthorityError(.invalidRequest, "\(error)")
        }
        self.authorityName = try Self.checkName(authorityName ?? "ca.\(domain)", "authority name")
    }

    var tlsAuthorityName: String { "tls" + self.authorityName }

    /// Names become folders and files, and common names (at most 64 characters, RFC 5280, A.1).
    static func checkName(_ name: String, _ what: String) throws(AuthorityError) -> String {
        let isPlain = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): true
            default: ".-_@".utf8.contains(byte)
            }
        }
        guard isPlain, !name.isEmpty, !name.hasPrefix("."), name.utf8.count <= 64 else {
            throw AuthorityError(
                .invalidRequest,
                """
                the \(what) \"\(name)\" cannot be used; it must have 1 to 64 of the characters \
                a-z, A-Z, 0-9, '.', '-', '_' and '@', and not begin with '.'
                """
            )
        }
        return name
    }
}
