internal import FoundationEssentials
internal import SwiftASN1

/// Steps through the elements of a constructed DER element.
struct DERCursor {
    private var elements: ASN1NodeCollection.Iterator
    private var ahead: ASN1Node?

    /// Opens `node`, whose identifier must be `identifier`.
    init(_ node: ASN1Node, _ identifier: ASN1Identifier = .sequence) throws {
        guard node.identifier == identifier, case .constructed(let elements) = node.content else {
            throw DERFault.unexpected(found: node.identifier, expected: identifier)
        }
        self.elements = elements.makeIterator()
        self.ahead = self.elements.next()
    }

    /// Opens the only element of `bytes`.
    init(_ bytes: Data) throws {
        try self.init(DER.parse(Array(bytes)))
    }

    var isAtEnd: Bool { self.ahead == nil }

    /// The next element, of any kind.
    mutating func next() throws -> ASN1Node {
        guard let node = self.ahead else { throw DERFault.missing }
        self.ahead = self.elements.next()
        return node
    }

    /// The next element if its identifier is `identifier`.
    mutating func next(if identifier: ASN1Identifier) -> ASN1Node? {
        guard let node = self.ahead, node.identifier == identifier else { return nil }
        self.ahead = self.elements.next()
        return node
    }

    mutating func next(_ identifier: ASN1Identifier) throws -> ASN1Node {
        let node = try self.next()
        guard node.identifier == identifier else {
            throw DERFault.unexpected(found: node.identifier, expected: identifier)
        }
        return node
    }

    mutating func objectIdentifier() throws -> ASN1ObjectIdentifier {
        try ASN1ObjectIdentifier(derEncoded: self.next())
    }

    /// The bytes of a bit string whose length is a whole number of bytes.
    mutating func octetsOfBitString() throws -> Data {
        let bits = try ASN1BitString(derEncoded: self.next())
        guard bits.paddingBits == 0 else { throw DERFault.partialOctet }
        return Data(bits.bytes)
    }
}

enum DERFault: Error, CustomStringConvertible {
    case missing
    case unexpected(found: ASN1Identifier, expected: ASN1Identifier)
    case partialOctet
    case invalid(String)

    var description: String {
        switch self {
        case .missing: "an element is missing"
        case .unexpected(let found, let expected): "found \(found) where \(expected) belongs"
        case .partialOctet: "a bit string does not end on a byte"
        case .invalid(let what): what
        }
    }
}

extension ASN1Identifier {
    static func context(_ number: UInt) -> ASN1Identifier {
        ASN1Identifier(tagWithNumber: number, tagClass: .contextSpecific)
    }
}

extension ASN1Node {
    /// The element as it was encoded.
    var der: Data { Data(self.encodedBytes) }

    /// The contents of a primitive element.
    func primitiveContents() throws -> ArraySlice<UInt8> {
        guard case .primitive(let bytes) = self.content else {
            throw DERFault.invalid("found a constructed element where a primitive one belongs")
        }
        return bytes
    }

    /// Whether the element is an INTEGER below zero.
    func isNegativeInteger() throws -> Bool {
        guard self.identifier == .integer, let first = try self.primitiveContents().first else {
            throw DERFault.invalid("an integer is missing or empty")
        }
        return first & 0x80 != 0
    }

    /// The magnitude of a non-negative INTEGER, without leading zeros (0 is one zero byte).
    func nonNegativeInteger() throws -> Data {
        guard self.identifier == .integer else {
            throw DERFault.unexpected(found: self.identifier, expected: .integer)
        }
        let bytes = try self.primitiveContents()
        guard let first = bytes.first else { throw DERFault.invalid("an integer is empty") }
        guard first & 0x80 == 0 else { throw DERFault.invalid("an integer is negative") }
        guard first == 0, let second = bytes.dropFirst().first else { return Data(bytes) }
        guard second & 0x80 != 0 else { throw DERFault.invalid("an integer has needless zeros") }
        return Data(bytes.dropFirst())
    }

    /// A point in time, from UTCTime or GeneralizedTime, to the second.
    func time() throws -> Date {
        if self.identifier == .utcTime {
            let time = try UTCTime(derEncoded: self)
            return CivilTime(
                year: time.year,
                month: time.month,
                day: time.day,
                hours: time.hours,
                minutes: time.minutes,
                seconds: time.seconds
            ).date
        }
        let time = try GeneralizedTime(derEncoded: self)
        return CivilTime(
            year: time.year,
            month: time.month,
            day: time.day,
            hours: time.hours,
            minutes: time.minutes,
            seconds: time.seconds
        ).date
    }
}
