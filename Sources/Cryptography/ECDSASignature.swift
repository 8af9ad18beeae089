internal import FoundationEssentials

/// The two numbers of an ECDSA signature, read from DER the way Fabric reads them.
///
/// Fabric parses `SEQUENCE { r INTEGER, s INTEGER }` with Go's `encoding/asn1`: lengths and integers must be
/// minimal and positive, but bytes after the sequence, and further elements inside it, are ignored.
/// Signatures must have *s* at most half the curve's order ("low S"), or anyone could make a second valid
/// signature from a first.
///
/// - Source: Fabric v3.1, `bccsp/utils` (`UnmarshalECDSASignature`, `IsLowS`); Go `encoding/asn1`.
struct ECDSASignature {
    /// Where a number lies in the bytes, leading zero stripped.
    var r: Range<Int>
    var s: Range<Int>
    /// Where the encoding ends that OpenSSL, stricter than Go, would accept; `nil` if it must be made anew.
    var strictEnd: Int?

    /// Reads a signature, without allocating.
    init(parsing bytes: UnsafeRawBufferPointer) throws(SignatureFault) {
        guard !bytes.isEmpty else { throw .empty }
        let sequence = try Self.element(0x30, at: 0, before: bytes.count, in: bytes)
        let r = try Self.element(0x02, at: sequence.lowerBound, before: sequence.upperBound, in: bytes)
        let s = try Self.element(0x02, at: r.upperBound, before: sequence.upperBound, in: bytes)
        self.r = try Self.positiveInteger(r, in: bytes)
        self.s = try Self.positiveInteger(s, in: bytes)
        self.strictEnd = s.upperBound == sequence.upperBound ? sequence.upperBound : nil
    }

    /// The contents of the element at `start`, whose identifier octet must be `tag`.
    private static func element(
        _ tag: UInt8,
        at start: Int,
        before end: Int,
        in bytes: UnsafeRawBufferPointer
    ) throws(SignatureFault) -> Range<Int> {
        guard end - start >= 2, bytes[start] == tag else { throw .malformed }
        var contents = start + 2
        var count = Int(bytes[start + 1])
        if count >= 0x80 {
            // Two length octets reach 65,535, far more than any signature needs.
            let octets = count & 0x7f
            guard octets == 1 || octets == 2, end - contents >= octets else { throw .malformed }
            count = 0
            for _ in 0..<octets {
                count = count << 8 | Int(bytes[contents])
                contents += 1
            }
            guard count >= (octets == 1 ? 0x80 : 0x100) else { throw .malformed }
        }
        guard count <= end - contents else { throw .malformed }
        return contents..<contents + count
    }

    private static func positiveInteger(
        _ contents: Range<Int>,
        in bytes: UnsafeRawBufferPointer
    ) throws(SignatureFault) -> Range<Int> {
        guard let first = contents.first else { throw .malformed }
        guard bytes[first] & 0x80 == 0 else {
            let redundant = contents.count > 1 && bytes[first] == 0xff && bytes[first + 1] & 0x80 != 0
            throw redundant ? .malformed : .notPositive
        }
        guard bytes[first] == 0 else { return contents }
        guard contents.count > 1 else { throw .notPositive }
        guard bytes[first + 1] & 0x80 != 0 else { throw .malformed }
        return contents.dropFirst()
    }

    /// Whether *s* is at most half the order of `curve`.
    func isLowS(on curve: EllipticCurve, in bytes: UnsafeRawBufferPointer) -> Bool {
        let half = curve.halfOrder
        if self.s.count != half.count { return self.s.count < half.count }
        for (index, limit) in zip(self.s, half) where bytes[index] != limit { return bytes[index] < limit }
        return true
    }

    /// The shortest DER encoding of the same numbers, with *s* replaced by *n* − *s* where `curve` is given.
    func encoded(negatingSOn curve: EllipticCurve? = nil, in bytes: UnsafeRawBufferPointer) -> Data {
        let r = Array(bytes[self.r])
        var s = Array(bytes[self.s])
        if let curve { s = Self.difference(curve.order, s) }
        let integers = Self.integer(r) + Self.integer(s)
        return Data([0x30] + Self.length(integers.count) + integers)
    }

    /// `minuend` − `subtrahend` for big-endian numbers, `minuend` being the larger.
    private static func difference(_ minuend: [UInt8], _ subtrahend: [UInt8]) -> [UInt8] {
        var result = minuend
        var borrow = 0
        for position in 0..<minuend.count {
            let index = minuend.count - 1 - position
            let taken = position < subtrahend.count ? Int(subtrahend[subtrahend.count - 1 - position]) : 0
            let digit = Int(minuend[index]) - taken - borrow
            borrow = digit < 0 ? 1 : 0
            result[index] = UInt8(truncatingIfNeeded: digit)
        }
        return Array(result.drop { $0 == 0 })
    }

    private static func integer(_ magnitude: [UInt8]) -> [UInt8] {
        let padding: [UInt8] = (magnitude.first ?? 0x80) & 0x80 != 0 ? [0] : []
        return [0x02] + Self.length(padding.count + magnitude.count) + padding + magnitude
    }

    private static func length(_ count: Int) -> [UInt8] {
        count < 0x80 ? [UInt8(count)] : [0x81, UInt8(truncatingIfNeeded: count)]
    }

    /// `signature` with *s* brought to the lower half of `curve`'s order; `nil` if it is there already.
    static func lowS(of signature: Data, on curve: EllipticCurve) throws(SignatureFault) -> Data? {
        let result: Result<Data?, SignatureFault> = signature.withUnsafeBytes { bytes in
            do throws(SignatureFault) {
                let numbers = try ECDSASignature(parsing: bytes)
                guard !numbers.isLowS(on: curve, in: bytes) else { return .success(nil) }
                guard numbers.isBelowOrder(of: curve, in: bytes) else { return .failure(.malformed) }
                return .success(numbers.encoded(negatingSOn: curve, in: bytes))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private func isBelowOrder(of curve: EllipticCurve, in bytes: UnsafeRawBufferPointer) -> Bool {
        let order = curve.order
        if self.s.count != order.count { return self.s.count < order.count }
        for (index, limit) in zip(self.s, order) where bytes[index] != limit { return bytes[index] < limit }
        return false
    }
}

/// Why a signature does not hold.
package enum SignatureFault: Error, Sendable, Hashable, CustomStringConvertible {
    case empty
    /// Not `SEQUENCE { INTEGER, INTEGER }` in minimal DER, or of the wrong length for Ed25519.
    case malformed
    /// *r* or *s* is zero or negative.
    case notPositive
    /// *s* is above half the curve's order.
    case highS
    /// Well formed, but not made with this key over these bytes.
    case mismatch
    /// The key's algorithm cannot verify signatures of messages here (RSA and others).
    case unsupportedKey

    package var description: String {
        switch self {
        case .empty: "the signature is empty"
        case .malformed: "the signature is not well formed (minimal DER of r and s, or 64 bytes for Ed25519)"
        case .notPositive: "the signature's r and s must be above zero"
        case .highS: "the signature's s is above half the curve's order; sign with low-S signatures"
        case .mismatch: "the signature was not made by this key over these bytes"
        case .unsupportedKey: "keys of this kind cannot sign here; use ECDSA (P-256) or Ed25519"
        }
    }
}

/// The outcome of checking a signature.
package enum SignatureVerdict: Sendable, Hashable {
    case valid
    case invalid(SignatureFault)

    package var isValid: Bool { self == .valid }
}
