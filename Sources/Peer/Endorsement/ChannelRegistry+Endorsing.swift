package import Channel
package import FabricProtos

extension PeerChannel: EndorsingChannel {
    package func expect(_ transactionID: String, asOf height: BlockNumber) {
        self.committed.expect(transactionID, asOf: height)
    }
}

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
