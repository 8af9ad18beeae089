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
        let bytes = try readArgument(file, as: "a channel's configuration")
        if let block = try? Common_Block(serializedBytes: bytes), block.hasHeader, block.hasData {
            guard let found = try Self(block) else {
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

    /// The configuration in a block; `nil` if there is none.
    init?(_ block: Common_Block) throws {
        guard let first = block.data.data.first, let envelope = try? Common_Envelope(serializedBytes: first)
        else { return nil }
        try self.init(envelope)
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

/// A node that serves the blocks from which a channel's configuration is read.
protocol ConfigurationSource: Sendable {
    func configBlock() async throws -> Common_Block
    func genesisBlock() async throws -> Common_Block
}

extension PeerNode: ConfigurationSource {
    func configBlock() async throws -> Common_Block {
        try await self.block("cscc", "GetConfigBlock", [self.channel])
    }

    func genesisBlock() async throws -> Common_Block {
        try await self.block("qscc", "GetBlockByNumber", [self.channel, "0"])
    }

    private func block(
        _ contract: String,
        _ function: String,
        _ arguments: [String]
    ) async throws -> Common_Block {
        try await Common_Block(serializedBytes: self.query(Invocation(contract, function, arguments)))
    }
}

extension OrderingNode: ConfigurationSource {
    func configBlock() async throws -> Common_Block {
        try await self.block(.block(self.block(.newestBlock).lastConfigNumber()))
    }

    func genesisBlock() async throws -> Common_Block { try await self.block(.oldestBlock) }

    private func block(_ position: Orderer_SeekPosition) async throws -> Common_Block {
        switch try await self.block(at: position) {
        case .block(let block): return block
        case .status(let status):
            throw Failure(
                "the orderer serves no blocks of channel \(self.channel): it answered \(status.name)"
            )
        }
    }
}

extension ConfigurationSource {
    /// The configuration in force at the node.
    func configuration() async throws -> NamedConfiguration {
        let block = try await self.configBlock()
        guard let found = try NamedConfiguration(block) else {
            throw Failure("block \(block.header.number) should hold the configuration, and doesn't")
        }
        return found
    }
}

extension ConnectionOptions {
    /// The configuration in a file; without one, that in force at the peer that the flags name.
    func configuration(file: String?) async throws -> NamedConfiguration {
        if let file { return try NamedConfiguration(file: file, channel: self.channel) }
        return try await self.withConfigurationSource { source, _ in try await source.configuration() }
    }

    /// Calls `body` with the peer; when the peer doesn't tell the channel's configuration, with an orderer.
    ///
    /// - Parameters:
    ///   - orderer: The orderer's address; without one, the orderer in the network's description, if there is any.
    ///   - body: Gets the node, and as whom and where it is asked.
    /// - Returns: What `body` returns.
    /// - Throws: ``Failure`` with both reasons when neither tells it, and what `body` throws.
    func withConfigurationSource<Value: Sendable>(
        orderer: String? = nil,
        _ body: (any ConfigurationSource, Target) async throws -> Value
    ) async throws -> Value {
        let other = try self.ordererTarget(orderer)
        if self.peer == nil, self.identity != nil, let other {
            return try await withConnection(to: other.endpoint, security: other.security) {
                try await body($0.orderer(channel: other.channel, as: other.signer), other)
            }
        }
        let target = try self.resolve()
        let answer = try await withConnection(to: target.endpoint, security: target.security) {
            connection -> Result<Value, any Error> in
            let peer = connection.peer(channel: target.channel, as: target.signer)
            do { _ = try await peer.configBlock() } catch { return .failure(error) }
            return .success(try await body(peer, target))
        }
        guard case .failure(let failure) = answer, let other else { return try answer.get() }
        return try await withConnection(to: other.endpoint, security: other.security) { connection in
            let node = connection.orderer(channel: other.channel, as: other.signer)
            do { _ = try await node.configBlock() } catch {
                throw Failure("\(failure); nor does an orderer tell it: \(error)", code: .unavailable)
            }
            return try await body(node, other)
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
