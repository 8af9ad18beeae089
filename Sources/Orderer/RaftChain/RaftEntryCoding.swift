internal import Channel
internal import Consensus
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

extension Raftpb_Entry {
    /// The message as etcd writes it: every field set, also to zero.
    init(_ entry: RaftEntry) throws {
        self.init()
        self.type = .entryNormal
        self.term = entry.position.term
        self.index = entry.position.index
        switch entry.content {
        case .empty: break
        case .payload(let bytes): self.data = Data(bytes)
        case .addVoter(let node):
            self.type = .entryConfChange
            self.data = try Self.change(.confChangeAddNode, node)
        case .removeVoter(let node):
            self.type = .entryConfChange
            self.data = try Self.change(.confChangeRemoveNode, node)
        }
    }

    /// The bytes of ``init(_:)``'s message; a payload, which may be large, is copied once.
    static func bytes(of entry: RaftEntry) throws -> Data {
        let (head, payload) = try Self.parts(of: entry)
        var bytes = Data(capacity: head.count + payload.count)
        bytes.append(contentsOf: head)
        bytes.append(contentsOf: payload)
        return bytes
    }

    /// The bytes of ``init(_:)``'s message in two pieces, of which the second may be large and is not copied.
    static func parts(of entry: RaftEntry) throws -> (head: [UInt8], payload: [UInt8]) {
        guard case .payload(let payload) = entry.content, !payload.isEmpty else {
            return (try Self(entry).serializedBytes(), [])
        }
        var head = WireMessage(capacity: 40)
        head.required(1, 0)
        head.required(2, entry.position.term)
        head.required(3, entry.position.index)
        head.startMessage(4, count: payload.count)
        return (head.bytes, payload)
    }

    private static func change(_ type: Raftpb_ConfChangeType, _ node: NodeID) throws -> Data {
        var change = Raftpb_ConfChange()
        change.id = 0
        change.type = type
        change.nodeID = node
        return try change.serializedBytes()
    }
}

extension RaftEntry {
    init(_ entry: Raftpb_Entry) throws {
        let content: Content
        switch entry.type {
        case .entryNormal:
            content = entry.data.isEmpty ? .empty : .payload([UInt8](entry.data))
        case .entryConfChange:
            guard let change = try? Raftpb_ConfChange(serializedBytes: entry.data) else {
                throw RaftStateError(reason: "entry \(entry.index) is no readable change of the consenters")
            }
            switch change.type {
            case .confChangeAddNode: content = .addVoter(change.nodeID)
            case .confChangeRemoveNode: content = .removeVoter(change.nodeID)
            case .confChangeUpdateNode, .confChangeAddLearnerNode:
                throw RaftStateError(reason: "entry \(entry.index) has change type \(change.type)")
            }
        case .entryConfChangeV2:
            throw RaftStateError(
                reason: "entry \(entry.index) has type \(entry.type), which Fabric never writes"
            )
        }
        self.init(position: RaftPosition(index: entry.index, term: entry.term), content: content)
    }
}
