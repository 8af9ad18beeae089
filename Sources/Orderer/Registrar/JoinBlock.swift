internal import Channel
internal import FabricProtos
internal import Foundation

/// A config block with which a channel can be joined: complete, intact, and an application channel's.
///
/// Source: Fabric v3.1, package `orderer/common/channelparticipation`, validation of a join block.
struct JoinBlock: Sendable {
    let block: Common_Block
    let configuration: ChannelConfiguration

    init(_ block: Common_Block) throws(ParticipationError) {
        guard block.hasHeader, block.isConfigBlock else {
            throw .invalidBlock(
                "block is not a config block: give the channel's genesis block, such as configtxgen makes"
            )
        }
        guard !block.metadata.metadata.isEmpty else { throw .invalidBlock("block does not have metadata") }
        guard block.header.dataHash == Common_Block.dataHash(block.data.data) else {
            throw .invalidBlock("Header.DataHash is different from Hash(block.Data): the block is damaged")
        }
        do {
            self.configuration = try ChannelConfiguration(configBlock: block)
        } catch {
            throw .invalidBlock("\(error)")
        }
        guard !self.configuration.isSystemChannel else {
            throw .invalidBlock("invalid config: contains consortiums: system channel not supported")
        }
        guard self.configuration.application != nil else {
            throw .invalidBlock("invalid config: must contain application config")
        }
        self.block = block
    }

    /// Checks that this version of the node can order the channel.
    ///
    /// - Throws: ``OrdererError`` or ``InvalidConsensusMetadata``.
    func checkOrderable(at now: Date) throws {
        try self.configuration.checkCapabilities()
        try ChannelConsenters(self.configuration).checkCertificates(under: self.configuration, at: now)
    }
}

extension ChannelConfiguration {
    /// Checks that an orderer of this version has what the channel requires.
    ///
    /// - Throws: ``OrdererError``.
    func checkCapabilities() throws(OrdererError) {
        let unknown = [Capabilities.Level.channel, .orderer].flatMap { level in
            self.capabilities.unsupported(at: level).map { "\(level.rawValue) capability \($0)" }
        }
        guard unknown.isEmpty else { throw .unsupportedCapabilities(self.channelID, unknown) }
    }
}
