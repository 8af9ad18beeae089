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
