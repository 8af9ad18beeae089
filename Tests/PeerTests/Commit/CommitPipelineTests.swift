import Channel
import FabricProtos
import Foundation
import Ledger
import SwiftProtobuf
import Testing

@testable import Peer

@Suite struct CommitPipelineTests {
    @Test func commitsAChainAndTellsThoseWhoWait() async throws {
        let registry = VectorNetwork.registry()
        let chain = try VectorNetwork.chain("side")
        let channel = try registry.join(chain[0])
        let pipeline = try VectorNetwork.pipeline(channel)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await channel.committed.waitForBlock(3) }
            group.addTask { try await pipeline.run(AsyncStream(chain.dropFirst())) }
            try await group.waitForAll()
        }
        #expect(channel.ledger.height == UInt64(chain.count))
        let last = try #require(try channel.block(3))
        #expect(last.header == chain[3].header)
        #expect(last.metadata(.transactionsFilter) == Data([0]))
    }

    @Test func refusesABlockThatDoesNotFollowAndKeepsWhatCameBefore() async throws {
        let registry = VectorNetwork.registry()
        let chain = try VectorNetwork.chain("side")
        let channel = try registry.join(chain[0])
        await #expect {
            try await VectorNetwork.pipeline(channel).run(AsyncStream([chain[1], chain[3]]))
        } throws: { error in
            (error as? RefusedBlock)?.number == 2
        }
        #expect(channel.ledger.height == 2)
        try await VectorNetwork.pipeline(channel).run(AsyncStream(chain[2...]))
        #expect(channel.ledger.height == 4)
    }

    @Test(arguments: ["nobody", "a user", "another orderer"])
    func checksWhoSignedABlock(signer: String) async throws {
        let registry = VectorNetwork.registry()
        let channel = try await VectorNetwork.sideChannel(in: registry)
        let message = try VectorNetwork.message(channel, from: VectorNetwork.user("alpha"))
        var block = try VectorNetwork.nextBlock(
            of: channel,
            [message],
            signer: signer == "another orderer" ? VectorNetwork.orderer(1) : VectorNetwork.user("alpha")
        )
        if signer == "nobody" { block.setMetadata(.signatures, Data()) }
        let isGood = signer == "another orderer"
        do {
            try await VectorNetwork.pipeline(channel).run(AsyncStream([block]))
            #expect(isGood)
        } catch {
            #expect(!isGood && error is RefusedBlock, "\(error)")
        }
        #expect(channel.ledger.height == (isGood ? 5 : 4))
    }

    /// A block with an envelope that is not well-formed is refused as a whole, as real peers do.
    @Test func refusesABlockWithAnUnsignedEnvelope() async throws {
        let registry = VectorNetwork.registry()
        let channel = try await VectorNetwork.sideChannel(in: registry)
        var message = try VectorNetwork.message(channel, from: VectorNetwork.user("alpha"))
        message.signature = Data()
        let block = try VectorNetwork.nextBlock(of: channel, [message], signer: VectorNetwork.orderer())
        await #expect(throws: RefusedBlock.self) {
            try await VectorNetwork.pipeline(channel).run(AsyncStream([block]))
        }
        #expect(channel.ledger.height == 4)
    }

    @Test func commitsABlockOfInvalidTransactionsWithTheirCodes() async throws {
        let registry = VectorNetwork.registry()
        let channel = try await VectorNetwork.sideChannel(in: registry)
        let chain = try VectorNetwork.chain("side")
        let duplicate = try Common_Envelope(serializedBytes: chain[3].data.data[0])
        let message = try VectorNetwork.message(channel, from: VectorNetwork.user("alpha"))
        let block = try VectorNetwork.nextBlock(
            of: channel,
            [message, duplicate],
            signer: VectorNetwork.orderer()
        )
        try await VectorNetwork.pipeline(channel).run(AsyncStream([block]))
        let codes = try #require(try channel.block(4)).metadata(.transactionsFilter).map(Int.init)
        #expect(
            codes == [
                Protos_TxValidationCode.badCommonHeader.rawValue,
                Protos_TxValidationCode.duplicateTxid.rawValue,
            ]
        )
        let identifier = try DecodedTransaction.decode(chain[3].data.data[0]).transactionID
        #expect(try await channel.status(ofTransaction: identifier).code == .valid)
    }

    /// A configuration that needs more than this peer can do stops the channel, without damage.
    @Test func haltsBeforeAnUnknownCapability() async throws {
        let registry = VectorNetwork.registry()
        let channel = try await VectorNetwork.sideChannel(in: registry)
        var config = channel.configuration.config
        config.sequence += 1
        var capabilities = Common_Capabilities()
        capabilities.capabilities = ["V9_9": Common_Capability()]
        config.channelGroup.groups["Application"]?.values["Capabilities"]?.value =
            try capabilities.serializedBytes()
        var envelope = Common_ConfigEnvelope()
        envelope.config = config
        let signer = try VectorNetwork.orderer()
        let block = try VectorNetwork.nextBlock(
            of: channel,
            [
                Common_Envelope.signed(
                    .config,
                    channel: channel.id.description,
                    data: envelope.serializedBytes(),
                    signer: signer,
                    nonce: Data(repeating: 1, count: 24),
                    timestamp: Date()
                )
            ],
            signer: signer
        )
        await #expect {
            try await VectorNetwork.pipeline(channel).run(AsyncStream([block]))
        } throws: { error in
            error is ChannelHalted
        }
        #expect(channel.ledger.height == 4)
    }
}
