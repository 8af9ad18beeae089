internal import Cryptography
package import FabricProtos
internal import Foundation
internal import SwiftProtobuf

extension ConfigurationEditor {
    private static let orderer = path("Orderer")

    mutating func set(_ change: ConfigurationEdit.BatchChange) throws(ConfigurationEditError) {
        try self.update(.orderer) { (group: inout Common_ConfigGroup) throws(ConfigurationEditError) in
            let path = "\(Self.orderer)/BatchSize"
            try Self.update(ConfigurationKey.batchSize, Orderer_BatchSize.self, of: &group, at: Self.orderer)
            {
                (size: inout Orderer_BatchSize) throws(ConfigurationEditError) in
                size.maxMessageCount = change.maxMessageCount ?? size.maxMessageCount
                size.absoluteMaxBytes = change.absoluteMaxBytes ?? size.absoluteMaxBytes
                size.preferredMaxBytes = change.preferredMaxBytes ?? size.preferredMaxBytes
                guard size.maxMessageCount > 0 else {
                    throw ConfigurationEditError(path, "a block must take at least 1 message")
                }
                guard size.preferredMaxBytes > 0, size.preferredMaxBytes <= size.absoluteMaxBytes else {
                    throw ConfigurationEditError(
                        path,
                        "the preferred size (\(size.preferredMaxBytes)) must be at least 1 and at most the "
                            + "absolute one (\(size.absoluteMaxBytes))"
                    )
                }
            }
            guard let timeout = change.timeout else { return }
            guard timeout > .zero else {
                throw ConfigurationEditError("\(Self.orderer)/BatchTimeout", "it must be above zero")
            }
            try Self.update(
                ConfigurationKey.batchTimeout,
                Orderer_BatchTimeout.self,
                of: &group,
                at: Self.orderer
            ) { $0.timeout = GoDuration.text(timeout) }
        }
    }

    // MARK: - Endpoints

    mutating func addEndpoint(
        _ address: String,
        of organization: String
    ) throws(ConfigurationEditError) {
        try Self.checkAddress(address)
        try self.update(organization, in: .orderer) {
            (group: inout Common_ConfigGroup, path: String) throws(ConfigurationEditError) in
            try Self.update(ConfigurationKey.endpoints, Common_OrdererAddresses.self, of: &group, at: path) {
                if !$0.addresses.contains(address) { $0.addresses.append(address) }
            }
        }
    }

    mutating func removeEndpoint(
        _ address: String,
        of organization: String
    ) throws(ConfigurationEditError) {
        try self.update(organization, in: .orderer) {
            (group: inout Common_ConfigGroup, path: String) throws(ConfigurationEditError) in
            try Self.update(ConfigurationKey.endpoints, Common_OrdererAddresses.self, of: &group, at: path) {
                (list: inout Common_OrdererAddresses) throws(ConfigurationEditError) in
                guard list.addresses.contains(address) else {
                    throw ConfigurationEditError(
                        "\(path)/Endpoints",
                        "there is no endpoint \(address); there are: \(list.addresses.joined(separator: ", "))"
                    )
                }
                list.addresses.removeAll { $0 == address }
            }
        }
    }

    // MARK: - Consenters

    mutating func add(_ consenter: ConfigurationEdit.Consenter) throws(ConfigurationEditError) {
        let place = "\(Self.orderer)/consenter \(consenter.address)"
        guard !consenter.host.isEmpty, (1...65535).contains(consenter.port) else {
            throw ConfigurationEditError(place, "this is no host and port")
        }
        try self.checkTLS(consenter.clientTLSCertificate, "client TLS certificate", place)
        try self.checkTLS(consenter.serverTLSCertificate, "server TLS certificate", place)
        try self.updateConsenters(
            raft: { (metadata: inout Etcdraft_ConfigMetadata) throws(ConfigurationEditError) in
                guard consenter.identity == nil else {
                    throw ConfigurationEditError(
                        place,
                        "a Raft consenter has no number and no identity; leave them out"
                    )
                }
                guard !metadata.consenters.contains(where: { "\($0.host):\($0.port)" == consenter.address })
                else { throw ConfigurationEditError(place, "it is there already") }
                try Self.checkOwnTLS(of: consenter, place, others: metadata.consenters.map(Self.tlsKeys))
                metadata.consenters.append(
                    .with {
                        $0.host = consenter.host
                        $0.port = consenter.port
                        $0.clientTlsCert = consenter.clientTLSCertificate
                        $0.serverTlsCert = consenter.serverTLSCertificate
                    }
                )
            },
            bft: { (list: inout [Common_Consenter]) throws(ConfigurationEditError) in
                guard let identity = consenter.identity else {
                    throw ConfigurationEditError(
                        place,
                        "a BFT consenter needs a number, the MSP identifier of its organization and its certificate"
                    )
                }
                guard identity.number > 0, !list.contains(where: { $0.id == identity.number }) else {
                    throw ConfigurationEditError(
                        place,
                        "the number \(identity.number) is 0 or taken; numbers in use are "
                            + list.map { "\($0.id)" }.joined(separator: ", ")
                    )
                }
                guard !list.contains(where: { "\($0.host):\($0.port)" == consenter.address }) else {
                    throw ConfigurationEditError(place, "it is there already")
                }
                try Self.checkOwnTLS(of: consenter, place, others: list.map(Self.tlsKeys))
                try Self.checkOwn(
                    [identity.certificate],
                    "identity",
                    of: place,
                    others: list.map { ("\($0.host):\($0.port)", [$0.identity]) }
                )
                list.append(
                    .with {
                        $0.id = identity.number
                        $0.host = consenter.host
                        $0.port = consenter.port
                        $0.mspID = identity.mspID
                        $0.identity = identity.certificate
                        $0.clientTlsCert = consenter.clientTLSCertificate
                        $0.serverTlsCert = consenter.serverTLSCertificate
                    }
                )
            }
        )
    }

