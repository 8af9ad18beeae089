internal import CGRPC
import Glibc
internal import Synchronization

/// Threads that wait for C core, each with a completion queue of its own.
///
/// They are also executors for the tasks that make and serve calls: such a task goes on where core's answer came
/// in, which spares two changes of threads for every part of a call. Handlers run there unless
/// ``TransportOptions/runsHandlersOnPollers`` says otherwise; for clients, see ``nextExecutor()``.
///
/// A task on a poller must not block its thread and should not compute for long (more than some 100 µs): every
/// other call of that poller waits meanwhile. Signatures, disks and locks that are held for long belong onto
/// other threads.
///
/// Made where a process is put together and passed to the transports that share it. The threads end, and the
/// queues are destroyed, once the group and every transport and call that uses it are gone.
package final class PollerGroup: Sendable {
    private let pollers: [Poller]
    private let turn = Atomic<Int>(0)

    /// - Parameter count: how many threads; by default one for every two cores, and at least one.
    package init(count: Int? = nil) {
        weft_stop_deadlock_detection()
        weft_bound_windows()
        let threads = max(1, count ?? max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)) / 2))
        self.pollers = (0..<threads).map { Poller(name: "weft-rpc-\($0)") }
    }

    deinit {
        for poller in self.pollers { poller.shutDown() }
    }

    var all: [Poller] { self.pollers }

    /// An executor for tasks that mostly make calls; the pollers take turns.
    ///
    ///     try await withTaskExecutorPreference(group.nextExecutor()) { try await stub.endorse(proposal) }
    ///
    /// Calls that such a task makes use the poller on which it runs.
    package func nextExecutor() -> any TaskExecutor { self.nextInTurn() }

    /// The poller for the next call: the one on whose thread the caller runs, or in turn.
    func next() -> Poller {
        self.pollers.first(where: \.isCurrent) ?? self.nextInTurn()
    }

    private func nextInTurn() -> Poller {
        guard self.pollers.count > 1 else { return self.pollers[0] }
        let turn = self.turn.wrappingAdd(1, ordering: .relaxed).newValue
        return self.pollers[Int(UInt(bitPattern: turn) % UInt(self.pollers.count))]
    }

    /// What the transports of this group hold of C core at the moment; all zero when nothing is going on.
    package var liveHandles: LiveHandles {
        self.pollers.reduce(into: LiveHandles()) { sum, poller in
            sum.calls += poller.liveCalls.load(ordering: .relaxed)
            sum.batches += poller.liveBatches.load(ordering: .relaxed)
            sum.byteBuffers += poller.liveByteBuffers.load(ordering: .relaxed)
        }
    }
}

/// Counts of C core's objects that this module is responsible for.
package struct LiveHandles: Sendable, Equatable {
    /// Calls of both sides that are not yet released.
    package var calls = 0
    /// Batches (tags) that core has accepted and not yet completed; a listening server holds those with which
    /// it waits for calls.
    package var batches = 0
    /// Messages in core's form that are not yet destroyed.
    package var byteBuffers = 0
}

/// What a completed batch did; it travels in the low bits of the batch's tag.
enum Operation: UInt {
    /// A client's whole unary call.
    case unaryCall
    /// A part that is sent while the call goes on: initial metadata of a stream, a message.
    case send
    /// The last part that is sent: a client's close, a server's status.
    case sendLast
    case receiveInitialMetadata
    case receiveMessage
    /// A client's status, or a server's notice that the call is over.
    case receiveEnd
    /// A call has come in, or the server that waited for one has shut down.
    case acceptCall
    /// A server's shutdown is complete.
    case shutdown

    static let mask: UInt = 15
}

/// What waits for completions from a completion queue.
///
/// The address of an instance, plus an ``Operation``, is the tag of a batch. Each tag holds a reference, which
/// the completion gives back: so an object lives at least as long as core may write into its memory.
class CompletionTarget {
    let poller: Poller

    init(poller: Poller) {
        self.poller = poller
    }

    /// Called on the thread of the poller.
    ///
    /// Must not block and must not run service code: that runs between completions, as jobs.
    func complete(_ operation: Operation, succeeded: Bool) {
        preconditionFailure("\(type(of: self)) doesn't take completions")
    }

    /// A tag for a batch that is about to be started.
    final func makeTag(_ operation: Operation) -> UnsafeMutableRawPointer {
        // Pairs with the poller's: what was written before a batch is seen by its completion. Core does as much
        // itself, where the thread sanitizer can't see it.
        self.poller.liveBatches.wrappingAdd(1, ordering: .releasing)
        let address = UInt(bitPattern: Unmanaged.passRetained(self).toOpaque())
        // An object's address is a multiple of 16 and never zero.
        return UnsafeMutableRawPointer(bitPattern: address | operation.rawValue)!
    }

    /// Takes back the tag of a batch that core refused: it will never complete.
    final func cancelTag() {
        self.poller.liveBatches.wrappingSubtract(1, ordering: .relaxed)
        Unmanaged.passUnretained(self).release()
    }
}
