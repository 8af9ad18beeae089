package import FabricProtos
package import Foundation
import SwiftProtobuf

/// The first block of a channel, which holds its first configuration.
package enum GenesisBlock {
    /// Makes the genesis block that a profile describes, as `configtxgen -outputBlock` does.
    ///
    /// All members of a channel must begin with the very same block: nonce and time make each one its own.
    /// Given both, the bytes are always the same.
    ///
    /// - Parameters:
    ///   - channelID: the channel.
    ///   - profile: what the channel is to be.
    ///   - nonce: 24 random bytes.
    ///   - timestamp: the time, of which whole seconds are written.
    /// - Returns: the block.
    /// - Throws: ``InvalidProfile``, or ``ConfigurationError`` if no node would accept the configuration.
    /// - Source: Fabric v3.1, package `internal/configtxgen`, and package `protoutil` for the block.
    package static func make(
        channelID: ChannelID,
        profile: ChannelProfile,
        nonce: Data,
        timestamp: Date
    ) throws -> Common_Block {
        var config = Common_Config()
        config.channelGroup = try profile.channelGroup()
        _ = try ChannelConfiguration(channelID: channelID, config: config)
        return try self.make(channelID: channelID, config: config, nonce: nonce, timestamp: timestamp)
    }

    /// Makes the genesis block that holds a configuration, which is not checked.
    package static func make(
        channelID: ChannelID,
        config: Common_Config,
        nonce: Data,
        timestamp: Date
    ) throws -> Common_Block {
        var channelHeader = Common_ChannelHeader()
        channelHeader.type = Int32(Common_HeaderType.config.rawValue)
        channelHeader.version = 1
        channelHeader.timestamp.seconds = Int64(timestamp.timeIntervalSince1970.rounded(.down))
        channelHeader.channelID = channelID.description
        channelHeader.txID = TransactionID(nonce: nonce, creator: Data()).description

        var options = BinaryEncodingOptions()
        options.useDeterministicOrdering = true
        var payload = Common_Payload()
        payload.header.channelHeader = try channelHeader.serializedBytes()
        payload.header.signatureHeader = try Common_SignatureHeader.with { $0.nonce = nonce }
            .serializedBytes()
        payload.data = try Common_ConfigEnvelope.with { $0.config = config }.serializedBytes(options: options)
        let envelope = try Common_Envelope.with { $0.payload = try payload.serializedBytes() }

        var block = Common_Block.next(after: nil, envelopes: [try envelope.serializedBytes()])
        let orderer = Common_OrdererBlockMetadata.with { $0.lastConfig = Common_LastConfig() }
        block.setMetadata(
            .signatures,
            try Common_Metadata.with { $0.value = try orderer.serializedBytes() }.serializedBytes()
        )
        return block
    }
}
