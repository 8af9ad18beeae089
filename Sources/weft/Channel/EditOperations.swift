import CertificateAuthority
import Channel
import Cryptography
import FabricProtos
import Foundation

/// The operations of `weft channel edit` as words on a command line: `set-batch max-messages=100 timeout=500ms`.
struct EditOperation {
    /// The operation's name.
    var name: String
    /// `key=value`, in order; a key may come more than once.
    private var values: [(key: String, value: String)]

    /// Every operation: its name, its keys (those that must be given first), and what it does.
    static let catalog: [(name: String, keys: String, purpose: String)] = [
        (
            "add-org",
            "name= msp=FOLDER msp-id= [section=application|orderer] [anchor=HOST:PORT] [endpoint=HOST:PORT]",
            "a new organization with the usual policies"
        ),
        ("remove-org", "org= [section=application|orderer]", "an organization leaves"),
        ("replace-msp", "msp=FOLDER msp-id=", "another MSP of the same identifier, wherever it is listed"),
        ("add-crl", "org= file=", "revocation lists (PEM) into the organization's MSP"),
        ("revoke", "org= authority=FOLDER name=", "weft ca revoke, and the list into the organization's MSP"),
        ("set-anchor", "org= [peer=HOST:PORT ...]", "the organization's anchor peers; none takes them off"),
        (
            "set-policy", "path=/Channel/... rule=",
            "a policy, such as \"MAJORITY Admins\" or \"OR('Org1MSP.admin')\""
        ),
        ("remove-policy", "path=/Channel/...", "a policy is taken off"),
        ("set-mod-policy", "path=/Channel/... policy=", "who may change a group, value or policy"),
        ("set-acl", "resource= policy=PATH|default", "who may use a resource of the peers"),
        (
            "set-capability", "level=channel|orderer|application name= [required=yes|no]",
            "what nodes must be able to do"
        ),
        (
            "set-batch", "[max-messages=] [absolute-bytes=] [preferred-bytes=] [timeout=]",
            "when a block is full, and how long it waits"
        ),
        (
            "add-consenter",
            "address=HOST:PORT client-cert=FILE server-cert=FILE [id= msp-id= identity=FILE]",
            "an ordering node (the last three on a BFT channel)"
        ),
        ("remove-consenter", "address=HOST:PORT", "an ordering node leaves"),
        (
            "set-consenter-certificates", "address=HOST:PORT [client-cert=FILE] [server-cert=FILE]",
            "renewed TLS certificates of an ordering node"
        ),
        (
            "set-bft-options",
            EditOperation.bftOptions.map { "[\($0.key)=]" }.joined(separator: " "),
            "how the consenters of a BFT channel keep time, and how much they keep"
        ),
        (
            "set-maintenance", "mode=on|off",
            "only orderers' organizations may send and read, so that the consensus type can change"
        ),
        (
            "change-to-bft", "consenter=HOST:PORT,NUMBER,MSP-ID,FILE ... [leader-timeout=]",
            "a Raft channel in maintenance mode becomes BFT; each consenter gets a number and its certificate"
        ),
        ("add-orderer-endpoint", "org= address=HOST:PORT", "an address where blocks can be had"),
        ("remove-orderer-endpoint", "org= address=HOST:PORT", "such an address is taken off"),
    ]

    static var help: String {
        Self.catalog.map { "  \($0.name) \($0.keys)\n      \($0.purpose)" }.joined(separator: "\n")
    }

    /// Reads operations: each begins with its name, then come its `key=value`s.
    static func parse(_ words: [String]) throws(Failure) -> [EditOperation] {
        var operations: [EditOperation] = []
        for word in words {
            if let equals = word.firstIndex(of: "="), !operations.isEmpty {
                let key = String(word[..<equals])
                let name = operations[operations.count - 1].name
                guard Self.keys(of: name).contains(key) else {
                    throw Failure(
                        "\(name) has no \"\(key)\"; it takes \(Self.catalog.first { $0.name == name }?.keys ?? "")",
                        code: .usage
                    )
                }
                operations[operations.count - 1].values.append(
                    (key, String(word[word.index(after: equals)...]))
                )
            } else {
                guard Self.catalog.contains(where: { $0.name == word }) else {
                    throw Failure(
                        "\"\(word)\" is no operation; operations are:\n\(Self.help)",
                        code: .usage
                    )
                }
                operations.append(EditOperation(name: word, values: []))
            }
        }
        return operations
    }

