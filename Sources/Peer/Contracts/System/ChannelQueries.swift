internal import Channel
package import FabricProtos
internal import Foundation
internal import Ledger
internal import SwiftProtobuf

/// The system contract `cscc`: which channels the peer has joined, their configuration, and joining one.
///
/// - Source: Fabric v3.1, `core/scc/cscc/configure.go`.
package struct ChannelQueries: Contract {
    private let channels: any EndorsingChannels
    private let access: AccessGate

    package init(channels: any EndorsingChannels, access: AccessGate) {
        self.channels = channels
        self.access = access
    }

    package func invoke(_ stub: ContractStub) async -> Protos_Response {
        let caller = stub.simulation.proposal.chaincodeName
        guard caller == ChaincodeName.channelConfiguration else {
            return .failure(
                "Rejecting invoke of CSCC from another chaincode, original invocation for '\(caller)'"
            )
        }
        let function = stub.function
        guard !stub.arguments.isEmpty, function == "GetChannels" || stub.arguments.count >= 2 else {
            return .failure("Incorrect number of arguments, \(stub.arguments.count)")
        }
        let argument = stub.arguments.count > 1 ? stub.arguments[1] : Data()
        do {
            return .success(try await self.answer(function, argument, stub))
        } catch let denied as AccessDenied {
            let channel = denied.channel ?? ""
            return .failure("access denied for [\(function)][\(channel)]: \(denied.reason)")
        } catch {
            return .failure(String(describing: error))
        }
    }

    private func answer(_ function: String, _ argument: Data, _ stub: ContractStub) async throws -> Data {
        switch function {
        case "GetChannels":
            try self.authorize(function, nil, stub)
            return try Protos_ChannelQueryResponse.with {
                // What is joined but can't be opened is listed, too: calls that name it are told why.
                let names =
                    self.channels.channels.map(\.id.description)
                    + self.channels.unopened.map(\.channel.description)
                $0.channels = names.sorted().map { name in .with { $0.channelID = name } }
            }.serializedData()
        case "GetConfigBlock":
            let channel = try self.channel(argument)
            try self.authorize(function, channel.id, stub)
            guard let number = try channel.ledger.log.lastConfigBlockNumber(),
                let block = try channel.ledger.log.serializedBlock(number)
            else { throw ContractError("no configuration block found for channel \(channel.id)") }
            return block
        case "GetChannelConfig":
            let channel = try self.channel(argument)
            try self.authorize(function, channel.id, stub)
            return try channel.configuration.config.serializedData()
        case "JoinChain":
            try self.authorize(function, nil, stub)
            guard let block = try? Common_Block(serializedBytes: argument), block.hasHeader, block.hasData
            else {
                throw ContractError("Failed to extract the channel's configuration: not a serialized block")
            }
            do {
                try await self.channels.joinChannel(block)
            } catch {
                throw ContractError("\"JoinChain\" for the given block failed: \(error)")
            }
            return Data()
        case "JoinChainBySnapshot", "JoinBySnapshotStatus":
            try self.authorize(function, nil, stub)
            throw ContractError(
                "\(function): this peer can't join from a snapshot; join with the channel's genesis block"
            )
        default:
            throw ContractError("Requested function \(function) not found.")
        }
    }

    private func channel(_ argument: Data) throws -> any EndorsingChannel {
        let name = String(decoding: argument, as: UTF8.self)
        guard let channel = self.channels.channel(named: name) else {
            if let failure = self.channels.failure(ofChannel: name) { throw failure }
            throw ContractError("Unknown chain ID, \(name.prefix(249))")
        }
        return channel
    }

    private func authorize(_ function: String, _ channel: ChannelID?, _ stub: ContractStub) throws {
        try self.access.authorize(
            AccessRequest(
                resource: "\(ChaincodeName.channelConfiguration)/\(function)",
                channel: channel,
                requester: .verified(stub.creator)
            )
        )
    }
}
