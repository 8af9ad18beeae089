internal import Channel
internal import Foundation

/// The keys of the store `derived`.
///
/// The first byte tells the kind; see `docs/formats/ledger.md`. Keys of the world state follow Fabric's: namespace,
/// a zero byte, key, so that a scan of a namespace returns its keys in the order of their bytes.
enum DerivedKey {
    static let savepoint = Data("p".utf8)

    private static let state = UInt8(ascii: "s")
    private static let history = UInt8(ascii: "h")
    private static let transaction = UInt8(ascii: "t")
    private static let blockHash = UInt8(ascii: "b")
    private static let metadataNamespace = UInt8(ascii: "m")
    private static let expiry = UInt8(ascii: "x")

    static func state(_ namespace: Bytes, _ key: some Collection<UInt8>) -> Data {
        var bytes = Bytes()
        bytes.reserveCapacity(namespace.count + key.count + 2)
        bytes.append(self.state)
        bytes.append(contentsOf: namespace)
        bytes.append(0)
        bytes.append(contentsOf: key)
        return Data(bytes)
    }

    /// The first key after all keys of `namespace`.
    static func endOfState(_ namespace: Bytes) -> Data {
        Data([self.state] + namespace + [1])
    }

    /// How many bytes precede the key proper in a key of `namespace`.
    static func statePrefixCount(_ namespace: Bytes) -> Int { namespace.count + 2 }

    /// Where the keys of the whole state begin and end.
    static var allState: (start: Data, end: Data) { (Data([self.state]), Data([self.state + 1])) }

    /// Namespace and key of a key made by ``state(_:_:)``.
    static func stateParts(_ key: Data) -> (namespace: Data, key: Data)? {
        guard key.first == self.state, let separator = key.firstIndex(of: 0) else { return nil }
        return (key[key.index(after: key.startIndex)..<separator], key[key.index(after: separator)...])
    }

    static func history(_ namespace: Bytes, _ key: Bytes, _ version: Version) -> Data {
        var bytes = self.historyPrefix(namespace, key)
        bytes.appendOrderPreserving(version.block)
        bytes.appendOrderPreserving(version.transaction)
        return Data(bytes)
    }

    static func historyPrefix(_ namespace: Bytes, _ key: Bytes) -> Bytes {
        var bytes = Bytes()
        bytes.reserveCapacity(namespace.count + key.count + 24)
        bytes.append(self.history)
        bytes.append(contentsOf: namespace)
        bytes.append(0)
        bytes.appendOrderPreserving(UInt64(key.count))
        bytes.append(contentsOf: key)
        return bytes
    }

    /// An identifier in its usual form, 64 lower-case hexadecimal digits, takes half as many bytes.
    static func transaction(_ identifier: String) -> Data {
        var bytes = Bytes()
        bytes.reserveCapacity(identifier.utf8.count + 2)
        bytes.append(self.transaction)
        bytes.append(0)
        if identifier.utf8.count == 64, self.appendHexadecimal(identifier, to: &bytes) { return Data(bytes) }
        return Data([self.transaction, 1] + Bytes(identifier.utf8))
    }

    /// Whether `key` was made by ``transaction(_:)``.
    static func isTransaction(_ key: Data) -> Bool { key.first == self.transaction }

    static func blockHash(_ hash: Data) -> Data { Data([self.blockHash]) + hash }

    static func metadataNamespace(_ namespace: Bytes) -> Data { Data([self.metadataNamespace] + namespace) }

    static var metadataNamespacePrefix: Data { Data([self.metadataNamespace]) }

    /// What expires when block `expiring` is committed.
    static func expiryPrefix(_ expiring: BlockNumber) -> Bytes {
        var bytes = Bytes([self.expiry])
        bytes.appendOrderPreserving(expiring)
        return bytes
    }

    private static func appendHexadecimal(_ text: String, to bytes: inout Bytes) -> Bool {
        var high: UInt8?
        for character in text.utf8 {
            let digit: UInt8
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = character - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = character - UInt8(ascii: "a") + 10
            default: return false
            }
            if let first = high {
                bytes.append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        return true
    }
}

/// The names under which private collections appear in the world state.
enum DerivedNamespace {
    /// Hashes of the keys and values, which every peer has.
    static func hashes(_ namespace: Bytes, _ collection: Bytes) -> Bytes {
        namespace + Bytes("$$h".utf8) + collection
    }

    /// Keys and values, which members of the collection have.
    static func values(_ namespace: Bytes, _ collection: Bytes) -> Bytes {
        namespace + Bytes("$$p".utf8) + collection
    }

    /// The namespace of the hashes of a namespace made by ``values(_:_:)``; `nil` for any other.
    static func hashes(ofValues namespace: Bytes) -> Bytes? {
        guard let mark = namespace.firstRange(of: Bytes("$$p".utf8)) else { return nil }
        return self.hashes(Bytes(namespace[..<mark.lowerBound]), Bytes(namespace[mark.upperBound...]))
    }
}
