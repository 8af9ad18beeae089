import CertificateAuthority
import Channel
import FabricProtos
import Foundation
import GRPCCore
import TestSupport
import Testing

@testable import WeftClient

/// Whoever is not a member in good standing gets in at no door, and nothing that a stranger sends stops a node.
@Suite struct HostileIdentityTests {
    /// What the doors answer to a stranger, in Fabric's codes and words.
    private struct Answers {
        var proposal = "access denied"
        var evaluate = RPCError.Code.failedPrecondition
        var endorse = RPCError.Code.aborted
        /// The orderer refuses what the gateway hands on.
        var submit = RPCError.Code.aborted
        var question = RPCError.Code.permissionDenied
        var broadcast = Common_Status.forbidden
        var deliver = Common_Status.forbidden

        init(to stranger: HostileCreator) throws {
            if stranger.serialized.isEmpty {
                // A question without an identity is no question.
                self.question = .invalidArgument
                self.proposal = "creator is empty"
            }
            if try stranger.sign(Data("any".utf8)).isEmpty {
                self.submit = .invalidArgument
                self.proposal = "empty proposal or signature bytes"
            }
            if stranger.isExpired {
                self.proposal = "identity expired"
                self.broadcast = .badRequest
            }
        }
    }

    @Test(.timeLimit(.minutes(10)))
    func nobodyGetsInWhoIsNotAMember() async throws {
        let log = RecordedLog()
        let cast = HostileCast()
        let consortium = try TestConsortium(logger: log.logger) { try cast.prepare($0["Utility"]) }
        let strangers = try cast.strangers()
        #expect(strangers.count >= 25)
        try await consortium.run {
            try await consortium.connect(as: "watcher", .client, of: "Utility") { connection, identity in
                try await consortium.connectToOrderer(as: "visitor", of: "Utility") { orderer in
                    let visit = HostileVisit(peer: connection, orderer: orderer, channel: "emissions")
                    for stranger in strangers { try await Self.check(stranger, visit, log) }
                    // After all that, a member is served as if nothing had happened.
                    let height = try await connection.peer(channel: "emissions", as: identity)
                        .query(Invocation("qscc", "GetChainInfo", ["emissions"]))
                    #expect(!height.isEmpty)
                    let member = HostileCreator(member: identity.signer)
                    #expect(try await visit.broadcast(member) == .success)
                    #expect(try await visit.deliverFromOrderer(member) == .success)
                }
            }
        }
        for reason in [
            "has been revoked", "OU=client expired at", "unknown MSP \"StrangerMSP\"",
            "is not issued by a known",
            "the signature was not made by this key", "is a certificate authority", "organizational units []",
        ] {
            #expect(log.text.contains(reason), "the log has no \"\(reason)\"")
        }
    }

    /// Every door refuses, and says in the log whom it turned away, and why.
    private static func check(
        _ stranger: HostileCreator,
        _ visit: HostileVisit,
        _ log: RecordedLog
    ) async throws {
        let answers = try Answers(to: stranger)
        let name = Comment(rawValue: stranger.name)
        for toChannel in [true, false] {
            let proposal = try await Self.refusal(log, "refused a proposal", name) {
                try await visit.propose(stranger, toChannel: toChannel)
            }
            #expect(proposal?.code == .unknown, name)
            let message = proposal?.message ?? ""
            #expect(message.contains(answers.proposal), "\(stranger.name): \(message)")
        }
        let evaluate = try await Self.refusal(log, "refused a proposal", name) {
            try await visit.evaluate(stranger)
        }
        #expect(evaluate?.code == answers.evaluate, name)
        let endorse = try await Self.refusal(log, "refused a proposal", name) {
            try await visit.endorse(stranger)
        }
        #expect(endorse?.code == answers.endorse, name)
        let isHandedOn = answers.submit == .aborted
        let submit = try await Self.refusal(log, isHandedOn ? "envelope refused" : nil, name) {
            try await visit.submit(stranger)
        }
        #expect(submit?.code == answers.submit, name)
        let entry = answers.question == .permissionDenied ? "refused access" : nil
        let status = try await Self.refusal(log, entry, name) { try await visit.commitStatus(stranger) }
        #expect(status?.code == answers.question, name)
        let events = try await Self.refusal(log, entry, name) { try await visit.events(stranger) }
        #expect(events?.code == answers.question, name)

        let before = log.lines.count
        #expect(try await visit.broadcast(stranger) == answers.broadcast, name)
        #expect(try await visit.deliverFromPeer(stranger, filtered: false) == answers.deliver, name)
        #expect(try await visit.deliverFromPeer(stranger, filtered: true) == answers.deliver, name)
        #expect(try await visit.deliverFromOrderer(stranger) == answers.deliver, name)
        let new = log.lines.dropFirst(before)
        #expect(new.count { $0.contains("envelope refused") } == 1, name)
        #expect(new.count { $0.contains("refused to deliver blocks") } == 3, name)
    }

    /// The error that a door answers with, when the log has `entry` for it.
    private static func refusal(
        _ log: RecordedLog,
        _ entry: String?,
        _ name: Comment,
        _ knock: () async throws -> Void
    ) async throws -> RPCError? {
        let before = log.lines.count
        let error = await #expect(throws: RPCError.self, name) { try await knock() }
        if let entry {
            let new = log.lines.dropFirst(before)
            #expect(new.contains { $0.contains(entry) && $0.contains("reason") }, name)
        }
        return error
    }
}
