import Channel
import Consensus
import FabricProtos
import Foundation
import Ledger
import Testing

@testable import Orderer

/// Several real Raft consenters whose time passes by hand.
@Suite struct RaftClusterTests {
    private func running(_ count: Int) throws -> (TestRaftCluster, NodeID) {
        let cluster = try TestRaftCluster(count)
        try cluster.pass { cluster.leader != nil }
        return (cluster, try #require(cluster.leader))
    }

    @Test("a leader that is told to stop hands over, and stays until those who wait at it are answered")
    func handsOver() throws {
        let (cluster, leader) = try self.running(3)
        let answers = try (0..<30).map { try cluster.submit(cluster.network.envelope("\($0)"), to: leader) }
        cluster.nodes[leader]?.channel.monitor.withLock { $0.isLeaving = true }
        try cluster.pass { cluster.nodes[leader]?.channel.monitor.withLock { $0.hasLeft } == true }
        let next = try #require(cluster.leader)
        #expect(next != leader)
        #expect(answers.allSatisfy { $0.all.count == 1 })
        // What was in a block is acknowledged; the rest was given to the next leader, or back to its client.
        let ordered = try (1..<cluster.height(next)).flatMap { number in
            try #require(try cluster.block(number, of: next)).data.data
        }
        #expect(Set(ordered).count == ordered.count)
        #expect(answers.count { $0.all == [.accepted] } <= ordered.count)
        // The next one orders at once.
        let later = try cluster.submit(cluster.network.envelope("later"), to: next)
        try cluster.pass(.seconds(2)) { !later.all.isEmpty }
        #expect(later.all == [.accepted])
    }

    @Test("a new leader says who is active once all have answered, or an election timeout has passed")
    func knowsWhoIsActive() throws {
        let (cluster, leader) = try self.running(3)
        func active(_ id: NodeID) -> Set<NodeID> {
            Set(cluster.nodes[id]?.channel.monitor.withLock { $0.standing.active } ?? [])
        }
        try cluster.pass(.seconds(2)) { !active(leader).isEmpty }
        #expect(active(leader) == [1, 2, 3])
        cluster.kill(leader)
        try cluster.pass { cluster.leader != nil }
        let next = try #require(cluster.leader)
        // The dead one may be about to answer.
        try cluster.pass(.seconds(1))
        #expect(active(next) == [])
        try cluster.pass { !active(next).isEmpty }
        #expect(active(next) == Set([1, 2, 3]).subtracting([leader]))
    }

    @Test("a leader that stops at once tells those who wait for a block in flight that nobody knows")
    func answersWhoWaits() throws {
        let (cluster, leader) = try self.running(3)
        cluster.isCut = { _, _ in true }
        let answer = try cluster.submit(cluster.network.envelope("in flight"), to: leader)
        try cluster.pass(.milliseconds(200))
        #expect(answer.all.isEmpty)
        cluster.nodes[leader]?.channel.stop()
        try cluster.work()
        #expect(answer.all.map(\.status) == [.serviceUnavailable])
        guard case .stopped? = cluster.ends[leader] else {
            Issue.record("it ended otherwise: \(String(describing: cluster.ends[leader]))")
            return
        }
    }

    @Test("what comes in while a block is in flight wakes no leader that would only wait on")
    func sleepsOn() throws {
        let (cluster, leader) = try self.running(3)
        cluster.isCut = { _, _ in true }
        _ = try cluster.submit(cluster.network.envelope("in flight"), to: leader)
        try cluster.work()
        let channel = try #require(cluster.nodes[leader]?.channel)
        let envelope = try cluster.network.envelope("next")
        let waiting = try channel.check(envelope, EnvelopeHeaders(envelope))
        #expect(channel.monitor.withLock { !channel.enqueue(waiting, &$0) })
    }

    @Test("what others forward has room as what clients send, in bytes too, until it is in a block")
    func boundsWhatIsForwarded() throws {
        let (cluster, leader) = try self.running(3)
        let channel = try #require(cluster.nodes[leader]?.channel)
        let envelope = try cluster.network.envelope("large")
        var waiting = try channel.check(envelope, EnvelopeHeaders(envelope))
        waiting.bytes = Data(count: channel.settings.limits.waitingBytes / 2 + 1)
        waiting.fingerprint = nil
        channel.monitor.withLock { $0.forwarded = 1 }
        for forwardedBytes in [channel.settings.limits.waitingBytes / 2, 0] {
            channel.monitor.withLock { $0.forwardedBytes = forwardedBytes }
            let intake = channel.take(waiting, from: leader + 1)
            #expect(forwardedBytes > 0 ? intake == .full : intake == .taken)
        }
    }

    @Test("a follower that is told to stop waits for what it has forwarded")
    func followerLeaves() throws {
        let (cluster, leader) = try self.running(3)
        let follower = try #require(cluster.nodes.keys.first { $0 != leader })
        let answer = try cluster.submit(cluster.network.envelope("forwarded"), to: follower)
        cluster.nodes[follower]?.channel.monitor.withLock { $0.isLeaving = true }
        try cluster.pass { cluster.nodes[follower]?.channel.monitor.withLock { $0.hasLeft } == true }
        #expect(answer.all == [.accepted])
        #expect(cluster.leader == leader)
    }

    @Test("a new leader drops from its queue what an earlier one has ordered")
    func dropsWhatIsOrdered() throws {
        let (cluster, leader) = try self.running(3)
        let node = try #require(cluster.nodes[leader])
        let envelopes = try (0..<3).map { try cluster.network.envelope("\($0)") }
        let waiting = try envelopes.map { try node.channel.check($0, EnvelopeHeaders($0)) }
        let ordered = try #require(waiting[1].fingerprint)
        node.channel.monitor.withLock { state in
            state.window.remember(ordered)
            state.waiting.append(contentsOf: waiting)
            state.waitingBytes = waiting.reduce(0) { $0 + $1.bytes.count }
        }
        node.consenter.dropOrdered()
        node.channel.monitor.withLock { state in
            #expect(state.waiting.map(\.bytes) == [waiting[0].bytes, waiting[2].bytes])
            #expect(state.waitingBytes == waiting[0].bytes.count + waiting[2].bytes.count)
        }
        let height = node.consenter.chain.log.height
        try cluster.pass { cluster.height(leader) > height }
        let block = try #require(try cluster.block(height, of: leader))
        #expect(block.data.data.count == 2)
    }

    @Test(
        "a leader that is cut off in one direction is replaced long before the election timeout of Fabric's default",
        arguments: [true, false]
    )
    func healsOneWay(hears: Bool) throws {
        let (cluster, leader) = try self.running(3)
        cluster.isCut = { from, to in (hears ? from : to) == leader }
        var waited = Duration.zero
        while cluster.leaders.subtracting([leader]).isEmpty, waited < .seconds(30) {
            try cluster.pass(.milliseconds(100))
            waited += .milliseconds(100)
        }
        #expect(waited < .seconds(4))
        let next = try #require(cluster.leaders.subtracting([leader]).first)
        let answer = try cluster.submit(cluster.network.envelope("after"), to: next)
        try cluster.pass(.seconds(5)) { !answer.all.isEmpty }
        #expect(answer.all == [.accepted])
        // Once it is heard again it follows.
        cluster.isCut = { _, _ in false }
        try cluster.pass { cluster.leaders == [next] && cluster.height(leader) == cluster.height(next) }
        #expect(cluster.leaders == [next])
    }

    @Test(
        "a consenter that lost its consensus store is filled again, and votes once all others have answered"
    )
    func comesBackWithoutADisk() throws {
        let (cluster, leader) = try self.running(3)
        for number in 0..<3 {
            let answer = try cluster.submit(cluster.network.envelope("\(number)"), to: leader)
            try cluster.pass(.seconds(2)) { !answer.all.isEmpty }
            #expect(answer.all == [.accepted])
        }
        let others = cluster.nodes.keys.filter { $0 != leader }.sorted()
        let (lost, other) = (try #require(others.first), try #require(others.last))
        try cluster.pass(.seconds(2)) { cluster.height(lost) == cluster.height(leader) }
        cluster.kill(lost)
        // Its ledger is whole, and what it promised is gone.
        cluster.disks[lost]?.lose("consensus")
        cluster.kill(other)
        try cluster.start(lost)
        // One of the other two is enough for nothing.
        try cluster.pass(.seconds(20))
        #expect(cluster.nodes[lost]?.consenter.chain.details.unheard == [other])
        #expect(cluster.leader == nil)
        try cluster.start(other)
        try cluster.pass { cluster.nodes[lost]?.consenter.chain.details.unheard == nil }
        #expect(cluster.nodes[lost]?.consenter.chain.details.unheard == nil)
        // Now it counts.
        let now = try #require(cluster.leader)
        cluster.kill(now == lost ? other : now)
        try cluster.pass(.seconds(60)) { cluster.leader != nil }
        let answer = try cluster.submit(
            cluster.network.envelope("after"),
            to: try #require(cluster.leader)
        )
        try cluster.pass(.seconds(60)) { !answer.all.isEmpty }
        #expect(answer.all == [.accepted])
        #expect(cluster.height(lost) == 5)
    }
}
