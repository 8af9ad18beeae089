import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

@testable import Peer

/// What may come when on a chaincode stream, and what follows.
@Suite struct ChaincodeStreamRulesTests {
    typealias Rules = ChaincodeStreamRules

    private static let transaction = Rules.Transaction(channel: "main", id: "t1")

    private static func message(
        _ type: Protos_ChaincodeMessage.TypeEnum,
        _ transaction: Rules.Transaction = Self.transaction,
        payload: Data = Data()
    ) -> Protos_ChaincodeMessage {
        .with {
            $0.type = type
            $0.txid = transaction.id
            $0.channelID = transaction.channel
            $0.payload = payload
        }
    }

    private static func register(_ name: String) throws -> Protos_ChaincodeMessage {
        let payload = try Protos_ChaincodeID.with { $0.name = name }.serializedData()
        return .with {
            $0.type = .register
            $0.payload = payload
        }
    }

    private static func ready(_ options: Rules.Options = .init()) throws -> Rules {
        var rules = Rules(packageID: "cc:01", options: options)
        _ = rules.received(try self.register("cc:01"))
        return rules
    }

    @Test func registrationIsAnsweredAsARealPeerDoes() throws {
        var rules = Rules(packageID: "cc:01")
        #expect(!rules.isReady)
        let commands = rules.received(try Self.register("cc:01"))
        #expect(rules.isReady)
        #expect(
            commands == [
                .send(.with { $0.type = .registered }),
                .send(
                    .with {
                        $0.type = .ready
                        $0.payload = Data(hexadecimal: "080110e807180120e807") ?? Data()
                    }
                ),
                .ready,
            ]
        )
    }

    @Test(arguments: ["cc:02", ""])
    func aContractThatRegistersAsAnotherIsTurnedAway(name: String) throws {
        var rules = Rules(packageID: "cc:01")
        let commands = rules.received(try Self.register(name))
        #expect(!rules.isReady)
        guard case .close(let reason)? = commands.last else {
            Issue.record("not closed: \(commands)")
            return
        }
        #expect(reason.contains("cc:01"))
    }

    @Test func nothingButARegistrationMayComeFirst() {
        var rules = Rules(packageID: "cc:01")
        #expect(rules.received(.with { $0.type = .keepalive }).isEmpty)
        let commands = rules.received(Self.message(.getState))
        #expect(commands.contains(.close("sent GET_STATE before it registered")))
        #expect(rules.received(Self.message(.getState)).isEmpty, "a closed stream takes nothing more")
    }

    @Test(arguments: [
        Protos_ChaincodeMessage.TypeEnum.register, .registered, .ready, .transaction, .init_, .response,
        .undefined,
        .UNRECOGNIZED(77),
    ])
    func whatOnlyPeersSendEndsTheStreamAndWhatRunsOnIt(type: Protos_ChaincodeMessage.TypeEnum) throws {
        var rules = try Self.ready()
        _ = try rules.begin(Self.message(.transaction), at: .zero)
        let commands = rules.received(Self.message(type))
        #expect(commands.contains(.close("sent \(type.name), which only peers send")))
        #expect(commands.last == .finish(Self.transaction, .streamLost))
    }

    @Test func aTransactionEndsWithOneMessage() throws {
        var rules = try Self.ready()
        let start = Self.message(.transaction)
        #expect(try rules.begin(start, at: .zero) == [.send(start)])
        #expect(rules.transactions == 1)
        let end = Self.message(.completed, payload: Data([1]))
        #expect(rules.received(end) == [.finish(Self.transaction, .completed(end))])
        #expect(rules.transactions == 0)
        guard case .note? = rules.received(end).first else {
            Issue.record("a second end is noted and left out")
            return
        }
    }

    @Test func theContractsErrorIsTheTransactionsEnd() throws {
        var rules = try Self.ready()
        _ = try rules.begin(Self.message(.transaction), at: .zero)
        let commands = rules.received(Self.message(.error, payload: Data("no".utf8)))
        #expect(commands == [.finish(Self.transaction, .failed("no"))])
    }

    @Test func theSameTransactionRunsOnceAtATime() throws {
        var rules = try Self.ready()
        _ = try rules.begin(Self.message(.transaction), at: .zero)
        let error = #expect(throws: ContractError.self) {
            try rules.begin(Self.message(.transaction), at: .zero)
        }
        #expect(error?.description == "txid: t1(main) exists")
        _ = try rules.begin(Self.message(.transaction, .init(channel: "side", id: "t1")), at: .zero)
        #expect(rules.transactions == 2)
    }

    @Test func moreTransactionsThanAllowedAreRefused() throws {
        var options = Rules.Options()
        options.transactions = 1
        var rules = try Self.ready(options)
        _ = try rules.begin(Self.message(.transaction), at: .zero)
        #expect(throws: ContractError.self) {
            try rules.begin(Self.message(.transaction, .init(channel: "main", id: "t2")), at: .zero)
        }
    }

    @Test func aRequestIsAnsweredOnceAndASecondOneAtTheSameTimeIsLeftOut() throws {
        var rules = try Self.ready()
        _ = try rules.begin(Self.message(.transaction), at: .zero)
        let request = Self.message(.getState)
        #expect(rules.received(request) == [.answer(request, Self.transaction)])
        guard case .note? = rules.received(request).first else {
            Issue.record("the second request must not be answered")
            return
        }
        let answer = request.response(Data([7]))
        #expect(rules.answered(Self.transaction, with: answer) == [.send(answer)])
        #expect(rules.answered(Self.transaction, with: answer).isEmpty)
        #expect(rules.received(request) == [.answer(request, Self.transaction)])
    }

    @Test(arguments: [
        (
            Protos_ChaincodeMessage.TypeEnum.putState,
            "PUT_STATE failed: transaction ID: t9: no ledger context"
        ),
        (.invokeChaincode, "INVOKE_CHAINCODE failed: transaction ID: t9: could not get valid transaction"),
    ])
    func aRequestForATransactionThatDoesNotRunHereIsRefused(
        type: Protos_ChaincodeMessage.TypeEnum,
        text: String
    ) throws {
        var rules = try Self.ready()
        _ = try rules.begin(Self.message(.transaction), at: .zero)
        let other = Rules.Transaction(channel: "main", id: "t9")
        let commands = rules.received(Self.message(type, other))
        #expect(commands.count == 2)
        guard case .send(let answer)? = commands.last else {
            Issue.record("not answered: \(commands)")
            return
        }
        #expect(answer.type == .error && answer.txid == "t9" && answer.channelID == "main")
        #expect(String(decoding: answer.payload, as: UTF8.self) == text)
    }

    @Test func whatTakesTooLongIsForgotten() throws {
        var rules = try Self.ready()
        _ = try rules.begin(Self.message(.transaction), at: .seconds(1))
        #expect(rules.passed(.seconds(30)).isEmpty)
        #expect(rules.passed(.seconds(31)) == [.finish(Self.transaction, .timedOut)])
        #expect(rules.transactions == 0)
        guard case .send(let late)? = rules.received(Self.message(.getState)).last else {
            Issue.record("a late request is refused")
            return
        }
        #expect(late.type == .error)
    }

    @Test func anAnswerThatComesTooLateIsNotSent() throws {
        var rules = try Self.ready()
        _ = try rules.begin(Self.message(.transaction), at: .zero)
        let request = Self.message(.getState)
        _ = rules.received(request)
        _ = rules.passed(.seconds(60))
        #expect(rules.answered(Self.transaction, with: request.response()).isEmpty)
    }

    @Test func aLostStreamEndsEverythingThatRunsOnIt() throws {
        var rules = try Self.ready()
        let names = ["a", "b", "c"].map { Rules.Transaction(channel: "main", id: $0) }
        for name in names { _ = try rules.begin(Self.message(.transaction, name), at: .zero) }
        #expect(rules.lost() == names.map { .finish($0, .streamLost) })
        let error = #expect(throws: ContractError.self) {
            try rules.begin(Self.message(.transaction), at: .zero)
        }
        #expect(error?.description == "chaincode stream terminated")
    }

    @Test func messagesOutOfTurnAreNotedAHundredTimesAndEndTheStreamInTheEnd() throws {
        var options = Rules.Options()
        options.strays = 150
        var rules = try Self.ready(options)
        _ = try rules.begin(Self.message(.transaction), at: .zero)
        let other = Rules.Transaction(channel: "main", id: "t9")
        var notes = 0
        for _ in 0..<150 {
            for case .note in rules.received(Self.message(.completed, other)) { notes += 1 }
        }
        #expect(notes == 100 && rules.isReady)
        let commands = rules.received(Self.message(.getState, other))
        #expect(commands.contains(.close("sent more than 150 messages out of turn")))
        #expect(commands.last == .finish(Self.transaction, .streamLost))
    }

    /// Whatever a contract sends: no trap, an answer for each request at most, and bounded memory.
    @Test(arguments: seeds(4)) func arbitraryMessagesDoNoHarm(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        for _ in 0..<200 {
            var rules = Rules(packageID: "cc:01")
            if Bool.random(using: &random) { _ = rules.received(try Self.register("cc:01")) }
            var begun = 0
            var ended = 0
            for _ in 0..<100 {
                let name = Rules.Transaction(channel: "main", id: "t\(Int.random(in: 0..<4, using: &random))")
                if Int.random(in: 0..<5, using: &random) == 0 {
                    if (try? rules.begin(Self.message(.transaction, name), at: .zero)) != nil { begun += 1 }
                    continue
                }
                let number = Int.random(in: 0..<28, using: &random)
                let type = Protos_ChaincodeMessage.TypeEnum(rawValue: number) ?? .undefined
                let payload = Data(
                    (0..<Int.random(in: 0..<9, using: &random)).map { UInt8(truncatingIfNeeded: $0 &* 37) }
                )
                let commands = rules.received(Self.message(type, name, payload: payload))
                for case .finish in commands { ended += 1 }
                #expect(commands.count <= 8)
            }
            for case .finish in rules.lost() { ended += 1 }
            #expect(begun == ended)
        }
    }
}
