import Channel
import FabricProtos
import Foundation
import Gossip
import Synchronization

@testable import Peer

/// Other peers that do what a test wants.
final class ScriptedExchange: PrivateDataExchange {
    typealias Answer = @Sendable (WantedPrivateData) -> PulledPrivateData

    private let answer: Mutex<Answer>
    private let failure: PrivateDataNotSpread?
    private let seen = Mutex<(pushed: [Gossip_PrivatePayload], pulled: [WantedPrivateData])>(([], []))

    /// - Parameters:
    ///   - failure: why no push succeeds.
    ///   - answer: what becomes of what is asked for; nobody has it without this.
    init(
        failure: PrivateDataNotSpread? = nil,
        answer: @escaping Answer = { _ in PulledPrivateData(bytes: nil, reason: "nobody has it") }
    ) {
        self.failure = failure
        self.answer = Mutex(answer)
    }

    var pushed: [Gossip_PrivatePayload] { self.seen.withLock { $0.pushed } }
    var pulled: [WantedPrivateData] { self.seen.withLock { $0.pulled } }

    /// How often something of a block was asked for.
    func pulls(ofBlock block: BlockNumber) -> Int { self.pulled.count { $0.digest.blockSeq == block } }

    func push(_ payloads: [Gossip_PrivatePayload], on channel: ChannelID) async throws {
        self.seen.withLock { $0.pushed += payloads }
        if let failure { throw failure }
    }

    func pull(_ wanted: [WantedPrivateData], on channel: ChannelID) async -> [PulledPrivateData] {
        self.seen.withLock { $0.pulled += wanted }
        let answer = self.answer.withLock { $0 }
        return wanted.map(answer)
    }
}
