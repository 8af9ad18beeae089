import Consensus
import FabricProtos
import Foundation
import SwiftProtobuf
import Testing

@testable import Orderer

/// Messages between consenters, as etcd's raft package writes and reads them.
@Suite struct RaftMessageCodingTests {
    static let messages: [RaftMessage.Content] = [
        .preVote(last: RaftPosition(index: 7, term: 3)), .preVoteReply(granted: true),
        .preVoteReply(granted: false), .vote(last: RaftPosition(index: 7, term: 3), isTransfer: false),
        .vote(last: RaftPosition(index: 7, term: 3), isTransfer: true), .voteReply(granted: true),
        .voteReply(granted: false),
        .append(
            RaftAppend(
                previous: RaftPosition(index: 4, term: 2),
                entries: [
                    RaftEntry(position: RaftPosition(index: 5, term: 3), content: .empty),
                    RaftEntry(position: RaftPosition(index: 6, term: 3), content: .payload([1, 2, 3])),
                    RaftEntry(position: RaftPosition(index: 7, term: 3), content: .addVoter(4)),
                    RaftEntry(position: RaftPosition(index: 8, term: 3), content: .removeVoter(2)),
                ],
                commit: 4
            )
        ),
        .appended(index: 8), .appendRejected(index: 9, hint: RaftPosition(index: 5, term: 2)),
        .heartbeat(commit: 8), .heartbeatReply, .timeoutNow,
        .snapshot(
            RaftSnapshot(position: RaftPosition(index: 90, term: 4), voters: [1, 2, 3], data: [9, 9])
        ),
    ]

    @Test("a message comes back as it was", arguments: Self.messages)
    func roundTrips(content: RaftMessage.Content) throws {
        let message = RaftMessage(from: 2, to: 3, term: 5, content: content)
        let bytes = try Raftpb_Message.bytes(of: message)
        #expect(try RaftMessage(Raftpb_Message(serializedBytes: bytes)) == message)
    }

    @Test("a message that is written in one pass has the bytes of its fields", arguments: Self.messages)
    func writesInOnePass(content: RaftMessage.Content) throws {
        let message = RaftMessage(from: 200, to: .max, term: 1 << 40, content: content)
        let bytes: Data = try Raftpb_Message(message).serializedBytes()
        #expect(try Raftpb_Message.bytes(of: message) == bytes)
    }

    @Test("a heartbeat has the bytes of etcd: every plain field is there, also zeros")
    func writesZeros() throws {
        let message = RaftMessage(from: 1, to: 2, term: 2, content: .heartbeat(commit: 5))
        let bytes: Data = try Raftpb_Message(message).serializedBytes()
        // type, to, from, term, logTerm, index, commit, reject, rejectHint, vote.
        #expect(
            bytes
                == Data([
                    0x08, 8, 0x10, 2, 0x18, 1, 0x20, 2, 0x28, 0, 0x30, 0, 0x40, 5, 0x50, 0, 0x58, 0, 0x68, 0,
                ])
        )
    }

    @Test("a message that orderers never send each other is refused")
    func refusesOthers() throws {
        var message = Raftpb_Message()
        message.type = .msgProp
        #expect(throws: UnreadableRaftMessage.self) { try RaftMessage(message) }
    }
}
