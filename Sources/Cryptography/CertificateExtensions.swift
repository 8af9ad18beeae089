package import FoundationEssentials
internal import SwiftASN1

/// What a certificate's key may be used for (RFC 5280, 4.2.1.3).
package struct KeyUsage: OptionSet, Sendable, Hashable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    // Bit i of the extension is bit i here.
    package static let digitalSignature = Self(rawValue: 1 << 0)
    package static let keyEncipherment = Self(rawValue: 1 << 2)
    package static let certificateSigning = Self(rawValue: 1 << 5)
    package static let revocationListSigning = Self(rawValue: 1 << 6)
}

/// A purpose in the extended key usage extension, by its object identifier.
package struct ExtendedKeyUsage: Sendable, Hashable {
    package var identifier: String
    package init(identifier: String) { self.identifier = identifier }

    package static let any = Self(identifier: "2.5.29.37.0")
    package static let serverAuthentication = Self(identifier: "1.3.6.1.5.5.7.3.1")
    package static let clientAuthentication = Self(identifier: "1.3.6.1.5.5.7.3.2")
}

/// A name in the subject alternative name extension (RFC 5280, 4.2.1.6).
package enum GeneralName: Sendable, Hashable, CustomStringConvertible {
    case dns(String)
    case email(String)
    case uri(String)
    /// 4 or 16 bytes; in name constraints an address and a mask of the same length.
    case address(Data)
    /// A kind that is not looked at.
    case other

    package var description: String {
        switch self {
        case .dns(let name): name
        case .email(let name): name
        case .uri(let name): name
        case .address(let bytes): Self.text(of: bytes)
        case .other: "other"
        }
    }

    private static func text(of bytes: Data) -> String {
        if bytes.count == 4 { return bytes.map(String.init).joined(separator: ".") }
        let bytes = Array(bytes)
        return stride(from: 0, to: bytes.count - 1, by: 2)
            .map { String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16) }
            .joined(separator: ":")
    }
}

extension GeneralName {
    init(_ node: ASN1Node) throws {
        switch node.identifier {
        case .context(1): self = .email(try Self.ascii(node))
        case .context(2): self = .dns(try Self.ascii(node))
        case .context(6): self = .uri(try Self.ascii(node))
        case .context(7): self = .address(Data(try node.primitiveContents()))
        default: self = .other
        }
    }

    private static func ascii(_ node: ASN1Node) throws -> String {
        let bytes = try node.primitiveContents()
        guard bytes.allSatisfy({ $0 < 0x80 }) else { throw DERFault.invalid("a name is not ASCII") }
        return String(decoding: bytes, as: UTF8.self)
    }

    func serialize(into serializer: inout DER.Serializer) {
        let (tag, bytes): (UInt, [UInt8]) =
            switch self {
            case .email(let name): (1, Array(name.utf8))
            case .dns(let name): (2, Array(name.utf8))
            case .uri(let name): (6, Array(name.utf8))
            case .address(let address): (7, Array(address))
            case .other: (2, [])
            }
        serializer.appendPrimitiveNode(identifier: .context(tag)) { $0 += bytes }
    }
}

/// The subtrees that a CA's name constraints extension permits and excludes (RFC 5280, 4.2.1.10).
package struct NameConstraints: Sendable, Hashable {
    package var permitted: [GeneralName] = []
    package var excluded: [GeneralName] = []
}

/// The extensions of a certificate that matter here.
///
/// - Source: which extensions are understood, and what makes one malformed, follows Go's `crypto/x509`, since
///   peers must agree on which certificates are accepted.
struct CertificateExtensions {
    var isCA = false
    var hasBasicConstraints = false
    /// The most intermediate CAs below this one; `nil` if unlimited.
    var maximumPathLength: Int?
    var keyUsage: KeyUsage?
    var extendedKeyUsages: [ExtendedKeyUsage]?
    var subjectAlternativeNames: [GeneralName]?
    var subjectKeyIdentifier: Data?
    var authorityKeyIdentifier: Data?
    var nameConstraints: NameConstraints?
    var hasUnknownCritical = false

    init() {}

    init(_ node: ASN1Node) throws {
        var list = try DERCursor(node)
        var seen: Set<ASN1ObjectIdentifier> = []
        while !list.isAtEnd {
            var fields = try DERCursor(list.next())
            let identifier = try fields.objectIdentifier()
            let isCritical =
                if let flag = fields.next(if: .boolean) { try Bool(derEncoded: flag) } else { false }
            let bytes = try ASN1OctetString(derEncoded: fields.next()).bytes
            guard seen.insert(identifier).inserted else {
                throw DERFault.invalid("extension \(identifier) occurs twice")
            }
            // What is not understood need not be DER: Fabric CA keeps attributes there, as JSON.
            if ObjectIdentifier.understoodExtensions.contains(identifier) {
                try self.read(identifier, isCritical: isCritical, DER.parse(bytes))
            } else if isCritical {
                self.hasUnknownCritical = true
            }
        }
    }

