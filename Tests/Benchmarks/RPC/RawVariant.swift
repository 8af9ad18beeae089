import CGRPC
import Foundation
import GRPCCore
import Synchronization

// The floor: C core driven by one thread per process with nothing on top, no tasks and no messages in Swift's
// memory. Everything lives as long as the process, so nothing here is released in the end.

private let forever = gpr_inf_future(GPR_CLOCK_MONOTONIC)
private let method = "/weft.test.Service/Unary"
private let streamMethod = "/weft.test.Service/Expand"

private func buffer(of count: Int) -> UnsafeMutablePointer<grpc_byte_buffer> {
    var slice = grpc_slice_malloc(count)
    memset(UnsafeMutableRawPointer(mutating: weft_slice_start(&slice)), 1, count)
    defer { grpc_slice_unref(slice) }
    return grpc_raw_byte_buffer_create(&slice, 1)
}

private func newSlots() -> UnsafeMutablePointer<weft_call_slots> {
    let slots = UnsafeMutablePointer<weft_call_slots>.allocate(capacity: 1)
    weft_call_slots_init(slots)
    return slots
}

private func destroy(_ slots: UnsafeMutablePointer<weft_call_slots>) {
    if let message = slots.pointee.message { grpc_byte_buffer_destroy(message) }
    if let sending = slots.pointee.sending { grpc_byte_buffer_destroy(sending) }
    grpc_call_unref(slots.pointee.call)
    weft_call_slots_destroy(slots)
    slots.deallocate()
}

// Why `@unchecked`: used by one task at a time.
final class RawClient: BenchmarkClient, @unchecked Sendable {
    private let queue: OpaquePointer
    private let channel: OpaquePointer
    private let unaryCall: UnsafeMutableRawPointer
    private let streamCall: UnsafeMutableRawPointer

    init(port: Int, _ folder: TLSFolder) throws {
        weft_stop_deadlock_detection()
        grpc_init()
        self.queue = grpc_completion_queue_create_for_next(nil)
        let (roots, chain, key) = (
            try folder.read("ca.pem"), try folder.read("client.pem"), try folder.read("client.key")
        )
        let credentials = chain.withCString { chain in
            key.withCString { key in
                var pair = grpc_ssl_pem_key_cert_pair(private_key: key, cert_chain: chain)
                return grpc_ssl_credentials_create_ex(roots, &pair, nil, nil)
            }
        }
        var arguments = [
            weft_integer_argument("grpc.enable_http_proxy", 0),
            weft_integer_argument("grpc.enable_retries", 0),
        ]
        self.channel = arguments.withUnsafeMutableBufferPointer {
            var list = grpc_channel_args(num_args: $0.count, args: $0.baseAddress)
            return grpc_channel_create("localhost:\(port)", credentials, &list)
        }
        self.unaryCall = grpc_channel_register_call(self.channel, method, nil, nil)
        self.streamCall = grpc_channel_register_call(self.channel, streamMethod, nil, nil)
    }

    func close() { grpc_channel_destroy(self.channel) }

    private func start() {
        let slots = newSlots()
        slots.pointee.call = grpc_channel_create_registered_call(
            self.channel,
            nil,
            0,
            self.queue,
            self.unaryCall,
            forever,
            nil
        )
        slots.pointee.sending = buffer(of: RPCBenchmark.Load.bytes)
        var outgoing = weft_outgoing()
        outgoing.has_initial_metadata = 1
        outgoing.message = slots.pointee.sending
        outgoing.has_close = 1
        precondition(weft_call_run_unary(slots.pointee.call, &outgoing, slots, slots) == GRPC_CALL_OK)
    }

    private func next() -> UnsafeMutablePointer<weft_call_slots> {
        let event = grpc_completion_queue_next(self.queue, forever, nil)
        return event.tag.assumingMemoryBound(to: weft_call_slots.self)
    }

    func unary(count: Int, concurrency: Int) async throws {
        var started = min(count, concurrency)
        for _ in 0..<started { self.start() }
        for _ in 0..<count {
            let slots = self.next()
            precondition(slots.pointee.status == GRPC_STATUS_OK)
            destroy(slots)
            if started < count {
                self.start()
                started += 1
            }
        }
    }

    func loneMedian(count: Int) async throws -> Double {
        var durations: [Duration] = []
        for _ in 0..<count {
            let start = ContinuousClock.now
            self.start()
            destroy(self.next())
            durations.append(ContinuousClock.now - start)
        }
        return median(durations)
    }

    func stream(count: Int) async throws {
        let slots = newSlots()
        let call: OpaquePointer = grpc_channel_create_registered_call(
            self.channel,
            nil,
            0,
            self.queue,
            self.streamCall,
            forever,
            nil
        )
        slots.pointee.call = call
        var request = withUnsafeBytes(of: UInt32(count)) { bytes in
            grpc_slice_from_copied_buffer(bytes.baseAddress!.assumingMemoryBound(to: CChar.self), 4)
        }
        slots.pointee.sending = grpc_raw_byte_buffer_create(&request, 1)
        grpc_slice_unref(request)
        var outgoing = weft_outgoing()
        outgoing.has_initial_metadata = 1
        outgoing.message = slots.pointee.sending
        outgoing.has_close = 1
        // Tags tell the batches apart: 1 to 3, and the slots for messages.
        weft_call_send(call, &outgoing, UnsafeMutableRawPointer(bitPattern: 1))
        weft_call_receive_initial_metadata(call, slots, UnsafeMutableRawPointer(bitPattern: 2))
        weft_call_receive_status(call, slots, UnsafeMutableRawPointer(bitPattern: 3))
        weft_call_receive_message(call, slots, slots)
        var (received, pending) = (0, 4)
        while pending > 0 {
            let event = grpc_completion_queue_next(self.queue, forever, nil)
            pending -= 1
            guard event.tag == UnsafeMutableRawPointer(slots), let message = slots.pointee.message else {
                continue
            }
            received += 1
            grpc_byte_buffer_destroy(message)
            slots.pointee.message = nil
            weft_call_receive_message(call, slots, slots)
            pending += 1
        }
        precondition(received == count && slots.pointee.status == GRPC_STATUS_OK)
        destroy(slots)
    }
}