    mutating func removeConsenter(_ address: String) throws(ConfigurationEditError) {
        let place = "\(Self.orderer)/consenter \(address)"
        func check(_ addresses: [String]) throws(ConfigurationEditError) {
            guard addresses.contains(address) else {
                throw ConfigurationEditError(
                    place,
                    "there is no such consenter; there are: \(addresses.joined(separator: ", "))"
                )
            }
            guard addresses.count > 1 else {
                throw ConfigurationEditError(place, "it is the last one; a channel needs a consenter")
            }
        }
        try self.updateConsenters(
            raft: { (metadata: inout Etcdraft_ConfigMetadata) throws(ConfigurationEditError) in
                try check(metadata.consenters.map { "\($0.host):\($0.port)" })
                metadata.consenters.removeAll { "\($0.host):\($0.port)" == address }
            },
            bft: { (list: inout [Common_Consenter]) throws(ConfigurationEditError) in
                try check(list.map { "\($0.host):\($0.port)" })
                list.removeAll { "\($0.host):\($0.port)" == address }
            }
        )
    }

    mutating func setCertificates(
        of address: String,
        _ client: Data?,
        _ server: Data?
    ) throws(ConfigurationEditError) {
        let place = "\(Self.orderer)/consenter \(address)"
        if let client { try self.checkTLS(client, "client TLS certificate", place) }
        if let server { try self.checkTLS(server, "server TLS certificate", place) }
        func index(in addresses: [String]) throws(ConfigurationEditError) -> Int {
            guard let index = addresses.firstIndex(of: address) else {
                throw ConfigurationEditError(
                    place,
                    "there is no such consenter; there are: \(addresses.joined(separator: ", "))"
                )
            }
            return index
        }
        func checkOwn(_ holders: [KeyHolder], _ index: Int) throws(ConfigurationEditError) {
            var others = holders
            others.remove(at: index)
            try Self.checkOwn(
                [client, server].compactMap(\.self),
                "TLS certificate",
                of: place,
                others: others
            )
        }
        try self.updateConsenters(
            raft: { (metadata: inout Etcdraft_ConfigMetadata) throws(ConfigurationEditError) in
                let index = try index(in: metadata.consenters.map { "\($0.host):\($0.port)" })
                if let client { metadata.consenters[index].clientTlsCert = client }
                if let server { metadata.consenters[index].serverTlsCert = server }
                try checkOwn(metadata.consenters.map(Self.tlsKeys), index)
            },
            bft: { (list: inout [Common_Consenter]) throws(ConfigurationEditError) in
                let index = try index(in: list.map { "\($0.host):\($0.port)" })
                if let client { list[index].clientTlsCert = client }
                if let server { list[index].serverTlsCert = server }
                try checkOwn(list.map(Self.tlsKeys), index)
            }
        )
    }

    /// Changes the consenters where the channel's consensus type has them.
    ///
    /// On a BFT channel, the BlockValidation policy follows.
    private mutating func updateConsenters(
        raft: (inout Etcdraft_ConfigMetadata) throws(ConfigurationEditError) -> Void,
        bft: (inout [Common_Consenter]) throws(ConfigurationEditError) -> Void
    ) throws(ConfigurationEditError) {
        try self.update(.orderer) { (group: inout Common_ConfigGroup) throws(ConfigurationEditError) in
            var type = ""
            let key = ConfigurationKey.consensusType
            try Self.update(key, Orderer_ConsensusType.self, of: &group, at: Self.orderer) {
                (consensus: inout Orderer_ConsensusType) throws(ConfigurationEditError) in
                type = consensus.type
                guard type == "etcdraft" else { return }
                var metadata: Etcdraft_ConfigMetadata
                do { metadata = try Etcdraft_ConfigMetadata(serializedBytes: consensus.metadata) } catch {
                    throw ConfigurationEditError(
                        "\(Self.orderer)/\(key)",
                        "its metadata can't be read: \(error)"
                    )
                }
                let before = metadata
                try raft(&metadata)
                if metadata != before {
                    consensus.metadata = try Self.bytes(metadata, "\(Self.orderer)/\(key)")
                }
            }
            guard type != "etcdraft" else { return }
            guard type == "BFT" else {
                throw ConfigurationEditError(
                    "\(Self.orderer)/\(key)",
                    "consensus type \"\(type)\" has no consenters"
                )
            }
            var consenters: [Common_Consenter] = []
            try Self.update(ConfigurationKey.orderers, Common_Orderers.self, of: &group, at: Self.orderer) {
                (orderers: inout Common_Orderers) throws(ConfigurationEditError) in
                try bft(&orderers.consenterMapping)
                consenters = orderers.consenterMapping
            }
            do {
                group.policies["BlockValidation", default: .with { $0.modPolicy = "Admins" }].policy =
                    try BFTBlockValidation.policy(consenters: consenters)
            } catch {
                throw ConfigurationEditError("\(Self.orderer)/BlockValidation", "\(error)")
            }
        }
    }

