import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import Testing
import WeftContract

@testable import WeftContractTesting

/// The contract's end of a chaincode stream, with peers that keep the protocol and others.
@Suite(.timeLimit(.minutes(5))) struct ContractStreamTests {
    /// A peer that sends what a test says, and sees what comes back.
    private struct TestPeer {
        let send: AsyncStream<Protos_ChaincodeMessage>.Continuation
        var received: AsyncStream<Protos_ChaincodeMessage>.AsyncIterator

        mutating func next() async -> Protos_ChaincodeMessage? { await self.received.next() }

        func say(_ type: Protos_ChaincodeMessage.TypeEnum, _ payload: Data = Data(), txid: String = "") {
            self.send.yield(
                .with {
                    $0.type = type
                    $0.payload = payload
                    $0.txid = txid
                    $0.channelID = "c"
                }
            )
        }
    }

    /// Runs a stream with `body` as its peer; returns why the stream ended.
    private func run(_ body: (inout TestPeer) async throws -> Void) async throws -> String {
        let (toContract, send) = AsyncStream.makeStream(of: Protos_ChaincodeMessage.self)
        let (toPeer, receive) = AsyncStream.makeStream(of: Protos_ChaincodeMessage.self)
        let stream = ContractStream(packageID: "probe:1", contracts: try ContractSet([ProbeContract()])) {
            receive.yield($0)
        }
        let running = Task {
            do {
                defer { receive.finish() }
                try await stream.run(toContract)
                return "ended"
            } catch {
                return "\(error)"
            }
        }
        var peer = TestPeer(send: send, received: toPeer.makeAsyncIterator())
        try await body(&peer)
        send.finish()
        return await running.value
    }

    private func begin(_ peer: inout TestPeer) async throws {
        let registration = try #require(await peer.next())
        #expect(registration.type == .register)
        #expect(try Protos_ChaincodeID(serializedBytes: registration.payload).name == "probe:1")
        peer.say(.registered)
        peer.say(.ready)
    }

    @Test func aKeepaliveIsEchoedAtAnyTime() async throws {
        let end = try await self.run { peer in
            peer.say(.keepalive)
            try await self.begin(&peer)
            #expect(await peer.next()?.type == .keepalive)
            peer.say(.keepalive)
            #expect(await peer.next()?.type == .keepalive)
        }
        #expect(end == "ended")
    }

    @Test func aRefusalIsTheReasonOfTheEnd() async throws {
        let end = try await self.run { peer in peer.say(.error, Data("duplicate chaincodeID".utf8)) }
        #expect(end == "the peer refused: duplicate chaincodeID")
    }

    @Test func whatOnlyContractsSendEndsTheStream() async throws {
        let end = try await self.run { peer in
            try await self.begin(&peer)
            peer.say(.getState)
            #expect(await peer.next()?.type == .error)
        }
        #expect(end.hasPrefix("the peer sent"), "\(end)")
    }

    @Test func aTransactionWithoutAProposalEndsWithError() async throws {
        let end = try await self.run { peer in
            try await self.begin(&peer)
            peer.say(.transaction, Data([0xff]), txid: "t1")
            let answer = try #require(await peer.next())
            #expect(answer.type == .error && answer.txid == "t1" && answer.channelID == "c")
            // Answers that nobody waits for mean nothing.
            peer.say(.response, txid: "t1")
            peer.say(.response, txid: "t2")
            peer.say(.keepalive)
            #expect(await peer.next()?.type == .keepalive)
        }
        #expect(end == "ended")
    }

    /// The message with which a peer begins a transaction.
    private func transaction(_ arguments: String...) throws -> Protos_ChaincodeMessage {
        let user = try TestOrganization("Org1MSP").issue("u", unit: "client")
        let proposal = try Proposal(
            channel: "c",
            chaincode: "probe",
            arguments: arguments.map { Data($0.utf8) },
            signer: user,
            nonce: Data(repeating: 1, count: 24),
            timestamp: Date(timeIntervalSince1970: 0)
        )
        let input = Protos_ChaincodeInput.with { $0.args = arguments.map { Data($0.utf8) } }
        let payload: Data = try input.serializedBytes()
        return .with {
            $0.type = .transaction
            $0.txid = "t1"
            $0.channelID = "c"
            $0.payload = payload
            $0.proposal = proposal.signed
        }
    }

    @Test func aTransactionAsksForOneThingAtATime() async throws {
        let end = try await self.run { peer in
            try await self.begin(&peer)
            peer.send.yield(try self.transaction("Concurrently", #"["a","b","c"]"#))
            for _ in 0..<3 {
                #expect(await peer.next()?.type == .getState)
                // An echo that comes before the next request shows that there is none yet.
                peer.say(.keepalive)
                #expect(await peer.next()?.type == .keepalive)
                peer.say(.response, Data("xy".utf8), txid: "t1")
            }
            let answer = try #require(await peer.next())
            #expect(answer.type == .completed)
            #expect(try Protos_Response(serializedBytes: answer.payload).payload == Data("6".utf8))
        }
        #expect(end == "ended")
    }

    @Test func aRefusalOfThePeerFailsTheTransaction() async throws {
        let end = try await self.run { peer in
            try await self.begin(&peer)
            peer.send.yield(try self.transaction("Get", "k"))
            #expect(await peer.next()?.type == .getState)
            peer.say(.error, Data("GET_STATE failed: no".utf8), txid: "t1")
            let answer = try #require(await peer.next())
            let response = try Protos_Response(serializedBytes: answer.payload)
            #expect(response.status == 500 && response.message == "GET_STATE failed: no")
        }
        #expect(end == "ended")
    }

    @Test func aTransactionThatWaitsWhenTheStreamEndsIsGivenUp() async throws {
        let end = try await self.run { peer in
            try await self.begin(&peer)
            peer.send.yield(try self.transaction("Get", "k"))
            #expect(await peer.next()?.type == .getState)
        }
        #expect(end == "ended")
    }

    /// Twice the same transaction: as when a contract calls itself.
    @Test func aTransactionThatRunsAlreadyIsRefused() async throws {
        let end = try await self.run { peer in
            try await self.begin(&peer)
            peer.send.yield(try self.transaction("Get", "k"))
            #expect(await peer.next()?.type == .getState)
            peer.send.yield(try self.transaction("Get", "k"))
            let refused = try #require(await peer.next())
            #expect(refused.type == .error && refused.txid == "t1")
        }
        #expect(end == "ended")
    }
}
