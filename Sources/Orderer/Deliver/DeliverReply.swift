internal import FabricProtos
package import Foundation
package import GRPCCore
internal import SwiftProtobuf

/// What Deliver sends: bytes of `orderer.DeliverResponse`.
package struct DeliverReply: Sendable {
    package let bytes: Data

    init(block: Data) { self.bytes = block }

    /// The status that ends the answer to a request.
    init(status: Common_Status) {
        // Field 1, varint; every status is below 2^14.
        let code = UInt64(status.rawValue)
        self.bytes = Data([0x08, UInt8(code & 0x7f) | 0x80, UInt8(truncatingIfNeeded: code >> 7)])
    }
}

/// Passes on bytes that are shared by all readers of a block.
package struct DeliverReplySerializer: MessageSerializer {
    package init() {}

    package func serialize<Bytes: GRPCContiguousBytes>(_ reply: DeliverReply) throws -> Bytes {
        Bytes(reply.bytes)
    }
}
