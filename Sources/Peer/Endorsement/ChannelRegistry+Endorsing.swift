internal import Channel
package import FabricProtos

extension PeerChannel: EndorsingChannel {}

extension ChannelRegistry: EndorsingChannels {
    package func channel(named name: String) -> (any EndorsingChannel)? {
        guard let id = try? ChannelID(name) else { return nil }
        return self[id]
    }

    package var channels: [any EndorsingChannel] { self.list }

    package func joinChannel(_ block: Common_Block) async throws {
        try self.join(block)
    }
}