    private mutating func read(
        _ identifier: ASN1ObjectIdentifier,
        isCritical: Bool,
        _ value: ASN1Node
    ) throws {
        switch identifier {
        case ObjectIdentifier.basicConstraints: try self.readBasicConstraints(value)
        case ObjectIdentifier.keyUsage: try self.readKeyUsage(value)
        case ObjectIdentifier.extendedKeyUsage: try self.readExtendedKeyUsages(value)
        case ObjectIdentifier.subjectAlternativeName:
            let names = try Self.names(value)
            self.subjectAlternativeNames = names
            if isCritical, names.allSatisfy({ $0 == .other }) { self.hasUnknownCritical = true }
        case ObjectIdentifier.subjectKeyIdentifier:
            try Self.forbidCritical(isCritical, "subject key identifier")
            self.subjectKeyIdentifier = Data(try ASN1OctetString(derEncoded: value).bytes)
        case ObjectIdentifier.authorityKeyIdentifier:
            try Self.forbidCritical(isCritical, "authority key identifier")
            self.authorityKeyIdentifier = try Self.keyIdentifier(value)
        case ObjectIdentifier.nameConstraints:
            let constraints = try Self.constraints(value)
            self.nameConstraints = constraints
            let isPartlyUnknown = (constraints.permitted + constraints.excluded).contains(.other)
            if isCritical, isPartlyUnknown { self.hasUnknownCritical = true }
        case ObjectIdentifier.authorityInformationAccess:
            try Self.forbidCritical(isCritical, "authority information access")
        default:
            // Policies are read by whoever asks for them, which members' chains don't.
            break
        }
    }

    private static func forbidCritical(_ isCritical: Bool, _ name: String) throws {
        guard !isCritical else { throw DERFault.invalid("the \(name) extension must not be critical") }
    }

    private mutating func readBasicConstraints(_ value: ASN1Node) throws {
        var fields = try DERCursor(value)
        self.hasBasicConstraints = true
        if let flag = fields.next(if: .boolean) { self.isCA = try Bool(derEncoded: flag) }
        if let length = fields.next(if: .integer) {
            let bytes = try length.nonNegativeInteger()
            guard bytes.count <= 4 else { throw DERFault.invalid("the path length is too large") }
            self.maximumPathLength = bytes.reduce(0) { $0 << 8 | Int($1) }
        }
    }

    private mutating func readKeyUsage(_ value: ASN1Node) throws {
        let bits = try ASN1BitString(derEncoded: value)
        var usage: UInt16 = 0
        for (index, byte) in bits.bytes.prefix(2).enumerated() {
            for bit in 0..<8 where byte & (0x80 >> UInt8(bit)) != 0 { usage |= 1 << UInt16(index * 8 + bit) }
        }
        self.keyUsage = KeyUsage(rawValue: usage)
    }

    private mutating func readExtendedKeyUsages(_ value: ASN1Node) throws {
        var purposes = try DERCursor(value)
        var usages: [ExtendedKeyUsage] = []
        while !purposes.isAtEnd {
            usages.append(ExtendedKeyUsage(identifier: try purposes.objectIdentifier().description))
        }
        self.extendedKeyUsages = usages
    }

    private static func names(_ value: ASN1Node) throws -> [GeneralName] {
        var fields = try DERCursor(value)
        var names: [GeneralName] = []
        while !fields.isAtEnd {
            let name = try GeneralName(fields.next())
            if case .address(let bytes) = name, bytes.count != 4, bytes.count != 16 {
                throw DERFault.invalid("an IP address has \(bytes.count) bytes")
            }
            names.append(name)
        }
        return names
    }

    static func keyIdentifier(_ value: ASN1Node) throws -> Data? {
        var fields = try DERCursor(value)
        return try fields.next(if: .context(0)).map { Data(try $0.primitiveContents()) }
    }

    private static func constraints(_ value: ASN1Node) throws -> NameConstraints {
        var fields = try DERCursor(value)
        var constraints = NameConstraints()
        if let permitted = fields.next(if: .context(0)) {
            constraints.permitted = try Self.subtrees(permitted)
        }
        if let excluded = fields.next(if: .context(1)) { constraints.excluded = try Self.subtrees(excluded) }
        guard !constraints.permitted.isEmpty || !constraints.excluded.isEmpty else {
            throw DERFault.invalid("the name constraints are empty")
        }
        return constraints
    }

    private static func subtrees(_ node: ASN1Node) throws -> [GeneralName] {
        var fields = try DERCursor(node, node.identifier)
        var names: [GeneralName] = []
        while !fields.isAtEnd {
            var subtree = try DERCursor(fields.next())
            let name = try GeneralName(subtree.next())
            if case .address(let bytes) = name, bytes.count != 8, bytes.count != 32 {
                throw DERFault.invalid("an IP constraint has \(bytes.count) bytes")
            }
            names.append(name)
        }
        return names
    }
}