/// Serves `Unary` and `Expand` on one thread, until the process ends.
final class RawServer: @unchecked Sendable {
    // Why `@unchecked`: after `start`, only the thread uses it.
    private let server: OpaquePointer
    private let queue: OpaquePointer
    private let registrations: [UnsafeMutableRawPointer]

    /// One call: which batch completed is told by `stage`, since a call has one that matters at a time.
    private final class Served {
        let slots = newSlots()
        let isStream: Bool
        var isAccepted = false
        var messagesLeft = 0
        var pending = 0

        init(isStream: Bool) { self.isStream = isStream }

        var tag: UnsafeMutableRawPointer {
            self.pending += 1
            return Unmanaged.passRetained(self).toOpaque()
        }
    }

    static func start(_ folder: TLSFolder) throws -> Int {
        weft_stop_deadlock_detection()
        grpc_init()
        let (roots, chain, key) = (
            try folder.read("ca.pem"), try folder.read("server.pem"), try folder.read("server.key")
        )
        let credentials = chain.withCString { chain in
            key.withCString { key in
                var pair = grpc_ssl_pem_key_cert_pair(private_key: key, cert_chain: chain)
                return grpc_ssl_server_credentials_create_ex(
                    roots,
                    &pair,
                    1,
                    GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY,
                    nil
                )
            }
        }
        let raw = RawServer()
        let port = grpc_server_add_http2_port(raw.server, "127.0.0.1:0", credentials)
        grpc_server_start(raw.server)
        Thread { raw.run() }.start()
        return Int(port)
    }

    private init() {
        self.queue = grpc_completion_queue_create_for_next(nil)
        self.server = grpc_server_create(nil, nil)
        grpc_server_register_completion_queue(self.server, self.queue, nil)
        let server = self.server
        self.registrations = [method, streamMethod].map { (name: String) -> UnsafeMutableRawPointer in
            grpc_server_register_method(server, name, nil, GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0)
        }
    }

    private func accept(isStream: Bool) {
        let served = Served(isStream: isStream)
        let slots = served.slots
        grpc_server_request_registered_call(
            self.server,
            self.registrations[isStream ? 1 : 0],
            &slots.pointee.call,
            &slots.pointee.deadline,
            &slots.pointee.initial_metadata,
            &slots.pointee.message,
            self.queue,
            self.queue,
            served.tag
        )
    }

    private func run() {
        for _ in 0..<64 { self.accept(isStream: false) }
        self.accept(isStream: true)
        while true {
            let event = grpc_completion_queue_next(self.queue, forever, nil)
            let served = Unmanaged<Served>.fromOpaque(event.tag).takeRetainedValue()
            served.pending -= 1
            if !served.isAccepted {
                self.accept(isStream: served.isStream)
                self.answer(served)
            } else if served.messagesLeft > 0 {
                self.sendNext(served)
            } else if served.pending == 0 {
                destroy(served.slots)
            }
        }
    }

    private func answer(_ served: Served) {
        served.isAccepted = true
        let slots = served.slots
        guard served.isStream else {
            weft_call_receive_close(slots.pointee.call, slots, served.tag)
            var outgoing = weft_outgoing()
            outgoing.has_initial_metadata = 1
            outgoing.message = slots.pointee.message  // echoed as it is
            self.finish(served, &outgoing)
            return
        }
        var reader = grpc_byte_buffer_reader()
        grpc_byte_buffer_reader_init(&reader, slots.pointee.message)
        var request = grpc_byte_buffer_reader_readall(&reader)
        served.messagesLeft = Int(UnsafeRawPointer(weft_slice_start(&request)).loadUnaligned(as: UInt32.self))
        grpc_slice_unref(request)
        grpc_byte_buffer_reader_destroy(&reader)
        var outgoing = weft_outgoing()
        outgoing.has_initial_metadata = 1
        weft_call_send(slots.pointee.call, &outgoing, served.tag)
    }

    private func sendNext(_ served: Served) {
        let slots = served.slots
        if let sent = slots.pointee.sending { grpc_byte_buffer_destroy(sent) }
        slots.pointee.sending = buffer(of: RPCBenchmark.Load.bytes)
        served.messagesLeft -= 1
        var outgoing = weft_outgoing()
        outgoing.message = slots.pointee.sending
        if served.messagesLeft == 0 {
            weft_call_receive_close(slots.pointee.call, slots, served.tag)
            self.finish(served, &outgoing)
        } else {
            weft_call_send(slots.pointee.call, &outgoing, served.tag)
        }
    }

    private func finish(_ served: Served, _ outgoing: inout weft_outgoing) {
        var details = grpc_empty_slice()
        withUnsafeMutablePointer(to: &details) {
            outgoing.has_status = 1
            outgoing.status = GRPC_STATUS_OK
            outgoing.status_details = $0
            weft_call_send(served.slots.pointee.call, &outgoing, served.tag)
        }
    }
}
