import Cryptography
package import FabricProtos
import FoundationEssentials
import SwiftProtobuf

/// One thing that a configuration says, in words.
package struct ConfigurationFact: Hashable, Sendable {
    /// The element that says it: `/Channel/Orderer/BatchSize`, `/Channel/Application/Org1/Readers`.
    package var element: String
    /// What it is about: `max_message_count`, `rule`, `capability V2_0`.
    package var name: String
    /// Empty where the name says it all, as in lists.
    package var text: String

    /// Who may change an element; said of every element.
    package var isModificationPolicy: Bool { self.name == Self.modificationPolicy }

    static let modificationPolicy = "mod_policy"
}

extension Common_ConfigGroup {
    /// Everything that the configuration says, group by group, in the order of names; versions aside.
    ///
    /// What cannot be decoded is told by its size and hash, so that no change goes unseen.
    package var facts: [ConfigurationFact] {
        var writer = FactWriter()
        writer.add(self, at: PolicyTree.root)
        return writer.facts
    }
}

private struct FactWriter {
    var facts: [ConfigurationFact] = []

    mutating func add(_ group: Common_ConfigGroup, at path: String) {
        self.say(path, ConfigurationFact.modificationPolicy, group.modPolicy)
        for (name, value) in group.values.sorted(by: { $0.key < $1.key }) {
            let element = "\(path)/\(name)"
            self.say(element, ConfigurationFact.modificationPolicy, value.modPolicy)
            do {
                try self.add(value: name, value.value, at: element)
            } catch {
                self.sayBytes(value.value, element)
            }
        }
        for (name, policy) in group.policies.sorted(by: { $0.key < $1.key }) {
            let element = "\(path)/\(name)"
            self.say(element, ConfigurationFact.modificationPolicy, policy.modPolicy)
            self.say(element, "policy", Self.text(policy.policy))
        }
        for (name, child) in group.groups.sorted(by: { $0.key < $1.key }) {
            self.add(child, at: "\(path)/\(name)")
        }
    }

    private mutating func say(_ element: String, _ name: String, _ text: String = "") {
        self.facts.append(ConfigurationFact(element: element, name: name, text: text))
    }

    private mutating func sayBytes(_ bytes: Data, _ element: String, _ name: String = "content") {
        self.say(
            element,
            name,
            "\(bytes.count) bytes, SHA-256 \(hexadecimal(Digest.sha256(bytes).prefix(8)))…"
        )
    }

    /// A policy in the policy language; with the hash of its bytes where two that differ could read the same.
    private static func text(_ policy: Common_Policy) -> String {
        switch Common_Policy.PolicyType(rawValue: Int(policy.type)) {
        case .signature:
            guard let message = try? Common_SignaturePolicyEnvelope(policyBytes: policy.value) else {
                break
            }
            let text = PolicyExpression.text(message)
            let isWhole = (try? PolicyExpression.parse(text)).map { $0 == message } ?? false
            return isWhole ? text : "\(text) [\(hexadecimal(Digest.sha256(policy.value).prefix(4)))]"
        case .implicitMeta:
            guard let rule = try? ImplicitMetaRule(serialized: policy.value, policy: "") else { break }
            return "\(rule)"
        default: break
        }
        return "type \(policy.type), \(policy.value.count) bytes, "
            + "SHA-256 \(hexadecimal(Digest.sha256(policy.value).prefix(8)))…"
    }

    private mutating func add(value name: String, _ bytes: Data, at element: String) throws {
        switch name {
        case ConfigurationKey.msp:
            try self.add(msp: Msp_MSPConfig(serializedBytes: bytes), element)
        case ConfigurationKey.anchorPeers:
            for peer in try Protos_AnchorPeers(serializedBytes: bytes).anchorPeers {
                self.say(element, "anchor peer \(peer.host):\(peer.port)")
            }
        case ConfigurationKey.accessControlLists:
            let lists = try Protos_ACLs(serializedBytes: bytes).acls
            for (resource, entry) in lists.sorted(by: { $0.key < $1.key }) {
                self.say(element, resource, entry.policyRef)
            }
        case ConfigurationKey.capabilities:
            for capability in try Common_Capabilities(serializedBytes: bytes).capabilities.keys.sorted() {
                self.say(element, "capability \(capability)")
            }
        case ConfigurationKey.ordererAddresses, ConfigurationKey.endpoints:
            for address in try Common_OrdererAddresses(serializedBytes: bytes).addresses {
                self.say(element, "address \(address)")
            }
        case ConfigurationKey.hashingAlgorithm:
            self.say(element, "name", try Common_HashingAlgorithm(serializedBytes: bytes).name)
        case ConfigurationKey.blockDataHashingStructure:
            self.say(
                element,
                "width",
                "\(try Common_BlockDataHashingStructure(serializedBytes: bytes).width)"
            )
        case ConfigurationKey.consortium:
            self.say(element, "name", try Common_Consortium(serializedBytes: bytes).name)
        case ConfigurationKey.batchTimeout:
            self.say(element, "timeout", try Orderer_BatchTimeout(serializedBytes: bytes).timeout)
        case ConfigurationKey.channelRestrictions:
            self.say(
                element,
                "max_count",
                "\(try Orderer_ChannelRestrictions(serializedBytes: bytes).maxCount)"
            )
        case ConfigurationKey.batchSize:
            let size = try Orderer_BatchSize(serializedBytes: bytes)
            self.say(element, "max_message_count", "\(size.maxMessageCount)")
            self.say(element, "absolute_max_bytes", "\(size.absoluteMaxBytes)")
            self.say(element, "preferred_max_bytes", "\(size.preferredMaxBytes)")
        case ConfigurationKey.consensusType:
            try self.add(consensus: Orderer_ConsensusType(serializedBytes: bytes), element)
        case ConfigurationKey.orderers:
            for consenter in try Common_Orderers(serializedBytes: bytes).consenterMapping {
                self.add(consenter, element)
            }
        default:
            self.sayBytes(bytes, element)
        }
    }
}