    private static func checkOwnTLS(
        of consenter: ConfigurationEdit.Consenter,
        _ place: String,
        others: [KeyHolder]
    ) throws(ConfigurationEditError) {
        let certificates = [consenter.clientTLSCertificate, consenter.serverTLSCertificate]
        try Self.checkOwn(certificates, "TLS certificate", of: place, others: others)
    }

    private static func tlsKeys(_ consenter: Etcdraft_Consenter) -> KeyHolder {
        ("\(consenter.host):\(consenter.port)", [consenter.clientTlsCert, consenter.serverTlsCert])
    }

    private static func tlsKeys(_ consenter: Common_Consenter) -> KeyHolder {
        ("\(consenter.host):\(consenter.port)", [consenter.clientTlsCert, consenter.serverTlsCert])
    }

    /// A consenter's TLS certificate must come from a TLS authority of an orderer organization.
    ///
    /// - Source: Fabric v3.1, package `orderer/consensus/etcdraft`, verification of consenters' certificates.
    private func checkTLS(_ pem: Data, _ what: String, _ place: String) throws(ConfigurationEditError) {
        let certificate: Certificate
        do { certificate = try Certificate(pem: pem) } catch {
            throw ConfigurationEditError(place, "its \(what) can't be read: \(error)")
        }
        var roots: [Certificate] = []
        var intermediates: [Certificate] = []
        for group in self.channelGroup.groups[ConfigurationKey.orderer]?.groups.values.map({ $0 }) ?? [] {
            guard let value = group.values[ConfigurationKey.msp],
                let outer = try? Msp_MSPConfig(serializedBytes: value.value),
                let config = try? Msp_FabricMSPConfig(serializedBytes: outer.config)
            else { continue }
            roots += config.tlsRootCerts.compactMap { try? Certificate(pem: $0) }
            intermediates += config.tlsIntermediateCerts.compactMap { try? Certificate(pem: $0) }
        }
        do {
            _ = try CertificateAuthorities(roots: roots, intermediates: intermediates).chains(
                for: certificate,
                at: certificate.notBefore.addingTimeInterval(1),
                purpose: .any
            )
        } catch {
            guard case .wrongPurpose = error else {
                throw ConfigurationEditError(
                    place,
                    "its \(what) does not come from a TLS authority of an orderer organization: \(error)"
                )
            }
        }
    }

    private static func checkAddress(_ address: String) throws(ConfigurationEditError) {
        guard let colon = address.lastIndex(of: ":"), colon != address.startIndex,
            let port = Int(address[address.index(after: colon)...]), (1...65535).contains(port)
        else {
            throw ConfigurationEditError(Self.orderer, "\"\(address)\" is not host:port")
        }
    }
}

extension ConfigurationEditor {
    /// Checks that one update may lead from `original` to the edited configuration, as far as Raft's consenters go:
    /// a cluster changes one member at a time.
    ///
    /// - Throws: ``ConfigurationEditError``.
    /// - Source: Fabric v3.1, package `orderer/consensus/etcdraft`, validation of the consensus metadata.
    package func checkConsenterChange(from original: Common_ConfigGroup) throws(ConfigurationEditError) {
        guard let before = original.raftConsenters, let after = self.channelGroup.raftConsenters else {
            return
        }
        let added = after.subtracting(before).count
        let removed = before.subtracting(after).count
        guard added <= 1, removed <= 1 else {
            throw ConfigurationEditError(
                "\(Self.orderer)/ConsensusType",
                "it would add \(added) consenters and remove \(removed) at once; orderers take one change of one "
                    + "consenter in an update, so make several updates"
            )
        }
    }
}

extension Common_ConfigGroup {
    /// The client TLS certificates of the consenters of a Raft channel, which tell them apart.
    fileprivate var raftConsenters: Set<Data>? {
        guard let value = self.groups[ConfigurationKey.orderer]?.values[ConfigurationKey.consensusType],
            let consensus = try? Orderer_ConsensusType(serializedBytes: value.value),
            consensus.type == "etcdraft",
            let metadata = try? Etcdraft_ConfigMetadata(serializedBytes: consensus.metadata)
        else { return nil }
        return Set(metadata.consenters.map(\.clientTlsCert))
    }
}
