internal import CGRPC
internal import GRPCCore

/// Metadata in C core's form, freed with the value's last reference.
final class OutgoingMetadata: @unchecked Sendable {
    // Why `@unchecked`: filled by `init` and only read by core afterwards.
    let entries: UnsafeMutablePointer<grpc_metadata>
    private(set) var count = 0

    /// No entries, for the many calls without metadata.
    private static let none = OutgoingMetadata()

    private init() {
        self.entries = .allocate(capacity: 1)
    }

    /// Converts metadata.
    ///
    /// - Throws: `RPCError` with code `invalidArgument` for a key or value that HTTP/2 can't carry.
    static func of(_ metadata: Metadata, skipping skipped: String? = nil) throws(RPCError) -> OutgoingMetadata
    {
        metadata.isEmpty ? .none : try OutgoingMetadata(metadata, skipping: skipped)
    }

    private init(_ metadata: Metadata, skipping skipped: String?) throws(RPCError) {
        self.entries = .allocate(capacity: max(1, metadata.count))
        for (key, value) in metadata where key != skipped {
            let entry = try Self.entry(key: key, value: value)
            (self.entries + self.count).initialize(to: entry)
            self.count += 1
        }
    }

    deinit {
        for index in 0..<self.count {
            grpc_slice_unref(self.entries[index].key)
            grpc_slice_unref(self.entries[index].value)
        }
        self.entries.deallocate()
    }

    private static func entry(key: String, value: Metadata.Value) throws(RPCError) -> grpc_metadata {
        let key = key.lowercased()
        let isBinary = key.hasSuffix("-bin")
        let bytes: [UInt8]
        switch value {
        case .binary(let binary):
            bytes = binary
        case .string(let text) where isBinary:
            // Already in the form in which it travels.
            guard let decoded = Base64.decode(text) else {
                throw RPCError(
                    code: .invalidArgument,
                    message: "The value of metadata \"\(key)\" isn't base64."
                )
            }
            bytes = decoded
        case .string(let text):
            bytes = Array(text.utf8)
        }
        var entry = grpc_metadata()
        entry.key = grpc_slice(copying: Array(key.utf8))
        entry.value = grpc_slice(copying: bytes)
        let isLegal =
            grpc_header_key_is_legal(entry.key) != 0
            && (isBinary || grpc_header_nonbin_value_is_legal(entry.value) != 0)
        guard isLegal else {
            grpc_slice_unref(entry.key)
            grpc_slice_unref(entry.value)
            throw RPCError(
                code: .invalidArgument,
                message: "Metadata \"\(key)\" can't be sent: keys are a-z, 0-9, '-', '_', '.', "
                    + "values printable ASCII unless the key ends in \"-bin\"."
            )
        }
        return entry
    }
}

extension Metadata {
    /// Copies what core has received.
    init(_ array: grpc_metadata_array) {
        self.init()
        guard array.count > 0 else { return }
        self.reserveCapacity(array.count)
        for index in 0..<array.count {
            var entry = array.metadata[index]
            let key = String(slice: &entry.key)
            if key.hasSuffix("-bin") {
                self.addBinary(Array(slice: &entry.value), forKey: key)
            } else {
                self.addString(String(slice: &entry.value), forKey: key)
            }
        }
    }
}

// MARK: - Slices

extension grpc_slice {
    init(copying bytes: [UInt8]) {
        self = bytes.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return grpc_empty_slice() }
            return start.withMemoryRebound(to: CChar.self, capacity: buffer.count) {
                grpc_slice_from_copied_buffer($0, buffer.count)
            }
        }
    }

    init(copying text: String) {
        var text = text
        self = text.withUTF8 { buffer in
            guard let start = buffer.baseAddress else { return grpc_empty_slice() }
            return start.withMemoryRebound(to: CChar.self, capacity: buffer.count) {
                grpc_slice_from_copied_buffer($0, buffer.count)
            }
        }
    }
}

extension String {
    init(slice: UnsafePointer<grpc_slice>) {
        self.init(
            decoding: UnsafeBufferPointer(start: weft_slice_start(slice), count: weft_slice_length(slice)),
            as: UTF8.self
        )
    }
}

extension [UInt8] {
    init(slice: UnsafePointer<grpc_slice>) {
        self.init(UnsafeBufferPointer(start: weft_slice_start(slice), count: weft_slice_length(slice)))
    }
}

// MARK: - Base64 and time-outs

/// Base64 as metadata and PEM use it.
enum Base64 {
    /// Decodes text with or without padding; `nil` if it is not base64.
    static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count / 4 * 3)
        var bits: UInt32 = 0
        var count = 0
        for character in text.utf8 where character != UInt8(ascii: "=") {
            guard let value = Self.value(of: character) else { return nil }
            bits = bits << 6 | value
            count += 1
            if count == 4 {
                bytes += [UInt8(truncatingIfNeeded: bits >> 16), UInt8(truncatingIfNeeded: bits >> 8)]
                bytes.append(UInt8(truncatingIfNeeded: bits))
                (bits, count) = (0, 0)
            }
        }
        switch count {
        case 2: bytes.append(UInt8(truncatingIfNeeded: bits >> 4))
        case 3: bytes += [UInt8(truncatingIfNeeded: bits >> 10), UInt8(truncatingIfNeeded: bits >> 2)]
        case 1: return nil
        default: break
        }
        return bytes
    }

    private static func value(of character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"), UInt8(ascii: "-"): 62
        case UInt8(ascii: "/"), UInt8(ascii: "_"): 63
        default: nil
        }
    }
}

/// The `grpc-timeout` entry, which GRPCCore writes into a request's metadata.
///
/// - Source: gRPC over HTTP/2, "Requests", rule Timeout.
enum TimeoutEntry {
    static let key = "grpc-timeout"

    /// The time-out in nanoseconds, or `nil` if the text is not one.
    static func nanoseconds(_ text: String) -> Int64? {
        guard (2...9).contains(text.utf8.count), let amount = Int64(text.dropLast()), amount >= 0 else {
            return nil
        }
        let unit: Int64
        switch text.utf8.last {
        case UInt8(ascii: "H"): unit = 3_600_000_000_000
        case UInt8(ascii: "M"): unit = 60_000_000_000
        case UInt8(ascii: "S"): unit = 1_000_000_000
        case UInt8(ascii: "m"): unit = 1_000_000
        case UInt8(ascii: "u"): unit = 1000
        case UInt8(ascii: "n"): unit = 1
        default: return nil
        }
        let (product, overflow) = amount.multipliedReportingOverflow(by: unit)
        return overflow ? .max : product
    }

    /// The deadline that the time-out in `metadata` sets, or the far future.
    static func deadline(in metadata: Metadata) -> gpr_timespec {
        guard let text = metadata[stringValues: self.key].first(where: { _ in true }),
            let nanoseconds = self.nanoseconds(text)
        else { return gpr_inf_future(GPR_CLOCK_MONOTONIC) }
        return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(nanoseconds, GPR_TIMESPAN))
    }
}
