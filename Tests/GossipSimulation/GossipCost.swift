import Channel
import FabricProtos
import Foundation
import Gossip
package import Simulation
import SwiftProtobuf

/// What gossip costs a peer in a calm network of so many: messages and bytes that it sends, on average.
package struct GossipCost: Sendable {
    package let peers: Int
    package let organizations: Int
    package let messagesPerSecond: Double
    package let bytesPerSecond: Double
    /// Seconds until everybody knew everybody; `nil` if that took longer than the run.
    package let convergence: Int?
    /// Bytes per second of each kind of message.
    package let kinds: [String: Double]

    /// Runs a network of four organizations, one channel and Fabric's default times, for `warmup` and then as long as
    /// `measured`.
    package init(peers: Int, warmup: Moment = 30.seconds, measured: Moment = 20.seconds) throws {
        let organizations = peers < 8 ? 1 : 4
        let identities = try GossipIdentities(organizations: organizations, peers: peers / organizations)
        let world = try GossipWorld(identities, tick: 500.milliseconds)
        let configuration = try identities.channel()
        world.configureAll(configuration)
        for number in world.peers.indices { world.give(.height(configuration.channelID, 1), to: number) }
        let count = world.peers.count
        var convergence: Int?
        while world.now < warmup {
            world.run(for: 1.seconds)
            let isComplete = world.peers.allSatisfy { $0.engine.members.count == count - 1 }
            if isComplete, convergence == nil { convergence = world.now / 1.seconds }
        }
        var kinds: [String: Double] = [:]
        world.onArrival = { _, envelope, _, _ in
            let size = Double((try? envelope.serializedData().count) ?? 0)
            kinds[Self.kind(of: envelope), default: 0] += size
        }
        let before = (messages: world.messages, bytes: world.peers.reduce(0) { $0 + $1.sentBytes })
        world.run(for: measured)
        let seconds = Double(measured) / Double(1.seconds) * Double(count)
        self.peers = count
        self.organizations = organizations
        self.messagesPerSecond = Double(world.messages - before.messages) / seconds
        self.bytesPerSecond = Double(world.peers.reduce(0) { $0 + $1.sentBytes } - before.bytes) / seconds
        self.convergence = convergence
        self.kinds = kinds.mapValues { $0 / seconds }
    }

    private static func kind(of envelope: Gossip_Envelope) -> String {
        guard let message = try? Gossip_GossipMessage(serializedBytes: envelope.payload) else {
            return "other"
        }
        return switch message.content {
        case .aliveMsg: "alive"
        case .memReq, .memRes: "membership"
        case .hello, .dataDig, .dataReq, .dataUpdate: "certificates"
        case .stateInfo: "state info"
        case .stateSnapshot, .stateInfoPullReq: "snapshots"
        default: "other"
        }
    }

    /// The sizes of networks in the table of docs/flows/gossip.md.
    package static let sizes = [5, 8, 20, 52, 100, 200, 500]

    private static let columns = ["alive", "membership", "certificates", "state info", "snapshots", "other"]

    package static let heading =
        "| peers | organizations | messages/s | bytes/s | all known after | "
        + Self.columns.joined(separator: " | ") + " |\n|"
        + String(repeating: "---:|", count: 5 + Self.columns.count)

    /// A row of a table in Markdown, whose last columns are bytes per second of each kind of message.
    package var row: String {
        let known = self.convergence.map { "\($0) s" } ?? "later"
        let parts = Self.columns.map { "\(Int(self.kinds[$0, default: 0].rounded()))" }
        let figures = [
            "\(self.peers)", "\(self.organizations)", "\((self.messagesPerSecond * 10).rounded() / 10)",
            "\(Int(self.bytesPerSecond.rounded()))", known,
        ]
        return "| \((figures + parts).joined(separator: " | ")) |"
    }
}
