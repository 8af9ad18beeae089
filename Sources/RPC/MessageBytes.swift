internal import CGRPC
internal import GRPCCore

/// The bytes of one message, as the transports pass them on.
///
/// A value with copy on write. Sending hands the memory to C core without copying it; receiving copies once,
/// so that a small message never keeps a whole read buffer of the connection alive.
package struct MessageBytes: GRPCContiguousBytes, @unchecked Sendable {
    // Why `@unchecked`: the storage is written only while uniquely referenced (`withUnsafeMutableBytes`).
    fileprivate var storage: MessageStorage

    package init(repeating byte: UInt8, count: Int) {
        self.storage = .make(count: count)
        self.storage.withUnsafeMutablePointerToElements { $0.initialize(repeating: byte, count: count) }
    }

    package init<Bytes: Sequence>(_ sequence: Bytes) where Bytes.Element == UInt8 {
        let copy = sequence.withContiguousStorageIfAvailable {
            MessageStorage.copying(UnsafeRawBufferPointer($0))
        }
        self.storage = copy ?? Array(sequence).withUnsafeBytes { MessageStorage.copying($0) }
    }

    package var count: Int { self.storage.header }

    package func withUnsafeBytes<Value>(
        _ body: (_ buffer: UnsafeRawBufferPointer) throws -> Value
    ) rethrows -> Value {
        try self.storage.withUnsafeMutablePointers { count, bytes in
            try body(UnsafeRawBufferPointer(start: bytes, count: count.pointee))
        }
    }

    package mutating func withUnsafeMutableBytes<Value>(
        _ body: (_ buffer: UnsafeMutableRawBufferPointer) throws -> Value
    ) rethrows -> Value {
        if !isKnownUniquelyReferenced(&self.storage) {
            self.storage = self.withUnsafeBytes { MessageStorage.copying($0) }
        }
        return try self.storage.withUnsafeMutablePointers { count, bytes in
            try body(UnsafeMutableRawBufferPointer(start: bytes, count: count.pointee))
        }
    }
}

/// Memory of one message: its count in the header, its bytes behind it.
private final class MessageStorage: ManagedBuffer<Int, UInt8> {
    static func make(count: Int) -> MessageStorage {
        let buffer = self.create(minimumCapacity: count) { _ in count }
        return unsafeDowncast(buffer, to: MessageStorage.self)
    }

    static func copying(_ bytes: UnsafeRawBufferPointer) -> MessageStorage {
        let storage = self.make(count: bytes.count)
        storage.withUnsafeMutablePointerToElements { start in
            UnsafeMutableRawBufferPointer(start: start, count: bytes.count).copyMemory(from: bytes)
        }
        return storage
    }
}

// MARK: - Byte buffers of C core

extension MessageBytes {
    /// Copies a received message out of core's slices.
    ///
    /// The buffer stays with the caller.
    init(copying buffer: UnsafeMutablePointer<grpc_byte_buffer>, count: Int) {
        self.storage = .make(count: count)
        let isRead = self.storage.withUnsafeMutablePointers { count, bytes in
            buffer.copyBytes(to: UnsafeMutableRawBufferPointer(start: bytes, count: count.pointee))
        }
        if !isRead { self.storage = .make(count: 0) }
    }

    /// Messages up to this size, such as an acknowledgement, fit into one of core's slices without memory of their own.
    private static let inlineBytes = 15

    /// Makes a byte buffer over this memory, which stays alive until core has sent it.
    ///
    /// The caller destroys the
    /// buffer.
    func makeByteBuffer() -> UnsafeMutablePointer<grpc_byte_buffer>? {
        guard self.count > 0 else { return grpc_raw_byte_buffer_create(nil, 0) }
        if self.count <= Self.inlineBytes {
            var slice = self.withUnsafeBytes { grpc_slice_from_copied_buffer($0.baseAddress, $0.count) }
            defer { grpc_slice_unref(slice) }
            return grpc_raw_byte_buffer_create(&slice, 1)
        }
        let start = self.storage.withUnsafeMutablePointerToElements { UnsafeMutableRawPointer($0) }
        let retained = Unmanaged.passRetained(self.storage).toOpaque()
        var slice = grpc_slice_new_with_user_data(
            start,
            self.count,
            { Unmanaged<MessageStorage>.fromOpaque($0!).release() },
            retained
        )
        defer { grpc_slice_unref(slice) }
        return grpc_raw_byte_buffer_create(&slice, 1)
    }
}

extension UnsafeMutablePointer<grpc_byte_buffer> {
    /// Copies the bytes out of core's slices, as many as `target` takes.
    ///
    /// - Returns: Whether the buffer could be read.
    @discardableResult
    func copyBytes(to target: UnsafeMutableRawBufferPointer) -> Bool {
        var reader = grpc_byte_buffer_reader()
        guard grpc_byte_buffer_reader_init(&reader, self) != 0 else { return false }
        defer { grpc_byte_buffer_reader_destroy(&reader) }
        var rest = target[...]
        var slice: UnsafeMutablePointer<grpc_slice>?
        while grpc_byte_buffer_reader_peek(&reader, &slice) != 0, let current = slice {
            let length = Swift.min(weft_slice_length(current), rest.count)
            guard length > 0 else { continue }
            let bytes = UnsafeRawBufferPointer(start: weft_slice_start(current), count: length)
            UnsafeMutableRawBufferPointer(rebasing: rest.prefix(length)).copyMemory(from: bytes)
            rest = rest.dropFirst(length)
        }
        return true
    }
}