// MARK: - Consenters

extension FactWriter {
    private mutating func add(consensus: Orderer_ConsensusType, _ element: String) throws {
        self.say(element, "type", consensus.type)
        self.say(element, "state", consensus.state == .maintenance ? "MAINTENANCE" : "NORMAL")
        guard consensus.type == "etcdraft" else {
            let options = try Orderer_Smartbft_Options(serializedBytes: consensus.metadata)
            self.say(element, "options", Self.oneLine(options))
            return
        }
        let metadata = try Etcdraft_ConfigMetadata(serializedBytes: consensus.metadata)
        for consenter in metadata.consenters {
            let name = "consenter \(consenter.host):\(consenter.port)"
            self.say(element, "\(name) client TLS certificate", Self.describe(consenter.clientTlsCert))
            self.say(element, "\(name) server TLS certificate", Self.describe(consenter.serverTlsCert))
        }
        let options = metadata.options
        self.say(element, "tick_interval", options.tickInterval)
        self.say(element, "election_tick", "\(options.electionTick)")
        self.say(element, "heartbeat_tick", "\(options.heartbeatTick)")
        self.say(element, "max_inflight_blocks", "\(options.maxInflightBlocks)")
        self.say(element, "snapshot_interval_size", "\(options.snapshotIntervalSize)")
    }

    private mutating func add(_ consenter: Common_Consenter, _ element: String) {
        let name = "consenter \(consenter.id) at \(consenter.host):\(consenter.port)"
        self.say(element, "\(name) identity", "\(consenter.mspID) \(Self.describe(consenter.identity))")
        self.say(element, "\(name) client TLS certificate", Self.describe(consenter.clientTlsCert))
        self.say(element, "\(name) server TLS certificate", Self.describe(consenter.serverTlsCert))
    }

    private static func oneLine(_ message: some Message) -> String {
        message.textFormatString().split(separator: "\n").joined(separator: ", ")
    }
}

// MARK: - Membership

extension FactWriter {
    private mutating func add(msp message: Msp_MSPConfig, _ element: String) throws {
        let config = try Msp_FabricMSPConfig(serializedBytes: message.config)
        self.say(element, "MSP identifier", config.name)
        let certificates: [(name: String, list: [Data])] = [
            ("root certificate", config.rootCerts),
            ("intermediate certificate", config.intermediateCerts),
            ("administrator's certificate", config.admins),
            ("TLS root certificate", config.tlsRootCerts),
            ("TLS intermediate certificate", config.tlsIntermediateCerts),
        ]
        for (name, list) in certificates {
            for pem in list { self.say(element, "\(name) \(Self.describe(pem))") }
        }
        for bytes in config.revocationList {
            self.say(element, "revocation list \(Self.describe(list: bytes))")
        }
        for unit in config.organizationalUnitIdentifiers {
            self.say(element, "organizational unit \(unit.organizationalUnitIdentifier)")
        }
        let units = config.fabricNodeOus
        if config.hasFabricNodeOus {
            self.say(element, "NodeOUs", units.enable ? "on" : "off")
            let roles = [
                ("client", units.clientOuIdentifier), ("peer", units.peerOuIdentifier),
                ("admin", units.adminOuIdentifier), ("orderer", units.ordererOuIdentifier),
            ]
            for (role, unit) in roles where !unit.organizationalUnitIdentifier.isEmpty {
                self.say(element, "NodeOU of \(role)", unit.organizationalUnitIdentifier)
            }
        }
        let crypto = config.cryptoConfig
        self.say(element, "hashes", "\(crypto.signatureHashFamily) \(crypto.identityIdentifierHashFunction)")
    }

    private static func describe(_ pem: Data) -> String {
        guard let certificate = try? Certificate(pem: pem) else {
            return "unreadable, SHA-256 \(hexadecimal(Digest.sha256(pem).prefix(8)))…"
        }
        let day = certificate.notAfter.formatted(Date.ISO8601FormatStyle().year().month().day())
        return "\(certificate.subject), until \(day), "
            + "SHA-256 \(hexadecimal(Digest.sha256(certificate.der).prefix(8)))…"
    }

    private static func describe(list bytes: Data) -> String {
        guard let list = try? CertificateRevocationList(bytes) else {
            return "unreadable, SHA-256 \(hexadecimal(Digest.sha256(bytes).prefix(8)))…"
        }
        let style = Date.ISO8601FormatStyle()
        return
            "of \(list.issuer), \(list.revokedSerialNumbers.count) revoked, made \(list.thisUpdate.formatted(style)), "
            + "SHA-256 \(hexadecimal(Digest.sha256(list.der).prefix(8)))…"
    }
}
