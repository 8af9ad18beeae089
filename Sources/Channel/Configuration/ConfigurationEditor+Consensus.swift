internal import FabricProtos
package import Foundation
internal import SwiftProtobuf

extension ConfigurationEdit {
    /// What a Raft consenter needs besides to be one of BFT.
    package struct BFTIdentity: Sendable {
        /// `host:port` of the Raft consenter.
        package var address: String
        /// Which it keeps; above 0.
        package var number: UInt32
        package var mspID: String
        /// Its enrollment certificate, PEM.
        package var certificate: Data

        package init(address: String, number: UInt32, mspID: String, certificate: Data) {
            self.address = address
            self.number = number
            self.mspID = mspID
            self.certificate = certificate
        }
    }
}

extension ConfigurationEditor {
    private static let consensus = path("Orderer", "ConsensusType")

    /// Enters or leaves maintenance mode, in which only organizations of orderers may send and read.
    mutating func setMaintenance(_ isOn: Bool) throws(ConfigurationEditError) {
        try self.update(.orderer) { (group: inout Common_ConfigGroup) throws(ConfigurationEditError) in
            try Self.update(
                ConfigurationKey.consensusType,
                Orderer_ConsensusType.self,
                of: &group,
                at: Self.path("Orderer")
            ) { $0.state = isOn ? .maintenance : .normal }
        }
    }

    /// Makes a Raft channel one of BFT, with the same consenters.
    ///
    /// - Source: Fabric v3.1, package `orderer/common/msgprocessor`, maintenance filter.
    mutating func changeToBFT(
        _ identities: [ConfigurationEdit.BFTIdentity],
        _ options: Orderer_Smartbft_Options
    ) throws(ConfigurationEditError) {
        try self.update(.orderer) { (group: inout Common_ConfigGroup) throws(ConfigurationEditError) in
            var consenters: [Common_Consenter] = []
            try Self.update(
                ConfigurationKey.consensusType,
                Orderer_ConsensusType.self,
                of: &group,
                at: Self.path("Orderer")
            ) { (consensus: inout Orderer_ConsensusType) throws(ConfigurationEditError) in
                guard consensus.type == "etcdraft",
                    let raft = try? Etcdraft_ConfigMetadata(serializedBytes: consensus.metadata)
                else {
                    throw ConfigurationEditError(
                        Self.consensus,
                        "the channel's consensus type is \(consensus.type); only etcdraft can become BFT"
                    )
                }
                guard consensus.state == .maintenance else {
                    throw ConfigurationEditError(
                        Self.consensus,
                        "orderers change the type in maintenance mode only: submit set-maintenance mode=on first"
                    )
                }
                consenters = try Self.consenters(raft.consenters, identities)
                try Self.check(options)
                consensus.type = "BFT"
                consensus.metadata = try Self.bytes(options, Self.consensus)
            }
            try Self.update(
                ConfigurationKey.orderers,
                Common_Orderers.self,
                of: &group,
                at: Self.path("Orderer")
            ) { $0.consenterMapping = consenters }
            do {
                group.policies["BlockValidation", default: .with { $0.modPolicy = "Admins" }].policy =
                    try BFTBlockValidation.policy(consenters: consenters)
            } catch {
                throw ConfigurationEditError(Self.path("Orderer", "BlockValidation"), "\(error)")
            }
        }
    }

    /// Raft's consenters with the identities of BFT's, in the order of their numbers.
    private static func consenters(
        _ raft: [Etcdraft_Consenter],
        _ identities: [ConfigurationEdit.BFTIdentity]
    ) throws(ConfigurationEditError) -> [Common_Consenter] {
        let known = raft.map { "\($0.host):\($0.port)" }
        guard identities.map(\.address).sorted() == known.sorted() else {
            throw ConfigurationEditError(
                Self.consensus,
                "each Raft consenter must be named once; they are: \(known.joined(separator: ", "))"
            )
        }
        guard Set(identities.map(\.number)).count == identities.count,
            !identities.contains(where: { $0.number == 0 })
        else {
            throw ConfigurationEditError(Self.consensus, "the consenters' numbers start at 1 and differ")
        }
        for (index, identity) in identities.enumerated() {
            try Self.checkOwn(
                [identity.certificate],
                "identity",
                of: Self.path("Orderer") + "/consenter \(identity.address)",
                others: identities[..<index].map { ($0.address, [$0.certificate]) }
            )
        }
        return identities.sorted { $0.number < $1.number }.compactMap { identity in
            guard let index = known.firstIndex(of: identity.address) else { return nil }
            return .with {
                $0.id = identity.number
                $0.host = raft[index].host
                $0.port = raft[index].port
                $0.mspID = identity.mspID
                $0.identity = identity.certificate
                $0.clientTlsCert = raft[index].clientTlsCert
                $0.serverTlsCert = raft[index].serverTlsCert
            }
        }
    }
}