    private static func keys(of name: String) -> [String] {
        let keys = Self.catalog.first { $0.name == name }?.keys ?? ""
        return keys.split(whereSeparator: { " []".contains($0) }).compactMap { word in
            word.firstIndex(of: "=").map { String(word[..<$0]) }
        }
    }

    // MARK: - Values

    private func all(_ key: String) -> [String] { self.values.filter { $0.key == key }.map(\.value) }

    func optional(_ key: String) throws(Failure) -> String? {
        let found = self.all(key)
        guard found.count <= 1 else {
            throw Failure("\(self.name): \(key) is given \(found.count) times; give it once", code: .usage)
        }
        guard found.first?.isEmpty != true else {
            throw Failure("\(self.name): \(key) is empty", code: .usage)
        }
        return found.first
    }

    private func required(_ key: String) throws(Failure) -> String {
        guard let value = try self.optional(key) else {
            throw Failure(
                "\(self.name) needs \(key)=; it takes \(Self.catalog.first { $0.name == self.name }?.keys ?? "")",
                code: .usage
            )
        }
        return value
    }

    func optional<Value>(
        _ key: String,
        _ expected: String,
        _ read: (String) -> Value?
    ) throws(Failure) -> Value? {
        guard let text = try self.optional(key) else { return nil }
        guard let value = read(text) else {
            throw Failure("\(self.name): \(key)=\(text) is not \(expected)", code: .usage)
        }
        return value
    }

    private func address(_ text: String) throws(Failure) -> (host: String, port: Int) {
        guard configuredAddress(text) != nil, let colon = text.lastIndex(of: ":"),
            let port = Int(text[text.index(after: colon)...])
        else { throw Failure("\(self.name): \"\(text)\" is not host:port", code: .usage) }
        return (String(text[..<colon]), port)
    }

    private var section: ConfigurationEdit.Section {
        get throws(Failure) {
            try self.optional("section", "application or orderer") {
                ["application": .application, "orderer": ConfigurationEdit.Section.orderer][$0]
            } ?? .application
        }
    }
}

// MARK: - Edits

extension EditOperation {
    /// The change that the words ask for; reads the files that they name.
    func edit(now: Date) throws -> ConfigurationEdit {
        switch self.name {
        case "add-org": return try self.addition()
        case "remove-org": return .removeOrganization(try self.required("org"), from: try self.section)
        case "replace-msp": return .replaceMSP(try self.msp())
        case "add-crl":
            return .addRevocationList(
                try readArgument(self.required("file"), as: "a revocation list"),
                of: try self.required("org")
            )
        case "revoke": return try self.revocation(now: now)
        case "set-anchor":
            let peers = try self.all("peer").map { text in
                let (host, port) = try self.address(text)
                return ApplicationOrganization.AnchorPeer(host: host, port: port)
            }
            return .setAnchorPeers(peers, of: try self.required("org"))
        case "set-policy":
            return .setPolicy(path: try self.required("path"), Self.policy(try self.required("rule")))
        case "remove-policy": return .removePolicy(path: try self.required("path"))
        case "set-mod-policy":
            return .setModificationPolicy(path: try self.required("path"), try self.required("policy"))
        case "set-acl":
            let policy = try self.required("policy")
            return .setAccess(
                resource: try self.required("resource"),
                policy: policy == "default" ? nil : policy
            )
        case "set-capability": return try self.capability()
        case "set-batch":
            let bytes = "a number of bytes, such as 2MB"
            return .setBatch(
                .init(
                    maxMessageCount: try self.optional("max-messages", "a whole number") { UInt32($0) },
                    absoluteMaxBytes: try self.optional("absolute-bytes", bytes, ByteCount.init(configured:))?
                        .bytes,
                    preferredMaxBytes: try self.optional(
                        "preferred-bytes",
                        bytes,
                        ByteCount.init(configured:)
                    )?.bytes,
                    timeout: try self.optional(
                        "timeout",
                        "a number with a unit, such as 500ms",
                        Duration.init(configured:)
                    )
                )
            )
        case "add-consenter": return .addConsenter(try self.consenter())
        case "remove-consenter": return .removeConsenter(try self.required("address"))
        case "set-consenter-certificates":
            return .setConsenterCertificates(
                try self.required("address"),
                client: try self.tlsCertificate("client-cert"),
                server: try self.tlsCertificate("server-cert")
            )
        case "set-bft-options": return .setBFTOptions(try self.changedBFTOptions())
        case "set-maintenance": return .setMaintenance(try self.mode())
        case "change-to-bft": return try self.changeToBFT()
        case "add-orderer-endpoint":
            return .addOrdererEndpoint(try self.required("address"), of: try self.required("org"))
        case "remove-orderer-endpoint":
            return .removeOrdererEndpoint(try self.required("address"), of: try self.required("org"))
        default:
            throw Failure("\"\(self.name)\" is no operation", code: .usage)
        }
    }

