internal import Channel
internal import Consensus
internal import FabricProtos
internal import Foundation
internal import GRPCCore
internal import SwiftProtobuf

extension OrderingChannel {
    /// How many messages of other consenters may wait for the channel's thread; further ones are dropped, which Raft
    /// takes as lost on the way.
    private static let inboxCapacity = 4096

    // MARK: - Consensus

    /// A consenter sent a message; `metadata` is what only a leader sends along.
    func receive(_ message: RaftMessage, metadata: Data) {
        let isNew = self.monitor.withLock { state in
            guard message.to == state.standing.id, state.inbox.count < Self.inboxCapacity else {
                return false
            }
            if !metadata.isEmpty, message.from == state.standing.leader,
                let cluster = try? Etcdraft_ClusterMetadata(serializedBytes: metadata)
            {
                state.standing.active = cluster.activeNodes
            }
            state.inbox.append(.received(message))
            return state.inbox.count == 1
        }
        if isNew { self.monitor.signal() }
    }

    /// Messages to a consenter were lost; of envelopes nobody knows whether they arrived.
    func lost(to node: NodeID, isSubmits: Bool) {
        self.monitor.withLock { state in
            if isSubmits {
                state.lostSubmits.insert(node)
            } else if state.inbox.count < Self.inboxCapacity {
                state.inbox.append(.command(.unreachable(node)))
            }
        }
        self.monitor.signal()
    }

    /// The process of a consenter answered nothing when it was asked whether it is there.
    func silent(_ node: NodeID) {
        self.monitor.withLock { _ = $0.silent.insert(node) }
        self.monitor.signal()
    }

    // MARK: - Envelopes of other consenters

    /// What another consenter has checked and forwards; it is checked again if the configuration is another one by now.
    ///
    /// - Throws: `RPCError` for what is no envelope.
    func waiting(forwarded request: Orderer_SubmitRequest) throws(RPCError) -> Waiting {
        do {
            let headers = try EnvelopeHeaders(request.payload)
            let isConfig = headers.channel.type == Int32(Common_HeaderType.config.rawValue)
            let bytes: Data = try request.payload.serializedBytes()
            return Waiting(
                bytes: bytes,
                size: request.payload.payload.count + request.payload.signature.count,
                isConfig: isConfig,
                sequence: request.lastValidationSeq,
                fingerprint: isConfig ? nil : EnvelopeFingerprint(bytes)
            )
        } catch {
            throw RPCError(code: .invalidArgument, message: "the envelope can't be read: \(error)")
        }
    }

    /// Queues what another consenter forwards.
    ///
    /// Nobody is told what becomes of it: the other consenter sees it in a block.
    ///
    func take(_ envelope: Waiting, from sender: NodeID) -> Intake {
        let (intake, wake) = self.monitor.withLock { state -> (Intake, Bool) in
            // The sender may know of this node's election before this node does.
            guard state.health == .serving, state.standing.leader != sender else { return (.early, false) }
            guard state.hasRoom(for: envelope, self.settings.limits) else { return (.full, false) }
            if let fingerprint = envelope.fingerprint {
                guard case .new = state.window.claim(fingerprint, nil) else { return (.taken, false) }
            }
            return (.taken, self.enqueue(envelope, &state))
        }
        if wake { self.monitor.signal() }
        return intake
    }

    /// What becomes of an envelope that another consenter forwards.
    enum Intake {
        case taken
        /// There is no room now.
        case full
        /// This node knows of no leader but the sender.
        case early
    }
}
