import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import WeftClient

/// A channel's configuration with the name of the channel.
struct NamedConfiguration {
    var channelID: ChannelID
    var config: Common_Config

    /// The configuration, checked and ready to be asked.
    func checked() throws -> ChannelConfiguration {
        try ChannelConfiguration(channelID: self.channelID, config: self.config)
    }
}

extension NamedConfiguration {
    /// Reads a file: a config block, an envelope of type CONFIG, or a bare configuration as `configtxlator` makes it.
    ///
    /// - Parameters:
    ///   - file: the file's path.
    ///   - channel: the channel's name, for a bare configuration, which doesn't hold it.
    /// - Throws: ``Failure`` if the file holds something else.
    init(file: String, channel: String?) throws {
        let bytes = try readBytes(file, as: "a channel's configuration")
        if let block = try? Common_Block(serializedBytes: bytes), block.hasHeader, block.hasData {
            guard let first = block.data.data.first,
                let envelope = try? Common_Envelope(serializedBytes: first),
                let found = try Self(envelope)
            else {
                throw Failure(
                    "\(file) is block \(block.header.number), which holds no configuration; fetch the config block with: "
                        + "weft channel fetch",
                    code: .configuration
                )
            }
            self = found
        } else if let envelope = try? Common_Envelope(serializedBytes: bytes), !envelope.payload.isEmpty,
            let found = try? Self(envelope)
        {
            self = found
        } else if let config = try? Common_Config(serializedBytes: bytes), config.hasChannelGroup {
            guard let channel else {
                throw Failure(
                    "\(file) is a bare configuration, which doesn't say the channel's name; give it with --channel",
                    code: .usage
                )
            }
            self.init(channelID: try ChannelID(channel), config: config)
        } else {
            throw Failure(
                "\(file) is no config block, no envelope with a configuration and no configuration",
                code: .configuration
            )
        }
    }

    /// The configuration in an envelope of type CONFIG; `nil` for another type.
    private init?(_ envelope: Common_Envelope) throws {
        let headers = try EnvelopeHeaders(envelope)
        guard headers.channel.type == Int32(Common_HeaderType.config.rawValue) else { return nil }
        self.init(
            channelID: try ChannelID(headers.channel.channelID),
            config: try Common_ConfigEnvelope(serializedBytes: headers.payload.data).config
        )
    }
}

extension PeerNode {
    /// The peer's newest config block of the channel.
    func configBlock() async throws -> Common_Block {
        try await Common_Block(
            serializedBytes: self.query(Invocation("cscc", "GetConfigBlock", [self.channel]))
        )
    }

    /// The configuration in force at the peer.
    func configuration() async throws -> NamedConfiguration {
        let bytes = try await self.query(Invocation("cscc", "GetChannelConfig", [self.channel]))
        return NamedConfiguration(
            channelID: try ChannelID(self.channel),
            config: try Common_Config(serializedBytes: bytes)
        )
    }
}

extension ConnectionOptions {
    /// The configuration in a file; without one, that in force at the peer that the flags name.
    func configuration(file: String?) async throws -> NamedConfiguration {
        if let file { return try NamedConfiguration(file: file, channel: self.channel) }
        return try await self.withTarget { connection, target in
            try await connection.peer(channel: target.channel, as: target.signer).configuration()
        }
    }

    /// The identity that signs: of the network, or from an MSP folder.
    func signer() throws -> ClientIdentity {
        if let identity {
            guard let mspID else { throw Failure("--identity needs --msp-id beside it", code: .usage) }
            return try ClientIdentity(mspFolder: identity, mspID: mspID)
        }
        let description = try NetworkDescription(folder: self.network)
        guard let identityName else {
            throw Failure(
                "say who signs: --as with one of \(description.identities.map(\.name).joined(separator: ", ")), "
                    + "or --identity with an MSP folder and --msp-id",
                code: .usage
            )
        }
        return try description.signer(description.identity(identityName))
    }
}
