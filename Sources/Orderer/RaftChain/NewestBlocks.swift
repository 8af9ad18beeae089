internal import Channel
internal import FabricProtos
internal import Ledger

/// The newest block of a ledger, and the configuration in force after it.
struct NewestBlocks {
    var last: Common_Block
    var configNumber: BlockNumber
    var configuration: ChannelConfiguration

    /// - Throws: ``OrdererError`` or ``ChainHalted`` if the ledger isn't one that this node can go on with.
    init(_ log: BlockLog, of channelID: ChannelID) throws {
        guard let lastHeader = log.lastHeader, let last = try log.block(lastHeader.number) else {
            throw OrdererError.noGenesisBlock(channelID)
        }
        self.last = last
        self.configNumber = last.isConfigBlock ? lastHeader.number : try last.lastConfigNumber()
        guard let configBlock = try log.block(self.configNumber) else {
            throw OrdererError.missingConfigBlock(channelID, number: self.configNumber)
        }
        self.configuration = try ChannelConfiguration(configBlock: configBlock)
        guard self.configuration.channelID == channelID else {
            throw OrdererError.otherChannel(expected: channelID, found: self.configuration.channelID)
        }
        do {
            try self.configuration.checkCapabilities()
        } catch {
            throw ChainHalted(reason: error.description)
        }
    }
}
