internal import Channel
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// An envelope that came in, and the bytes in which it is ordered.
///
/// Those are its canonical encoding, since peers refuse a block with any other. A client sends nearly always just that: then
/// they are the bytes that came in, and nothing is copied or encoded again.
struct ReceivedEnvelope: Sendable {
    let envelope: Common_Envelope
    /// `nil` if the bytes that came in were not canonical.
    let bytes: Data?

    /// - Throws: An error if the bytes are no envelope.
    init(_ bytes: Data) throws {
        let canonical = Common_Envelope(canonical: bytes)
        self.envelope = try canonical ?? Common_Envelope(serializedBytes: bytes)
        self.bytes = canonical == nil ? nil : bytes
    }

    init(_ envelope: Common_Envelope) {
        self.envelope = envelope
        self.bytes = nil
    }

    /// Bytes of payload and signature, which limits count.
    var size: Int { self.envelope.payload.count + self.envelope.signature.count }
}
