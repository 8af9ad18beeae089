package import Foundation

/// Writes protobuf fields in the order of the calls, as Go's library would: default values left out.
///
/// For what is hashed, signed or sent in bulk: building message objects and encoding them, which takes two passes and an
/// object for each level, would cost some 2 µs for each message (a tenth of a signature check).
///
/// - Source: Protocol Buffers, "Encoding".
package struct WireMessage {
    package private(set) var bytes: [UInt8]

    package init(capacity: Int = 128) {
        self.bytes = []
        self.bytes.reserveCapacity(capacity)
    }

    /// The bytes as `Data`.
    package var data: Data { Data(self.bytes) }

    package mutating func field(_ number: UInt64, _ value: UInt64) {
        guard value != 0 else { return }
        self.varint(number << 3)
        self.varint(value)
    }

    /// A field of proto2, which is written even if it is 0.
    package mutating func required(_ number: UInt64, _ value: UInt64) {
        self.varint(number << 3)
        self.varint(value)
    }

    package mutating func field(_ number: UInt64, _ value: Bool) {
        self.field(number, value ? UInt64(1) : 0)
    }

    package mutating func field(_ number: UInt64, _ value: some Collection<UInt8>) {
        guard !value.isEmpty else { return }
        self.element(number, value)
    }

    /// One element of a repeated field, which is written even if it is empty.
    package mutating func element(_ number: UInt64, _ value: some Collection<UInt8>) {
        self.startMessage(number, count: value.count)
        self.bytes.append(contentsOf: value)
    }

    /// A message that is present, be it empty.
    package mutating func message(_ number: UInt64, _ encoded: [UInt8]) {
        self.element(number, encoded)
    }

    /// The head of a message whose `count` bytes follow.
    package mutating func startMessage(_ number: UInt64, count: Int) {
        self.varint(number << 3 | 2)
        self.varint(UInt64(count))
    }

    /// Bytes that an element of a repeated field with a number below 16 takes.
    package static func size(ofElement value: Data) -> Int {
        1 + Self.varintSize(UInt64(value.count)) + value.count
    }

    static func varintSize(_ number: UInt64) -> Int {
        max(1, (64 - number.leadingZeroBitCount + 6) / 7)
    }

    /// Appends a base-128 number, least significant group first.
    private mutating func varint(_ number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            self.bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        self.bytes.append(UInt8(truncatingIfNeeded: rest))
    }
}
