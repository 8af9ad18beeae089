internal import Channel
internal import Synchronization

/// The channels that a node orders, by name.
final class OrderingChannels: Sendable {
    private let channels = Mutex<[String: OrderingChannel]>([:])

    subscript(name: String) -> OrderingChannel? { self.channels.withLock { $0[name] } }

    /// All channels, in the order of their names.
    var all: [OrderingChannel] {
        self.channels.withLock { channels in channels.sorted { $0.key < $1.key }.map(\.value) }
    }

    func add(_ channel: OrderingChannel) {
        self.channels.withLock { $0[channel.id.description] = channel }
    }

    func remove(_ channel: ChannelID) {
        self.channels.withLock { $0[channel.description] = nil }
    }
}