    /// `MAJORITY Admins`, or signatures.
    static func policy(_ rule: String) -> ChannelProfile.PolicyDefinition {
        let isImplicitMeta = ["ANY ", "ALL ", "MAJORITY "].contains { rule.hasPrefix($0) }
        return isImplicitMeta ? .implicitMeta(rule) : .signature(rule)
    }

    private func capability() throws -> ConfigurationEdit {
        guard
            let level = try self.optional(
                "level",
                "channel, orderer or application",
                { text in
                    Capabilities.Level.allCases.first { $0.rawValue.lowercased() == text }
                }
            )
        else { throw Failure("set-capability needs level=channel, orderer or application", code: .usage) }
        let isRequired = try self.optional("required", "yes or no", configuredFlag) ?? true
        return .setCapability(level, try self.required("name"), isRequired: isRequired)
    }

    private func msp() throws -> Msp_MSPConfig {
        let folder = try self.required("msp")
        return try MSPFolder(folder).configuration(mspID: MSPID(try self.required("msp-id"))).config
    }

    private func addition() throws -> ConfigurationEdit {
        let mspID = try self.required("msp-id")
        let section = try self.section
        let profile = ChannelProfile.OrganizationProfile(
            name: try self.required("name"),
            msp: try self.msp(),
            policies: section == .application
                ? .applicationOrganization(mspID) : .ordererOrganization(mspID),
            ordererEndpoints: self.all("endpoint"),
            anchorPeers: try self.all("anchor").map { text in
                let (host, port) = try self.address(text)
                return .init(host: host, port: port)
            }
        )
        return .addOrganization(profile, to: section)
    }

    private func revocation(now: Date) throws -> ConfigurationEdit {
        let authority = try OrganizationAuthority(opening: self.required("authority"))
        let (_, lists) = try authority.revoke(self.required("name"), now: now)
        return .addRevocationList(lists.enrollment.pem, of: try self.required("org"))
    }

    private func mode() throws(Failure) -> Bool {
        guard let isOn = try self.optional("mode", "on or off", { ["on": true, "off": false][$0] }) else {
            throw Failure("set-maintenance needs mode=on or mode=off", code: .usage)
        }
        return isOn
    }

    private func changeToBFT() throws -> ConfigurationEdit {
        let identities = try self.all("consenter").map { text in
            let parts = text.split(separator: ",", maxSplits: 3).map(String.init)
            guard parts.count == 4, let number = UInt32(parts[1]) else {
                throw Failure(
                    "change-to-bft: consenter=\(text) is not HOST:PORT,NUMBER,MSP-ID,FILE",
                    code: .usage
                )
            }
            let (host, port) = try self.address(parts[0])
            return ConfigurationEdit.BFTIdentity(
                address: "\(host):\(port)",
                number: number,
                mspID: parts[2],
                certificate: try readArgument(parts[3], as: "the consenter's certificate")
            )
        }
        var options = Orderer_Smartbft_Options.quick
        let duration = "a number with a unit, such as 500ms"
        if let timeout = try self.optional("leader-timeout", duration, Duration.init(configured:)) {
            options.leaderHeartbeatTimeout = GoDuration.text(timeout)
        }
        return .changeToBFT(identities, options)
    }

    /// The certificate in the file that a key names; `nil` if it isn't given.
    private func tlsCertificate(_ key: String) throws(Failure) -> Data? {
        guard let file = try self.optional(key) else { return nil }
        return try readArgument(file, as: "the TLS certificate (\(key)=)")
    }

    private func consenter() throws -> ConfigurationEdit.Consenter {
        let (host, port) = try self.address(self.required("address"))
        var consenter = ConfigurationEdit.Consenter(
            host: host,
            port: UInt32(port),
            clientTLSCertificate: try readArgument(
                self.required("client-cert"),
                as: "the client TLS certificate"
            ),
            serverTLSCertificate: try readArgument(
                self.required("server-cert"),
                as: "the server TLS certificate"
            )
        )
        if let number = try self.optional("id", "a whole number above 0", { UInt32($0) }) {
            consenter.identity = (
                number, try self.required("msp-id"),
                try readArgument(self.required("identity"), as: "the consenter's certificate")
            )
        }
        return consenter
    }
}
