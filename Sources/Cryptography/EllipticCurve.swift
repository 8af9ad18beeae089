/// The curves on which Fabric accepts ECDSA keys.
///
/// - Source: Fabric v3.1, `bccsp/utils` package (P-224, P-256, P-384, P-521); domain parameters: FIPS 186-4, D.1.2.
package enum EllipticCurve: String, Sendable, Hashable {
    case p224 = "P-224"
    case p256 = "P-256"
    case p384 = "P-384"
    case p521 = "P-521"

    /// Length of a coordinate in bytes.
    package var coordinateByteCount: Int {
        switch self {
        case .p224: 28
        case .p256: 32
        case .p384: 48
        case .p521: 66
        }
    }

    /// The order *n* of the base point, big-endian without leading zeros.
    var order: [UInt8] {
        switch self {
        case .p224: Self.order224
        case .p256: Self.order256
        case .p384: Self.order384
        case .p521: Self.order521
        }
    }

    /// *n* >> 1, the largest *s* of a low-S signature, big-endian without leading zeros.
    var halfOrder: [UInt8] {
        switch self {
        case .p224: Self.halfOrder224
        case .p256: Self.halfOrder256
        case .p384: Self.halfOrder384
        case .p521: Self.halfOrder521
        }
    }

    private static let order224 = bytes("ffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3d")
    private static let order256 = bytes("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
    private static let order384 = bytes(
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973"
    )
    private static let order521 = bytes(
        """
        01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa\
        51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409
        """
    )
    private static let halfOrder224 = halved(order224)
    private static let halfOrder256 = halved(order256)
    private static let halfOrder384 = halved(order384)
    private static let halfOrder521 = halved(order521)

    private static func bytes(_ hex: String) -> [UInt8] {
        let digits = hex.compactMap(\.hexDigitValue).map(UInt8.init)
        return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    private static func halved(_ number: [UInt8]) -> [UInt8] {
        var carry: UInt8 = 0
        let halves = number.map { byte in
            defer { carry = byte & 1 }
            return byte >> 1 | carry << 7
        }
        return Array(halves.drop { $0 == 0 })
    }
}
