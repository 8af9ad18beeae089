internal import Channel
internal import FoundationEssentials
internal import Yams

/// An MSP folder's `config.yaml`: which organizational units mean what.
///
/// - Source: Fabric v3.1, `msp` package, `Configuration`.
struct UnitConfiguration {
    struct Unit {
        var name: String
        /// Path of the certifier's certificate, relative to the MSP folder; empty if there is none.
        var certificate: String
    }

    var required: [Unit] = []
    var isEnabled = false
    var roles: [(NodeRole, Unit)] = []

    init(yaml: Data, file: String) throws(AuthorityError) {
        let root: Node?
        do {
            root = try Yams.compose(yaml: String(decoding: yaml, as: UTF8.self))
        } catch {
            throw AuthorityError(.malformed, "\(file) is not YAML: \(error)")
        }
        guard let root else { return }
        for entry in root["OrganizationalUnitIdentifiers"]?.sequence.map(Array.init) ?? [] {
            self.required.append(Self.unit(entry))
        }
        guard let nodeOUs = root["NodeOUs"], nodeOUs.mapping != nil else { return }
        if let flag = nodeOUs["Enable"] {
            guard let value = flag.bool else {
                let line = flag.mark.map { ":\($0.line)" } ?? ""
                throw AuthorityError(.malformed, "\(file)\(line): NodeOUs.Enable must be true or false")
            }
            self.isEnabled = value
        }
        for (role, key) in Self.keys {
            guard let node = nodeOUs[key] else { continue }
            let unit = Self.unit(node)
            if !unit.name.isEmpty { self.roles.append((role, unit)) }
        }
    }

    private static let keys: [(NodeRole, String)] = [
        (.client, "ClientOUIdentifier"), (.peer, "PeerOUIdentifier"), (.admin, "AdminOUIdentifier"),
        (.orderer, "OrdererOUIdentifier"),
    ]

    private static func unit(_ node: Node) -> Unit {
        Unit(
            name: node["OrganizationalUnitIdentifier"]?.string ?? "",
            certificate: node["Certificate"]?.string ?? ""
        )
    }

    /// The text of a `config.yaml` that tells the four roles apart, vouched for by one certificate.
    static func text(certificate: String) -> Data {
        var text = "NodeOUs:\n    Enable: true\n"
        for (role, key) in Self.keys {
            text += "    \(key):\n        Certificate: \(certificate)\n"
            text += "        OrganizationalUnitIdentifier: \(role.rawValue)\n"
        }
        return Data(text.utf8)
    }
}
