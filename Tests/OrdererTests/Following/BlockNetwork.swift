import Channel
import FabricProtos
import SwiftProtobuf
import Testing

@testable import Orderer

/// A way to other orderers on which nothing but blocks can be had.
protocol BlockNetwork: ClusterNetwork {}

extension BlockNetwork {
    func open(_ stream: any ClusterStream, rootsPEM: String) { stream.close() }

    func ask(
        _ member: ClusterMember,
        rootsPEM: String,
        patience: Duration,
        silent: @escaping @Sendable () -> Void
    ) {
        silent()
    }
}

extension BlockPull {
    /// What the request asks for; one that can't be read fails the test and ends the pull.
    var seek: Orderer_SeekInfo? {
        do {
            return try Orderer_SeekInfo(serializedBytes: EnvelopeHeaders(self.request()).payload.data)
        } catch {
            Issue.record(error, "a request for blocks can't be read")
            self.end(error)
            return nil
        }
    }
}

extension ChannelThread {
    /// Waits until something holds that changes with the channel's blocks.
    func wait(until isDone: () -> Bool) async {
        while !isDone() {
            let version = self.channel.feed.find(0, insistsOnHealth: false).version
            if isDone() { return }
            await self.channel.feed.change(since: version)
        }
    }

    /// Stops the channel and waits until its thread has ended.
    func stop() async throws {
        self.channel.stop()
        try await WorkerThreads(name: "wait", count: 1).run { self.end.wait() }
    }
}
