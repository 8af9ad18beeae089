package import Channel
package import FabricProtos
package import Ledger

/// One proposal while it is simulated: who proposes what, on which state, and what it has read and
/// written so far.
///
/// Chaincodes that call each other on one channel share it, so their reads and writes end up in one
/// read-write set. A simulation belongs to one task and is used by it alone.
package final class Simulation {
    /// The proposal whose simulation this is, the same for called chaincodes.
    package let proposal: UnpackedProposal
    /// The proposal's creator, whose signature has been verified.
    package let creator: Identity
    /// The channel, `nil` for calls that concern none.
    package let channel: (any EndorsingChannel)?
    /// Records reads and writes; `nil` for calls that concern no channel, and for `qscc` and `cscc`.
    package let simulator: TransactionSimulator?
    /// The committed state that is read.
    package let snapshot: StateSnapshot?
    /// The configuration of the channel when the simulation began.
    package let configuration: ChannelConfiguration?

    /// The chaincodes that are executing: none may be entered twice.
    var executing: Set<String> = []
    /// What is known of the private collections of each chaincode that used one.
    var collectionAccess: [String: CollectionAccess] = [:]

    /// - Parameters:
    ///   - proposal: the proposal.
    ///   - creator: its verified creator.
    ///   - channel: the channel, if the call concerns one.
    ///   - recording: whether there is state to read and to record; needs a channel.
    package init(
        proposal: UnpackedProposal,
        creator: Identity,
        channel: (any EndorsingChannel)?,
        recording: Bool
    ) {
        self.proposal = proposal
        self.creator = creator
        self.channel = channel
        self.configuration = channel?.configuration
        self.snapshot = recording ? channel?.ledger.snapshot() : nil
        self.simulator = self.snapshot.map {
            TransactionSimulator(snapshot: $0, transactionID: proposal.channelHeader.txID)
        }
    }

    package var transactionID: String { self.proposal.channelHeader.txID }
    /// The channel whose state is read: not the proposal's, where a chaincode was called on another channel.
    package var channelName: String { self.channel?.id.description ?? self.proposal.channelHeader.channelID }

    /// The recorder of reads and writes.
    ///
    /// - Throws: ``ContractError`` where there is no state to read.
    package func state() throws(ContractError) -> TransactionSimulator {
        guard let simulator else {
            throw ContractError("this call has no ledger: it was made without a channel")
        }
        return simulator
    }
}

/// What the endorser needs of a channel that the peer has joined.
package protocol EndorsingChannel: Sendable {
    var id: ChannelID { get }
    var ledger: Ledger { get }
    /// The configuration in force after the last committed block.
    var configuration: ChannelConfiguration { get }
    /// Takes note that a transaction is in no block below `height`; it will probably be asked for soon.
    func expect(_ transactionID: String, asOf height: BlockNumber)
}

extension EndorsingChannel {
    package func expect(_ transactionID: String, asOf height: BlockNumber) {}
}

/// The channels that the peer has joined.
package protocol EndorsingChannels: Sendable {
    func channel(named name: String) -> (any EndorsingChannel)?
    /// In ascending order of name.
    var channels: [any EndorsingChannel] { get }
    /// Joined channels that could not be opened, in ascending order of name.
    var unopened: [UnopenedChannel] { get }
    /// Joins the channel whose configuration block is given.
    func joinChannel(_ block: Common_Block) async throws
}

extension EndorsingChannels {
    package var unopened: [UnopenedChannel] { [] }

    /// Why a joined channel could not be opened; `nil` if it is open, or not joined.
    func failure(ofChannel name: String) -> UnopenedChannel? {
        self.unopened.first { $0.channel.description.utf8.elementsEqual(name.utf8) }
    }
}
