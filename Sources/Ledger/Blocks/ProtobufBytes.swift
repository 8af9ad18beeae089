internal import Foundation

/// Writes protobuf fields in the order of the calls, as Go's library would: default values left out.
///
/// For what is hashed or sent in bulk, where building message objects would cost more than the work itself.
///
/// - Source: Protocol Buffers, "Encoding".
struct ProtobufBytes {
    private(set) var bytes: Bytes

    init(capacity: Int = 128) {
        self.bytes = []
        self.bytes.reserveCapacity(capacity)
    }

    mutating func field(_ number: UInt64, _ value: UInt64) {
        guard value != 0 else { return }
        self.bytes.appendVarint(number << 3)
        self.bytes.appendVarint(value)
    }

    mutating func field(_ number: UInt64, _ value: Bool) {
        self.field(number, value ? UInt64(1) : 0)
    }

    mutating func field(_ number: UInt64, _ value: some Collection<UInt8>) {
        guard !value.isEmpty else { return }
        self.element(number, value)
    }

    /// One element of a repeated field, which is written even if it is empty.
    mutating func element(_ number: UInt64, _ value: some Collection<UInt8>) {
        self.startMessage(number, count: value.count)
        self.bytes.append(contentsOf: value)
    }

    /// A message that is present, be it empty.
    mutating func message(_ number: UInt64, _ encoded: Bytes) {
        self.element(number, encoded)
    }

    /// The head of a message whose `count` bytes follow.
    mutating func startMessage(_ number: UInt64, count: Int) {
        self.bytes.appendVarint(number << 3 | 2)
        self.bytes.appendVarint(UInt64(count))
    }

    /// Bytes that an element of a repeated field with a number below 16 takes.
    static func size(ofElement value: Data) -> Int {
        1 + Self.varintSize(UInt64(value.count)) + value.count
    }

    private static func varintSize(_ number: UInt64) -> Int {
        max(1, (64 - number.leadingZeroBitCount + 6) / 7)
    }
}
