package import FabricProtos
package import Foundation
internal import SwiftProtobuf

// A transaction is a dozen messages inside one another, nearly all of which hold bytes alone. SwiftProtobuf copies every
// field, with two allocations each: together 11 of the 170 µs that a peer takes for a transaction when it catches up.
// Here fields are slices of the bytes that were received.
//
// Only what is plainly encoded goes this way: length-delimited fields with known numbers, in ascending order, each once.
// Everything else, and everything that is wrong, is left to SwiftProtobuf, so that what a message means, and whether it
// means anything, is decided in one place.

/// Calls `found` with each field of a plainly encoded message.
///
/// - Parameters:
///   - bytes: the message.
///   - highest: the highest number of its fields, at most 15.
///   - repeated: the number of a field that may occur more than once; 0 for none.
///   - found: takes number and contents; returns whether the contents are plain, too.
/// - Returns: whether the message is plainly encoded; if not, what was found so far means nothing.
private func scanPlainFields(
    _ bytes: Data,
    highest: UInt8,
    repeated: UInt8 = 0,
    _ found: (_ number: UInt8, _ contents: Data) -> Bool
) -> Bool {
    var index = bytes.startIndex
    let end = bytes.endIndex
    var last: UInt8 = 0
    while index < end {
        let tag = bytes[index]
        let number = tag >> 3
        guard tag < 0x80, tag & 7 == 2, number > 0, number <= highest else { return false }
        guard number > last || (number == last && number == repeated) else { return false }
        last = number
        index += 1
        var count = 0
        var shift = 0
        while true {
            guard index < end, shift <= 28 else { return false }
            let byte = bytes[index]
            index += 1
            count |= Int(byte & 0x7f) << shift
            if byte < 0x80 { break }
            shift += 7
        }
        guard count <= end - index, found(number, bytes[index..<index + count]) else { return false }
        index += count
    }
    return true
}

extension Common_Envelope {
    /// Decodes an envelope that is encoded as protobuf's libraries do it, so that encoding it again gives `bytes`; its parts
    /// are slices of them.
    ///
    /// `nil` if it isn't, or can't be read.
    package init?(canonical bytes: Data) {
        self.init()
        let isPlain = scanPlainFields(bytes, highest: 2) { number, contents in
            if number == 1 { self.payload = contents } else { self.signature = contents }
            return !contents.isEmpty
        }
        // Only the lengths could have been written in more bytes than they need.
        let parts = [self.payload, self.signature].filter { !$0.isEmpty }
        guard isPlain, bytes.count == parts.reduce(0, { $0 + WireMessage.size(ofElement: $1) }) else {
            return nil
        }
    }

    /// Decodes an envelope; its parts may be slices of `bytes`.
    init(slicing bytes: Data) throws {
        var envelope = Self()
        let isPlain = scanPlainFields(bytes, highest: 2) { number, contents in
            if number == 1 { envelope.payload = contents } else { envelope.signature = contents }
            return true
        }
        self = try isPlain ? envelope : Self(serializedBytes: bytes)
    }
}

extension Common_Block {
    /// Decodes a block for those who ask for headers: without its data, but a configuration block whole.
    ///
    /// The data of a block with several envelopes, which is no configuration block, are not decoded.
    ///
    /// - Source: Fabric v3.1, package `common/deliver`, content type HEADER_WITH_SIG.
    package init(attesting bytes: Data) throws {
        var (header, metadata, count) = (Data(), Data(), 0)
        let isPlain = scanPlainFields(bytes, highest: 3) { number, contents in
            switch number {
            case 1: header = contents
            case 2:
                return scanPlainFields(contents, highest: 1, repeated: 1) { _, _ in
                    count += 1
                    return true
                }
            default: metadata = contents
            }
            return true
        }
        guard isPlain, count > 1 else {
            self = try Self(serializedBytes: bytes)
            if !self.isConfigBlock { self.clearData() }
            return
        }
        self.init()
        self.header = try Common_BlockHeader(serializedBytes: header)
        self.metadata = try Common_BlockMetadata(serializedBytes: metadata)
    }
}

