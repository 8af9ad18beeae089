internal import Channel
internal import Foundation
internal import Ledger
internal import Synchronization

/// Definitions of contracts as the last committed block left them, each read at most once a block.
package final class CommittedDefinitions: Sendable {
    private struct Definitions {
        var height: BlockNumber
        /// By the bytes of the name: Swift takes canonically equivalent texts for equal.
        var byName: [Data: ChaincodeDefinition?] = [:]
    }

    private let channels = Mutex<[ChannelID: Definitions]>([:])
    /// The most names kept for one channel; unknown names count, so that they can't fill the memory.
    private static let limit = 1_000

    package init() {}

    /// The definition of `chaincode` on `channel`; `nil` if there is none.
    ///
    /// - Throws: The ledger's error, or ``MalformedLifecycleState``.
    package func definition(of chaincode: String, on channel: PeerChannel) throws -> ChaincodeDefinition? {
        let snapshot = channel.ledger.snapshot()
        let name = Data(chaincode.utf8)
        let known = self.channels.withLock { channels -> ChaincodeDefinition?? in
            guard let definitions = channels[channel.id], definitions.height == snapshot.height else {
                return nil
            }
            return definitions.byName[name]
        }
        if let known { return known }
        let definition = try LifecycleState.definition(of: chaincode, in: snapshot)
        self.channels.withLock { channels in
            var definitions = channels[channel.id] ?? Definitions(height: snapshot.height)
            guard definitions.height <= snapshot.height else { return }
            if definitions.height < snapshot.height || definitions.byName.count >= Self.limit {
                definitions = Definitions(height: snapshot.height)
            }
            definitions.byName[name] = .some(definition)
            channels[channel.id] = definitions
        }
        return definition
    }
}
