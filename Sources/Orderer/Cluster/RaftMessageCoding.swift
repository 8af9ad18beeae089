internal import Channel
internal import Consensus
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// A message between consenters that can't be understood.
struct UnreadableRaftMessage: Error, CustomStringConvertible {
    let description: String
}

/// `raftpb.Message`, as etcd writes it: proto2 with every plain field set, also to zero.
///
/// Source: etcd's raft package, `raftpb`; Fabric v3.1, `orderer.ConsensusRequest`.
extension Raftpb_Message {
    /// What etcd gives as context in a vote that a leader asked for.
    private static let campaignTransfer = Data("CampaignTransfer".utf8)

    init(_ message: RaftMessage) throws {
        self.init()
        self.to = message.to
        self.from = message.from
        self.term = message.term
        self.logTerm = 0
        self.index = 0
        self.commit = 0
        self.reject = false
        self.rejectHint = 0
        self.vote = 0
        switch message.content {
        case .preVote(let last):
            self.type = .msgPreVote
            self.setPosition(last)
        case .preVoteReply(let granted):
            self.type = .msgPreVoteResp
            self.reject = !granted
        case .vote(let last, let isTransfer):
            self.type = .msgVote
            self.setPosition(last)
            if isTransfer { self.context = Self.campaignTransfer }
        case .voteReply(let granted):
            self.type = .msgVoteResp
            self.reject = !granted
        case .append(let append):
            self.type = .msgApp
            self.setPosition(append.previous)
            self.entries = try append.entries.map { try Raftpb_Entry($0) }
            self.commit = append.commit
        case .appended(let index):
            self.type = .msgAppResp
            self.index = index
        case .appendRejected(let index, let hint):
            self.type = .msgAppResp
            self.reject = true
            self.index = index
            self.rejectHint = hint.index
            self.logTerm = hint.term
        case .heartbeat(let commit):
            self.type = .msgHeartbeat
            self.commit = commit
        case .heartbeatReply:
            self.type = .msgHeartbeatResp
        case .snapshot(let snapshot):
            self.type = .msgSnap
            self.snapshot.data = Data(snapshot.data)
            self.snapshot.metadata.confState.voters = snapshot.voters
            self.snapshot.metadata.confState.autoLeave = false
            self.snapshot.metadata.index = snapshot.position.index
            self.snapshot.metadata.term = snapshot.position.term
        case .timeoutNow:
            self.type = .msgTimeoutNow
        }
    }

    /// The bytes of ``init(_:)``'s message; the payloads of entries, which may be large, are copied once.
    static func bytes(of message: RaftMessage) throws -> Data {
        guard case .append(let append) = message.content, !append.entries.isEmpty else {
            return try Self(message).serializedBytes()
        }
        let entries = try append.entries.map { try Raftpb_Entry.parts(of: $0) }
        let size = entries.reduce(0) { $0 + $1.head.count + $1.payload.count }
        var bytes = Data(capacity: size + 12 * entries.count + 100)
        var fields = WireMessage()
        fields.required(1, UInt64(Raftpb_MessageType.msgApp.rawValue))
        fields.required(2, message.to)
        fields.required(3, message.from)
        fields.required(4, message.term)
        fields.required(5, append.previous.term)
        fields.required(6, append.previous.index)
        bytes.append(contentsOf: fields.bytes)
        for (head, payload) in entries {
            fields = WireMessage()
            fields.startMessage(7, count: head.count + payload.count)
            bytes.append(contentsOf: fields.bytes)
            bytes.append(contentsOf: head)
            bytes.append(contentsOf: payload)
        }
        fields = WireMessage()
        fields.required(8, append.commit)
        for number: UInt64 in [10, 11, 13] { fields.required(number, 0) }
        bytes.append(contentsOf: fields.bytes)
        return bytes
    }

    private mutating func setPosition(_ position: RaftPosition) {
        self.index = position.index
        self.logTerm = position.term
    }
}

extension RaftMessage {
    /// - Throws: ``UnreadableRaftMessage`` for what Fabric's orderers never send each other.
    init(_ message: Raftpb_Message) throws {
        let position = RaftPosition(index: message.index, term: message.logTerm)
        let content: Content
        switch message.type {
        case .msgPreVote: content = .preVote(last: position)
        case .msgPreVoteResp: content = .preVoteReply(granted: !message.reject)
        case .msgVote: content = .vote(last: position, isTransfer: !message.context.isEmpty)
        case .msgVoteResp: content = .voteReply(granted: !message.reject)
        case .msgApp:
            content = .append(
                RaftAppend(
                    previous: position,
                    entries: try message.entries.map { try RaftEntry($0) },
                    commit: message.commit
                )
            )
        case .msgAppResp where message.reject:
            content = .appendRejected(
                index: message.index,
                hint: RaftPosition(index: message.rejectHint, term: message.logTerm)
            )
        case .msgAppResp: content = .appended(index: message.index)
        case .msgHeartbeat: content = .heartbeat(commit: message.commit)
        case .msgHeartbeatResp: content = .heartbeatReply
        case .msgSnap:
            let snapshot = message.snapshot
            content = .snapshot(
                RaftSnapshot(
                    position: RaftPosition(index: snapshot.metadata.index, term: snapshot.metadata.term),
                    voters: snapshot.metadata.confState.voters,
                    data: [UInt8](snapshot.data)
                )
            )
        case .msgTimeoutNow: content = .timeoutNow
        default:
            throw UnreadableRaftMessage(
                description: "message type \(message.type) is not one that orderers send each other"
            )
        }
        self.init(from: message.from, to: message.to, term: message.term, content: content)
    }
}
