package import FoundationEssentials
internal import SwiftASN1

/// The name of a certificate's subject or issuer.
package struct DistinguishedName: Sendable, Hashable, CustomStringConvertible {
    /// One part of a name, such as `OU=peer`.
    package struct Attribute: Sendable, Hashable {
        /// The object identifier in dotted form, such as `2.5.4.11`.
        package var type: String
        package var value: String

        package init(type: String, value: String) {
            self.type = type
            self.value = value
        }

        package static func commonName(_ value: String) -> Self { Self(type: "2.5.4.3", value: value) }
        package static func country(_ value: String) -> Self { Self(type: "2.5.4.6", value: value) }
        package static func locality(_ value: String) -> Self { Self(type: "2.5.4.7", value: value) }
        package static func province(_ value: String) -> Self { Self(type: "2.5.4.8", value: value) }
        package static func streetAddress(_ value: String) -> Self { Self(type: "2.5.4.9", value: value) }
        package static func organization(_ value: String) -> Self { Self(type: "2.5.4.10", value: value) }
        package static func organizationalUnit(_ value: String) -> Self {
            Self(type: "2.5.4.11", value: value)
        }
        package static func postalCode(_ value: String) -> Self { Self(type: "2.5.4.17", value: value) }
    }

    /// The relative distinguished names in the order of the encoding, each of one or more attributes.
    package let relativeNames: [[Attribute]]
    /// The encoding; names are equal if these bytes are.
    package let der: Data

    package static func == (left: Self, right: Self) -> Bool { left.der == right.der }

    package func hash(into hasher: inout Hasher) { hasher.combine(self.der) }

    package var commonName: String? { self.values(of: "2.5.4.3").last }
    package var organizations: [String] { self.values(of: "2.5.4.10") }
    package var organizationalUnits: [String] { self.values(of: "2.5.4.11") }

    private func values(of type: String) -> [String] {
        self.relativeNames.joined().filter { $0.type == type }.map(\.value)
    }

    /// As in RFC 2253: the last part first, such as `CN=peer0.example.com,OU=peer,O=example.com`.
    package var description: String {
        self.relativeNames.reversed().map { attributes in
            attributes.map { "\(Self.shortNames[$0.type] ?? $0.type)=\(Self.escaped($0.value))" }
                .joined(separator: "+")
        }.joined(separator: ",")
    }

    private static let shortNames = [
        "2.5.4.3": "CN", "2.5.4.5": "SERIALNUMBER", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
        "2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.17": "POSTALCODE",
    ]

    private static func escaped(_ value: String) -> String {
        var text = ""
        for character in value {
            if ",+\"\\<>;".contains(character) || text.isEmpty && "# ".contains(character) {
                text.append("\\")
            }
            text.append(character)
        }
        return text.hasSuffix(" ") ? text.dropLast() + "\\ " : text
    }
}

extension DistinguishedName {
    init(_ node: ASN1Node) throws {
        var names = try DERCursor(node)
        var relativeNames: [[Attribute]] = []
        while !names.isAtEnd {
            var members = try DERCursor(names.next(), .set)
            var attributes: [Attribute] = []
            while !members.isAtEnd {
                var member = try DERCursor(members.next())
                let type = try member.objectIdentifier()
                attributes.append(Attribute(type: type.description, value: try Self.text(member.next())))
            }
            relativeNames.append(attributes)
        }
        self.relativeNames = relativeNames
        self.der = node.der
    }

    /// The text of an attribute.
    ///
    /// - Source: Go `crypto/x509`, which refuses certificates with values of other types, and with characters that do not
    ///   belong into a string of the type that it says it is.
    private static func text(_ node: ASN1Node) throws -> String {
        guard case .primitive(let bytes) = node.content else {
            throw DERFault.invalid("a name has a value that is no string")
        }
        let isText: Bool
        switch node.identifier {
        case .utf8String: isText = true
        case .printableString: isText = bytes.allSatisfy { Self.isPrintable($0) || "*&".utf8.contains($0) }
        case .ia5String: isText = bytes.allSatisfy { $0 < 0x80 }
        case .numericString: isText = bytes.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x20 }
        case .teletexString:
            return String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
        case .bmpString:
            return try Self.textOfTwoByteCharacters(bytes)
        default:
            throw DERFault.invalid("a name has a value of the unknown type \(node.identifier)")
        }
        guard isText, let text = String(validating: bytes, as: UTF8.self) else {
            throw DERFault.invalid("a name is not text")
        }
        return text
    }

    /// A BMPString, without the terminator that some writers add.
    private static func textOfTwoByteCharacters(_ bytes: ArraySlice<UInt8>) throws -> String {
        guard bytes.count.isMultiple(of: 2) else { throw DERFault.invalid("a name is not text") }
        var units = stride(from: bytes.startIndex, to: bytes.endIndex, by: 2).map {
            UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1])
        }
        if units.last == 0 { units.removeLast() }
        let isText = units.allSatisfy { unit in
            !(0xd800...0xdfff).contains(unit) && !(0xfdd0...0xfdef).contains(unit) && unit < 0xfffe
        }
        guard isText else { throw DERFault.invalid("a name is not text") }
        return String(decoding: units, as: UTF16.self)
    }

    /// Makes a name of one attribute per relative name, in the order given.
    ///
    /// Values are written as PrintableString where that can hold them, and as UTF8String otherwise.
    package init(_ attributes: [Attribute]) throws(CryptographyError) {
        var serializer = DER.Serializer()
        do {
            try serializer.appendConstructedNode(identifier: .sequence) { names in
                for attribute in attributes {
                    try names.appendConstructedNode(identifier: .set) { members in
                        try members.appendConstructedNode(identifier: .sequence) { member in
                            try member.serialize(ASN1ObjectIdentifier(dotRepresentation: attribute.type))
                            let bytes = Array(attribute.value.utf8)
                            let identifier: ASN1Identifier =
                                bytes.allSatisfy(Self.isPrintable) ? .printableString : .utf8String
                            member.appendPrimitiveNode(identifier: identifier) { $0 += bytes }
                        }
                    }
                }
            }
        } catch {
            throw CryptographyError(
                code: .malformedCertificate,
                message: "cannot write the name \(attributes): \(error)"
            )
        }
        self.relativeNames = attributes.map { [$0] }
        self.der = Data(serializer.serializedBytes)
    }

    /// Whether PrintableString has the character (X.680, 41.4).
    private static func isPrintable(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: " '()+,-./:=?".utf8.contains(byte)
        }
    }
}

/// Lower-case hexadecimal digits of `bytes`.
package func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
}
