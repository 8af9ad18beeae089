import Channel
import FabricProtos
import Foundation
import Ledger
import Logging
import SwiftProtobuf
import TestSupport
import Testing

@testable import Peer

/// Plays the contract's half of streams that were recorded between a real peer and contracts on Fabric's shims, and
/// compares what our peer answers, on the state that the real one had.
@Suite(.serialized, .enabled(if: VectorReport.applies("chaincode-stream")))
struct ChaincodeStreamConformanceTests {
    private struct Recorded {
        var isFromPeer: Bool
        var message: Protos_ChaincodeMessage
    }

    /// The messages of a recording: a byte for the direction, a length, the message.
    private static func messages(_ file: String) throws -> [Recorded] {
        let folder = VectorReport.folder("chaincode-stream")
        var rest = try Data(contentsOf: folder.appendingPathComponent("\(file).stream"))
        var messages: [Recorded] = []
        while let direction = rest.popFirst() {
            var length = 0
            var shift = 0
            while let byte = rest.popFirst() {
                length |= Int(byte & 0x7F) << shift
                shift += 7
                if byte & 0x80 == 0 { break }
            }
            let message = try Protos_ChaincodeMessage(serializedBytes: Data(rest.prefix(length)))
            rest = rest.dropFirst(length)
            messages.append(Recorded(isFromPeer: direction == UInt8(ascii: "P"), message: message))
        }
        return messages
    }

