internal import Channel
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// From one configuration to the next, as far as consensus goes: maintenance mode, the change of the consensus type, and
/// what each type's consenters must satisfy.
///
/// Source: Fabric v3.1, package `orderer/common/msgprocessor`, maintenance filter; packages `orderer/consensus/etcdraft`
/// and `orderer/consensus/smartbft`, validation of updates.
struct ConsensusTransition {
    let current: ChannelConfiguration
    let next: ChannelConfiguration
    let now: Date

    /// The rules of maintenance mode, in which alone the consensus type may change.
    ///
    /// - Throws: ``InvalidConfigUpdate`` or ``InvalidConsensusMetadata``.
    func checkMaintenance() throws {
        guard let before = self.current.orderer, let after = self.next.orderer else { return }
        let changesType = before.consensusType != after.consensusType
        if !self.current.capabilities.ordererAllowsConsensusMigration {
            guard !after.isMaintenance, !changesType else {
                throw InvalidConfigUpdate(
                    "the consensus type and its state can't change: the orderer capability V1_4_2 or higher is missing"
                )
            }
            return
        }
        guard !changesType || (before.isMaintenance && after.isMaintenance) else {
            throw InvalidConfigUpdate(
                "attempted to change the consensus type from \(before.consensusType) to \(after.consensusType) "
                    + "outside of maintenance mode: enter it first (state STATE_MAINTENANCE), and leave it afterwards"
            )
        }
        if before.isMaintenance != after.isMaintenance { try self.checkOnlyStateChanges() }
        if changesType { try self.checkMigration() }
    }

    /// What the consenters of the next configuration must satisfy.
    ///
    /// - Throws: ``InvalidConsensusMetadata`` or ``OrdererError``.
    func checkConsenters() throws {
        let consenters = try ChannelConsenters(self.next)
        let known = try ChannelConsenters(self.current)
        switch (known, consenters) {
        case (.raft(let known), .raft(let consenters)):
            try consenters.checkCertificates(under: self.next, known: known, at: self.now)
            try known.checkChange(to: consenters)
        case (.bft(let known), .bft(let consenters)):
            try consenters.checkCertificates(under: self.next, known: known.consenters, at: self.now)
        case (.raft, .bft(let consenters)):
            try consenters.checkCertificates(under: self.next, known: [], at: self.now)
        case (.bft, .raft):
            // Ruled out above.
            return
        }
    }

    /// Entering or leaving maintenance mode is all that such an update does.
    private func checkOnlyStateChanges() throws(InvalidConfigUpdate) {
        guard self.current.orderer?.consensusMetadata == self.next.orderer?.consensusMetadata else {
            throw InvalidConfigUpdate(
                "attempted to change the consensus metadata together with the consensus state"
            )
        }
        var before = self.current.config.channelGroup
        var after = self.next.config.channelGroup
        before.groups["Orderer"]?.values["ConsensusType"] = nil
        after.groups["Orderer"]?.values["ConsensusType"] = nil
        guard before == after else {
            throw InvalidConfigUpdate(
                "an update that enters or leaves maintenance mode must change nothing but /Channel/Orderer/ConsensusType"
            )
        }
    }

    /// Raft's consenters become BFT's; nothing else is possible.
    private func checkMigration() throws {
        guard let before = self.current.orderer, let after = self.next.orderer else { return }
        guard before.consensusType == "etcdraft", after.consensusType == "BFT" else {
            throw InvalidConfigUpdate(
                "attempted to change the consensus type from \(before.consensusType) to \(after.consensusType): "
                    + "only etcdraft can become BFT"
            )
        }
        let raft: Etcdraft_ConfigMetadata
        do {
            raft = try Etcdraft_ConfigMetadata(serializedBytes: before.consensusMetadata)
        } catch {
            throw InvalidConsensusMetadata("that of etcdraft can't be decoded: \(error)")
        }
        guard raft.consenters.count == after.consenters.count else {
            throw InvalidConfigUpdate(
                "the channel has \(raft.consenters.count) Raft consenters and would have \(after.consenters.count) of BFT: "
                    + "change the type first, and add or remove consenters afterwards"
            )
        }
        for consenter in raft.consenters where !after.consenters.contains(where: { $0.isSameNode(consenter) })
        {
            throw InvalidConfigUpdate(
                "Raft consenter \(consenter.host):\(consenter.port) is no BFT consenter of the same host, port and TLS "
                    + "certificates: all of them must be in /Channel/Orderer/Orderers"
            )
        }
    }
}

extension Common_Consenter {
    fileprivate func isSameNode(_ consenter: Etcdraft_Consenter) -> Bool {
        self.host == consenter.host && self.port == consenter.port
            && self.clientTlsCert == consenter.clientTlsCert && self.serverTlsCert == consenter.serverTlsCert
    }
}