extension Common_Payload {
    /// Decodes a payload; its parts may be slices of `bytes`.
    init(slicing bytes: Data) throws {
        var payload = Self()
        let isPlain = scanPlainFields(bytes, highest: 2) { number, contents in
            guard number == 1 else {
                payload.data = contents
                return true
            }
            guard let header = Common_Header(plain: contents) else { return false }
            payload.header = header
            return true
        }
        self = try isPlain ? payload : Self(serializedBytes: bytes)
    }
}

extension Common_Header {
    /// Decodes a header; its parts may be slices of `bytes`.
    init(slicing bytes: Data) throws {
        self = try Self(plain: bytes) ?? Self(serializedBytes: bytes)
    }

    /// `nil` if the header is not plainly encoded.
    fileprivate init?(plain bytes: Data) {
        var header = Self()
        let isPlain = scanPlainFields(bytes, highest: 2) { number, contents in
            if number == 1 { header.channelHeader = contents } else { header.signatureHeader = contents }
            return true
        }
        guard isPlain else { return nil }
        self = header
    }
}

extension Common_SignatureHeader {
    /// Decodes a signature header; its parts may be slices of `bytes`.
    init(slicing bytes: Data) throws {
        var header = Self()
        let isPlain = scanPlainFields(bytes, highest: 2) { number, contents in
            if number == 1 { header.creator = contents } else { header.nonce = contents }
            return true
        }
        self = try isPlain ? header : Self(serializedBytes: bytes)
    }
}

extension Protos_Transaction {
    /// Decodes a transaction; its parts may be slices of `bytes`.
    init(slicing bytes: Data) throws {
        var transaction = Self()
        let isPlain = scanPlainFields(bytes, highest: 1, repeated: 1) { _, contents in
            var action = Protos_TransactionAction()
            let isPlain = scanPlainFields(contents, highest: 2) { number, contents in
                if number == 1 { action.header = contents } else { action.payload = contents }
                return true
            }
            transaction.actions.append(action)
            return isPlain
        }
        self = try isPlain ? transaction : Self(serializedBytes: bytes)
    }
}

extension Protos_ChaincodeActionPayload {
    /// Decodes the payload of an action; its parts may be slices of `bytes`.
    init(slicing bytes: Data) throws {
        var payload = Self()
        let isPlain = scanPlainFields(bytes, highest: 2) { number, contents in
            guard number == 1 else {
                guard let action = Protos_ChaincodeEndorsedAction(plain: contents) else { return false }
                payload.action = action
                return true
            }
            payload.chaincodeProposalPayload = contents
            return true
        }
        self = try isPlain ? payload : Self(serializedBytes: bytes)
    }
}

extension Protos_ChaincodeEndorsedAction {
    /// `nil` if the action is not plainly encoded.
    fileprivate init?(plain bytes: Data) {
        var action = Self()
        let isPlain = scanPlainFields(bytes, highest: 2, repeated: 2) { number, contents in
            guard number == 2 else {
                action.proposalResponsePayload = contents
                return true
            }
            var endorsement = Protos_Endorsement()
            let isPlain = scanPlainFields(contents, highest: 2) { number, contents in
                if number == 1 { endorsement.endorser = contents } else { endorsement.signature = contents }
                return true
            }
            action.endorsements.append(endorsement)
            return isPlain
        }
        guard isPlain else { return nil }
        self = action
    }
}

extension Protos_ProposalResponsePayload {
    /// Decodes what endorsers sign; its parts may be slices of `bytes`.
    init(slicing bytes: Data) throws {
        var payload = Self()
        let isPlain = scanPlainFields(bytes, highest: 2) { number, contents in
            if number == 1 { payload.proposalHash = contents } else { payload.extension = contents }
            return true
        }
        self = try isPlain ? payload : Self(serializedBytes: bytes)
    }
}