    @Test(arguments: [("go-shim", "gorec", 331), ("py-shim", "pyrec", 285)])
    func everyAnswerIsThatOfARealPeer(file: String, chaincode: String, count: Int) async throws {
        let recording = try Self.messages(file)
        #expect(recording.count == count)
        let name = try Protos_ChaincodeID(serializedBytes: recording[0].message.payload).name
        let stream = ChaincodeStream(
            packageID: name,
            options: .init(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        defer { stream.end() }
        let chain = try GrowingChannel()
        var outbound = stream.outbound.makeAsyncIterator()
        var running: Task<Protos_Response, any Error>?
        /// Our identifiers of iterators, by the real peer's.
        var iterators: [String: String] = [:]
        /// By transaction; those of the handshake under the empty identifier.
        var faults: [String: [String]] = [:]
        for (index, recorded) in recording.enumerated() {
            guard recorded.isFromPeer else {
                stream.received(try Self.renamed(recorded.message, iterators))
                guard recorded.message.type == .completed else { continue }
                let response = try await running?.value
                #expect(response == (try Protos_Response(serializedBytes: recorded.message.payload)))
                continue
            }
            if recorded.message.type == .transaction {
                try chain.advance(to: recorded.message.txid)
                running = try chain.run(recorded.message, chaincode, on: stream)
            }
            let ours = try #require(await outbound.next(), "message \(index): the stream ended")
            let differences = try Self.differences(ours, recorded.message, &iterators)
            faults[recorded.message.txid, default: []] += differences.map { "message \(index): \($0)" }
        }
        for (transaction, faults) in faults.sorted(by: { $0.key < $1.key }) {
            #expect(faults.isEmpty, "\(faults.joined(separator: "\n"))")
            VectorReport.record(
                folder: "chaincode-stream",
                name: "\(file) \(transaction.isEmpty ? "handshake" : transaction)",
                holds: faults.isEmpty,
                note: faults.joined(separator: "; ")
            )
        }
    }

    /// A request of the contract with our identifier of the iterator in it.
    private static func renamed(
        _ message: Protos_ChaincodeMessage,
        _ iterators: [String: String]
    ) throws -> Protos_ChaincodeMessage {
        var message = message
        switch message.type {
        case .queryStateNext:
            let identifier = try Protos_QueryStateNext(serializedBytes: message.payload).id
            message.payload = try Protos_QueryStateNext.with { $0.id = iterators[identifier] ?? "" }
                .serializedData()
        case .queryStateClose:
            let identifier = try Protos_QueryStateClose(serializedBytes: message.payload).id
            message.payload = try Protos_QueryStateClose.with { $0.id = iterators[identifier] ?? "" }
                .serializedData()
        default: break
        }
        return message
    }

    private static func differences(
        _ ours: Protos_ChaincodeMessage,
        _ theirs: Protos_ChaincodeMessage,
        _ iterators: inout [String: String]
    ) throws -> [String] {
        var (ours, theirs) = (ours, theirs)
        var faults: [String] = []
        if (ours.type, ours.txid, ours.channelID) != (theirs.type, theirs.txid, theirs.channelID) {
            faults.append("\(ours.type.name) \(ours.txid), not \(theirs.type.name) \(theirs.txid)")
        }
        if ours.proposal != theirs.proposal { faults.append("another proposal") }
        if theirs.type == .response, var mine = try? Protos_QueryResponse(serializedBytes: ours.payload),
            var real = try? Protos_QueryResponse(serializedBytes: theirs.payload), real.id.count == 36,
            !mine.id.isEmpty
        {
            // Iterators are called by random identifiers there.
            iterators[real.id] = mine.id
            (mine.id, real.id) = ("", "")
            (ours.payload, theirs.payload) = (try mine.serializedData(), try real.serializedData())
        }
        if ours.payload != theirs.payload {
            let mine = String(decoding: ours.payload, as: UTF8.self)
            let real = String(decoding: theirs.payload, as: UTF8.self)
            faults.append("\"\(mine)\", not \"\(real)\"")
        }
        return faults
    }
}

/// The recorded channel, block by block.
private final class GrowingChannel {
    private let blocks: [Common_Block]
    private let blockOfTransaction: [String: Int]
    private let ledger: Ledger
    private let runner: ContractRunner
    private let configuration: ChannelConfiguration
    private let id: ChannelID

    private struct Channel: EndorsingChannel {
        let id: ChannelID
        let ledger: Ledger
        let configuration: ChannelConfiguration
    }

    private struct Channels: EndorsingChannels {
        let channel: Channel
        func channel(named name: String) -> (any EndorsingChannel)? { self.channel }
        var channels: [any EndorsingChannel] { [self.channel] }
        func joinChannel(_ block: Common_Block) async throws {}
    }

    init() throws {
        let file = VectorReport.folder("blocks").appendingPathComponent("main.peer.blocks")
        self.blocks = try BlockFile(contentsOf: file).map { try Common_Block(serializedBytes: $0) }
        var blockOfTransaction: [String: Int] = [:]
        for (number, block) in self.blocks.enumerated() {
            for envelope in block.data.data {
                guard let envelope = try? Common_Envelope(serializedBytes: envelope),
                    let headers = try? EnvelopeHeaders(envelope)
                else { continue }
                blockOfTransaction[headers.channel.txID] = number
            }
        }
        self.blockOfTransaction = blockOfTransaction
        let whole = try RecordedChannel("main", privateValuesOf: nil)
        self.configuration = whole.configuration
        self.id = whole.id
        self.ledger = try Ledger(channelID: whole.id, stores: .inMemory())
        let channel = Channel(id: whole.id, ledger: self.ledger, configuration: whole.configuration)
        let own = try MSPID("AlphaMSP")
        guard let localMSP = whole.configuration.directory[own] else { throw ContractError("no AlphaMSP") }
        let configuration = whole.configuration
        self.runner = ContractRunner(
            catalog: ContractCatalog(system: [:], builtIn: ["othercc": ScriptContract()]),
            channels: Channels(channel: channel),
            access: AccessGate(localMSP: localMSP, configuration: { _ in configuration }, record: { _ in }),
            ownOrganization: own
        )
        // The contracts of the recordings were defined before the first of their transactions.
        try self.commit(below: 45)
    }

    /// Commits what was in the ledger when the transaction was endorsed.
    func advance(to transaction: String) throws {
        if let number = self.blockOfTransaction[transaction] {
            try self.commit(below: number)
            self.pending = number + 1
        } else if let pending {
            try self.commit(below: pending)
        }
    }

    /// The height that the ledger has once the transaction that was endorsed last is committed.
    private var pending: Int?

    private func commit(below number: Int) throws {
        while self.ledger.height < UInt64(number) {
            let block = self.blocks[Int(self.ledger.height)]
            let transactions = zip(block.metadata(.transactionsFilter), block.data.data).map {
                code,
                envelope in
                TransactionToCommit(
                    code: Protos_TxValidationCode(rawValue: Int(code)) ?? .invalidOtherReason,
                    envelope: envelope
                )
            }
            _ = try self.ledger.commit(BlockToCommit(block: block, transactions: transactions))
        }
    }

    /// Has the contract at the other end of `stream` execute what the recorded message asks for.
    func run(
        _ message: Protos_ChaincodeMessage,
        _ chaincode: String,
        on stream: ChaincodeStream
    ) throws -> Task<Protos_Response, any Error> {
        let proposal = try UnpackedProposal(message.proposal)
        let creator = try self.configuration.directory.identity(from: proposal.signatureHeader.creator)
        let channel = Channel(id: self.id, ledger: self.ledger, configuration: self.configuration)
        let runner = self.runner
        return Task {
            let simulation = Simulation(
                proposal: proposal,
                creator: creator,
                channel: channel,
                recording: true
            )
            let callee = ContractRunner.Callee(
                name: chaincode,
                contract: Behind(stream: stream),
                definition: nil
            )
            do {
                return try await runner.run(
                    callee,
                    arguments: proposal.input.args,
                    isInit: proposal.input.isInit,
                    in: simulation
                ).response
            } catch {
                // Whoever waits for a message sees the end of the stream.
                stream.end()
                throw error
            }
        }
    }

    private struct Behind: Contract {
        let stream: ChaincodeStream
        func invoke(_ stub: ContractStub) async throws -> Protos_Response {
            try await self.stream.execute(stub)
        }
    }
}
