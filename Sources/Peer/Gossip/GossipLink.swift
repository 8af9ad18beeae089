internal import FabricProtos
internal import Foundation
internal import Gossip
internal import Synchronization

/// One stream to another peer, whoever dialled it: what waits to be sent, and whether it is still wanted.
///
/// What doesn't fit is dropped, as in Fabric: gossip repeats what matters, and a slow peer costs no memory.
final class GossipLink: Sendable {
    /// Bytes that may wait, besides one message of any size.
    static let byteCapacity = 64 << 20

    private struct State {
        var bytes = 0
        var closure: String?
        var isEstablished = false
    }

    /// The address that was dialled; `nil` if the other side dialled.
    let endpoint: String?
    /// The other side's address, for the log.
    let remoteAddress: String
    /// What goes out, in order; ends when the link is closed.
    let outgoing: AsyncStream<Gossip_Envelope>
    private let addOutgoing: AsyncStream<Gossip_Envelope>.Continuation
    /// Ends when the link is closed.
    let closing: AsyncStream<Never>
    private let endClosing: AsyncStream<Never>.Continuation
    private let state = Mutex(State())

    init(endpoint: String?, remoteAddress: String, capacity: Int) {
        self.endpoint = endpoint
        self.remoteAddress = remoteAddress
        (self.outgoing, self.addOutgoing) = AsyncStream.makeStream(
            bufferingPolicy: .bufferingOldest(max(1, capacity))
        )
        (self.closing, self.endClosing) = AsyncStream.makeStream()
    }

    var isDialled: Bool { self.endpoint != nil }

    /// Puts a message in line.
    ///
    /// - Returns: `false` if it is dropped.
    func send(_ envelope: Gossip_Envelope) -> Bool {
        let size = envelope.size
        return self.state.withLock { state in
            guard state.bytes == 0 || state.bytes + size <= Self.byteCapacity,
                case .enqueued = self.addOutgoing.yield(envelope)
            else { return false }
            state.bytes += size
            return true
        }
    }

    /// Notes that a message has left.
    func sent(_ envelope: Gossip_Envelope) {
        self.state.withLock { $0.bytes = max(0, $0.bytes - envelope.size) }
    }

    /// Notes that the other side has said who it is.
    func establish() { self.state.withLock { $0.isEstablished = true } }

    var isEstablished: Bool { self.state.withLock { $0.isEstablished } }

    /// Ends the stream; only the first reason counts.
    func close(_ reason: String) {
        self.state.withLock { $0.closure = $0.closure ?? reason }
        self.addOutgoing.finish()
        self.endClosing.finish()
    }

    /// Why the stream was ended from this side; `nil` as long as it was not.
    var closure: String? { self.state.withLock { $0.closure } }
}

extension Gossip_Envelope {
    fileprivate var size: Int {
        self.payload.count + self.signature.count + self.secretEnvelope.payload.count
    }
}

/// Which of two connections between the same two peers stays.
///
/// A peer that connects again has lost the earlier connection, so the newer one is kept: Fabric's rule. When both dial at
/// once that would cost both connections; then the one that the peer with the smaller PKI-ID has dialled stays.
///
/// - Source: Fabric v3.1, package `gossip/comm`, `connectionStore`.
enum GossipConnectionRule {
    /// Within this time two connections count as dialled at once.
    static let race: Duration = .seconds(2)

    /// Whether a connection that has just been made takes the place of one that is there.
    ///
    /// - Parameters:
    ///   - isDialled: Whether this peer dialled the new connection.
    ///   - wasDialled: Whether this peer dialled the one that is there.
    ///   - age: How long that one has been there.
    ///   - isSmaller: Whether this peer's PKI-ID is the smaller one.
    /// - Returns: `true` if the new one stays.
    static func replaces(isDialled: Bool, wasDialled: Bool, age: Duration, isSmaller: Bool) -> Bool {
        guard age < Self.race, isDialled != wasDialled else { return !isDialled }
        return isDialled == isSmaller
    }
}
