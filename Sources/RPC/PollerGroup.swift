internal import CGRPC
import Glibc
internal import Synchronization

/// Threads that wait for C core, each with a completion queue of its own.
///
/// Made where a process is put together and passed to the transports that share it. The threads end, and the
/// queues are destroyed, once the group and every transport and call that uses it are gone.
package final class PollerGroup: Sendable {
    private let pollers: [Poller]
    private let turn = Atomic<Int>(0)

    /// - Parameter count: how many threads; by default one for every two cores, and at least one.
    package init(count: Int? = nil) {
        let threads = max(1, count ?? max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)) / 2))
        self.pollers = (0..<threads).map { Poller(name: "weft-rpc-\($0)") }
    }

    deinit {
        for poller in self.pollers { poller.shutDown() }
    }

    var all: [Poller] { self.pollers }

    /// The poller for the next call, in turn.
    func next() -> Poller {
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
    /// Must not block and must not run service code.
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

/// A completion queue of C core and the thread that waits on it.
final class Poller: @unchecked Sendable {
    // Why `@unchecked`: the pointer never changes, and core allows every call on a completion queue from any
    // thread except waiting, which only `run` does. `run` destroys the queue, after everything that could use
    // it is gone (`shutDown`).
    let queue: OpaquePointer
    let liveCalls = Atomic<Int>(0)
    let liveBatches = Atomic<Int>(0)
    let liveByteBuffers = Atomic<Int>(0)

    init(name: String) {
        grpc_init()
        self.queue = grpc_completion_queue_create_for_next(nil)
        self.startThread(name: name)
    }

    /// Ends the thread once the queue is drained.
    ///
    /// Only for the last owner: nothing may be started after it.
    func shutDown() {
        grpc_completion_queue_shutdown(self.queue)
    }

    private func startThread(name: String) {
        let argument = Unmanaged.passRetained(self).toOpaque()
        var thread = pthread_t()
        let result = pthread_create(
            &thread,
            nil,
            { argument in
                let poller = Unmanaged<Poller>.fromOpaque(argument!).takeRetainedValue()
                poller.run()
                return nil
            },
            argument
        )
        precondition(result == 0, "no thread for RPC: \(String(cString: strerror(result)))")
        weft_name_thread(thread, name)
        pthread_detach(thread)
    }

    private func run() {
        let forever = gpr_inf_future(GPR_CLOCK_MONOTONIC)
        while true {
            let event = grpc_completion_queue_next(self.queue, forever, nil)
            if event.type == GRPC_QUEUE_SHUTDOWN { break }
            guard event.type == GRPC_OP_COMPLETE, let tag = event.tag else { continue }
            let bits = UInt(bitPattern: tag)
            guard let address = UnsafeRawPointer(bitPattern: bits & ~Operation.mask),
                let operation = Operation(rawValue: bits & Operation.mask)
            else { continue }
            self.liveBatches.wrappingSubtract(1, ordering: .acquiring)
            let target = Unmanaged<CompletionTarget>.fromOpaque(address).takeRetainedValue()
            target.complete(operation, succeeded: event.success != 0)
        }
        grpc_completion_queue_destroy(self.queue)
        grpc_shutdown()
    }
}
