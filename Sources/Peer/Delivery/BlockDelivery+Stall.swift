internal import Channel
internal import FabricProtos
internal import Foundation
internal import GRPCCore
internal import Ledger
internal import RPC

extension BlockDelivery {
    /// How long an orderer's process may say nothing when it is asked: longer with each that was left for it, so that a
    /// line on which answers take long is used in the end.
    ///
    /// - Parameter stalls: How many were left since the last block.
    /// - Returns: The time to wait for an answer.
    static func patience(stalls: Int) -> Duration { .milliseconds(400) * (1 << min(max(stalls, 0), 6)) }

    /// Notices an orderer whose process is stopped, or that can't be reached any more, although its connection stands.
    ///
    /// Asks on the same connection when no block came for ``Options/firstProcessCheck``, and then less often.
    func watchProcess(
        of endpoint: OrdererEndpoint,
        _ client: GRPCClient<Transport>,
        _ patience: Duration
    ) async throws {
        try await self.whenNoBlockComes(
            first: self.options.firstProcessCheck,
            longest: Self.longestProcessCheck
        ) { _ in
            guard await HealthService.answers(client, within: patience) else {
                try Task.checkCancellation()
                throw OrdererStalled(endpoint, saidNothingFor: patience)
            }
        }
    }

    private static var longestProcessCheck: Duration { .seconds(4) }

    /// Notices an orderer that has fallen silent while another one has newer blocks: one whose process is stopped, or
    /// whose network is cut, keeps its connection for a long time.
    ///
    /// Asks another orderer when no block came for ``Options/firstStallCheck``, and then less and less often.
    func watchForStall(at endpoint: OrdererEndpoint) async throws {
        try await self.whenNoBlockComes(
            first: self.options.firstStallCheck,
            longest: Self.longestStallCheck
        ) { height in
            let others = self.channel.configuration.ordererEndpoints(overrides: self.options.overrides)
                .filter { $0 != endpoint }
            guard let other = others.randomElement(), let newest = await self.newestBlock(of: other),
                newest >= height
            else { return }
            // What is on its way gets a moment to arrive.
            try await Task.sleep(for: .milliseconds(500))
            guard self.channel.ledger.height > newest else { throw OrdererStalled(endpoint, other, newest) }
        }
    }

    /// Asks, with the ledger's height, when no block came for `first`, and then half as often each time, until one comes.
    private func whenNoBlockComes(
        first: Duration,
        longest: Duration,
        _ ask: (BlockNumber) async throws -> Void
    ) async throws {
        var pause = first
        var height = self.channel.ledger.height
        while true {
            try await Task.sleep(for: pause)
            let now = self.channel.ledger.height
            guard now == height else {
                height = now
                pause = first
                continue
            }
            pause = min(pause * 2, longest)
            try await ask(height)
        }
    }

    private static var longestStallCheck: Duration { .seconds(60) }

    /// The number of an orderer's newest block; `nil` if it doesn't tell in a few seconds.
    private func newestBlock(of endpoint: OrdererEndpoint) async -> BlockNumber? {
        await withTaskGroup(of: BlockNumber?.self) { group in
            group.addTask {
                try? await withGRPCClient(transport: self.connect(endpoint)) { client in
                    let request = try await self.request(
                        Orderer_SeekInfo(
                            from: .newestBlock,
                            to: .newestBlock,
                            contentType: .headerWithSig
                        )
                    )
                    return try await Orderer_AtomicBroadcast.Client(wrapping: client).deliver(
                        request: StreamingClientRequest { try await $0.write(request) }
                    ) { response in
                        for try await message in response.messages {
                            if case .block(let block) = message.type { return block.header.number }
                        }
                        return nil
                    }
                }
            }
            group.addTask {
                try? await Task.sleep(for: .seconds(3))
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }
}

/// The orderer that blocks come from has fallen silent.
struct OrdererStalled: Error, CustomStringConvertible {
    let description: String

    /// It sends no blocks although another one has newer ones.
    init(_ endpoint: OrdererEndpoint, _ other: OrdererEndpoint, _ newest: BlockNumber) {
        self.description =
            "orderer \(endpoint) sends nothing although orderer \(other) has block \(newest)"
    }

    /// Its process does not answer.
    init(_ endpoint: OrdererEndpoint, saidNothingFor patience: Duration) {
        self.description = "orderer \(endpoint) did not answer for \(patience)"
    }
}
