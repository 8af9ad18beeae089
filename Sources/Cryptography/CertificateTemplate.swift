package import FoundationEssentials
internal import SwiftASN1

/// What a new certificate shall say.
package struct CertificateTemplate: Sendable {
    package var subject: DistinguishedName
    /// The magnitude, big-endian, at most 20 bytes; see ``randomSerialNumber()``.
    package var serialNumber: Data
    package var notBefore: Date
    package var notAfter: Date
    package var isCA = false
    /// The most intermediate CAs below a CA; `nil` if unlimited.
    package var maximumPathLength: Int?
    package var keyUsage: KeyUsage
    package var extendedKeyUsages: [ExtendedKeyUsage] = []
    package var subjectAlternativeNames: [GeneralName] = []
    /// Extensions that mean nothing to X.509 itself, by object identifier in dotted form.
    package var otherExtensions: [(identifier: String, contents: Data)] = []

    package init(
        subject: DistinguishedName,
        serialNumber: Data,
        notBefore: Date,
        notAfter: Date,
        keyUsage: KeyUsage
    ) {
        self.subject = subject
        self.serialNumber = serialNumber
        self.notBefore = notBefore
        self.notAfter = notAfter
        self.keyUsage = keyUsage
    }

    /// 16 random bytes, positive.
    package static func randomSerialNumber() throws(CryptographyError) -> Data {
        var bytes = try secureRandomBytes(16)
        let first = bytes[bytes.startIndex]
        bytes[bytes.startIndex] = first & 0x7f | 0x40
        return bytes
    }

    /// Makes a root certificate, signed with its own key.
    package func selfSigned(with key: PrivateKey) throws(CryptographyError) -> Certificate {
        let identifier = Self.identifier(of: key.publicKey)
        return try self.sign(key.publicKey, issuer: self.subject, issuerIdentifier: identifier, with: key)
    }

    /// Makes a certificate for `publicKey`, signed by `issuer`, whose private key is `key`.
    package func issued(
        for publicKey: PublicKey,
        by issuer: Certificate,
        with key: PrivateKey
    ) throws(CryptographyError) -> Certificate {
        guard issuer.publicKey == key.publicKey else {
            throw CryptographyError(
                code: .signing,
                message: "the private key is not that of the issuer \(issuer.subject)"
            )
        }
        return try self.sign(
            publicKey,
            issuer: issuer.subject,
            issuerIdentifier: issuer.subjectKeyIdentifier ?? Self.identifier(of: issuer.publicKey),
            with: key
        )
    }

    /// The subject key identifier: SHA-256 of the public key's bits (RFC 7093, 2, method 1 without truncation).
    private static func identifier(of key: PublicKey) -> Data { key.subjectKeyIdentifier }

    private func sign(
        _ publicKey: PublicKey,
        issuer: DistinguishedName,
        issuerIdentifier: Data,
        with key: PrivateKey
    ) throws(CryptographyError) -> Certificate {
        let algorithm = try SignatureAlgorithm(signingWith: key.algorithm)
        do {
            var signedPart = DER.Serializer()
            try signedPart.appendConstructedNode(identifier: .sequence) { fields in
                try fields.appendConstructedNode(identifier: .context(0)) { try $0.serialize(2) }
                fields.appendInteger(self.serialNumber)
                try algorithm.serialize(into: &fields)
                try fields.serialize(DER.parse(Array(issuer.der)))
                try fields.appendConstructedNode(identifier: .sequence) { validity in
                    try validity.appendTime(self.notBefore)
                    try validity.appendTime(self.notAfter)
                }
                try fields.serialize(DER.parse(Array(self.subject.der)))
                try fields.serialize(DER.parse(Array(publicKey.der)))
                try fields.appendConstructedNode(identifier: .context(3)) { tagged in
                    try tagged.appendConstructedNode(identifier: .sequence) { extensions in
                        try self.serializeExtensions(
                            into: &extensions,
                            subject: Self.identifier(of: publicKey),
                            authority: issuerIdentifier
                        )
                    }
                }
            }
            return try Certificate(der: sealed(signedPart.serializedBytes, algorithm, with: key))
        } catch let error as CryptographyError {
            throw error
        } catch {
            throw CryptographyError(code: .signing, message: "cannot write the certificate: \(error)")
        }
    }

    private func serializeExtensions(
        into extensions: inout DER.Serializer,
        subject: Data,
        authority: Data
    ) throws {
        try extensions.appendExtension(ObjectIdentifier.keyUsage, isCritical: true) { value in
            try value.serialize(self.keyUsageBits)
        }
        if !self.extendedKeyUsages.isEmpty {
            try extensions.appendExtension(ObjectIdentifier.extendedKeyUsage) { value in
                try value.appendConstructedNode(identifier: .sequence) { purposes in
                    for usage in self.extendedKeyUsages {
                        try purposes.serialize(ASN1ObjectIdentifier(dotRepresentation: usage.identifier))
                    }
                }
            }
        }
        try extensions.appendExtension(ObjectIdentifier.basicConstraints, isCritical: true) { value in
            try value.appendConstructedNode(identifier: .sequence) { fields in
                if self.isCA { try fields.serialize(true) }
                if self.isCA, let length = self.maximumPathLength { try fields.serialize(length) }
            }
        }
        try extensions.appendExtension(ObjectIdentifier.subjectKeyIdentifier) { value in
            try value.serialize(ASN1OctetString(contentBytes: ArraySlice(subject)))
        }
        try extensions.appendExtension(ObjectIdentifier.authorityKeyIdentifier) { value in
            value.appendConstructedNode(identifier: .sequence) { fields in
                fields.appendPrimitiveNode(identifier: .context(0)) { $0 += Array(authority) }
            }
        }
        if !self.subjectAlternativeNames.isEmpty {
            try extensions.appendExtension(ObjectIdentifier.subjectAlternativeName) { value in
                value.appendConstructedNode(identifier: .sequence) { names in
                    for name in self.subjectAlternativeNames { name.serialize(into: &names) }
                }
            }
        }
        for other in self.otherExtensions {
            let identifier = try ASN1ObjectIdentifier(dotRepresentation: other.identifier)
            try extensions.appendExtension(identifier) { $0.serializeRawBytes(other.contents) }
        }
    }

    /// The usage as a bit string without trailing zero bits, as DER wants named bits.
    private var keyUsageBits: ASN1BitString {
        var bytes: [UInt8] = [0, 0]
        var last = -1
        for bit in 0..<9 where self.keyUsage.rawValue & 1 << UInt16(bit) != 0 {
            bytes[bit / 8] |= 0x80 >> UInt8(bit % 8)
            last = bit
        }
        guard last >= 0 else { return ASN1BitString(bytes: []) }
        return ASN1BitString(bytes: bytes[0...(last / 8)], paddingBits: 7 - last % 8)
    }
}

/// What a new revocation list shall say.
package struct RevocationListTemplate: Sendable {
    /// A certificate that is revoked.
    package struct Entry: Sendable, Hashable {
        package var serialNumber: Data
        package var revokedAt: Date

        package init(serialNumber: Data, revokedAt: Date) {
            self.serialNumber = serialNumber
            self.revokedAt = revokedAt
        }
    }

    package var entries: [Entry]
    /// Grows by one with each list of an authority.
    package var number: UInt32
    package var thisUpdate: Date
    package var nextUpdate: Date

    package init(entries: [Entry], number: UInt32, thisUpdate: Date, nextUpdate: Date) {
        self.entries = entries
        self.number = number
        self.thisUpdate = thisUpdate
        self.nextUpdate = nextUpdate
    }

    /// Makes the list, signed by `issuer`, whose private key is `key`.
    ///
    /// The list always carries the issuer's key identifier: Fabric locks an organization out whose list has none.
    package func signed(
        by issuer: Certificate,
        with key: PrivateKey
    ) throws(CryptographyError) -> CertificateRevocationList {
        guard issuer.publicKey == key.publicKey, let identifier = issuer.subjectKeyIdentifier else {
            throw CryptographyError(
                code: .signing,
                message: "the key is not that of \(issuer.subject), or that has no subject key identifier"
            )
        }
        let algorithm = try SignatureAlgorithm(signingWith: key.algorithm)
        do {
            var signedPart = DER.Serializer()
            try signedPart.appendConstructedNode(identifier: .sequence) { fields in
                try fields.serialize(1)
                try algorithm.serialize(into: &fields)
                try fields.serialize(DER.parse(Array(issuer.subject.der)))
                try fields.appendTime(self.thisUpdate)
                try fields.appendTime(self.nextUpdate)
                if !self.entries.isEmpty { try self.serializeEntries(into: &fields) }
                try fields.appendConstructedNode(identifier: .context(0)) { tagged in
                    try tagged.appendConstructedNode(identifier: .sequence) { extensions in
                        try extensions.appendExtension(ObjectIdentifier.authorityKeyIdentifier) { value in
                            value.appendConstructedNode(identifier: .sequence) { fields in
                                fields.appendPrimitiveNode(identifier: .context(0)) {
                                    $0 += Array(identifier)
                                }
                            }
                        }
                        try extensions.appendExtension(ObjectIdentifier.cRLNumber) { value in
                            try value.serialize(Int(self.number))
                        }
                    }
                }
            }
            return try CertificateRevocationList(sealed(signedPart.serializedBytes, algorithm, with: key))
        } catch let error as CryptographyError {
            throw error
        } catch {
            throw CryptographyError(code: .signing, message: "cannot write the revocation list: \(error)")
        }
    }

    private func serializeEntries(into fields: inout DER.Serializer) throws {
        try fields.appendConstructedNode(identifier: .sequence) { list in
            for entry in self.entries {
                try list.appendConstructedNode(identifier: .sequence) { fields in
                    fields.appendInteger(entry.serialNumber)
                    try fields.appendTime(entry.revokedAt)
                }
            }
        }
    }
}

/// `SEQUENCE { signedPart, algorithm, signature }`.
private func sealed(
    _ signedPart: [UInt8],
    _ algorithm: SignatureAlgorithm,
    with key: PrivateKey
) throws -> Data {
    let signature = try key.sign(Data(signedPart), hash: algorithm.hash ?? .sha256)
    var serializer = DER.Serializer()
    try serializer.appendConstructedNode(identifier: .sequence) { whole in
        whole.serializeRawBytes(signedPart)
        try algorithm.serialize(into: &whole)
        try whole.serialize(ASN1BitString(bytes: ArraySlice(signature)))
    }
    return Data(serializer.serializedBytes)
}

extension DER.Serializer {
    /// Appends a non-negative INTEGER given by its magnitude.
    mutating func appendInteger(_ magnitude: Data) {
        let bytes = Array(magnitude.drop { $0 == 0 })
        let padding: [UInt8] = (bytes.first ?? 0x80) & 0x80 != 0 ? [0] : []
        self.appendPrimitiveNode(identifier: .integer) { $0 += padding + bytes }
    }

    /// Appends a time to the second: UTCTime up to 2049, GeneralizedTime after (RFC 5280, 4.1.2.5).
    mutating func appendTime(_ date: Date) throws {
        let time = CivilTime(date)
        if (1950..<2050).contains(time.year) {
            try self.serialize(
                UTCTime(
                    year: time.year,
                    month: time.month,
                    day: time.day,
                    hours: time.hours,
                    minutes: time.minutes,
                    seconds: time.seconds
                )
            )
        } else {
            try self.serialize(
                GeneralizedTime(
                    year: time.year,
                    month: time.month,
                    day: time.day,
                    hours: time.hours,
                    minutes: time.minutes,
                    seconds: time.seconds,
                    fractionalSeconds: 0
                )
            )
        }
    }

    mutating func appendExtension(
        _ identifier: ASN1ObjectIdentifier,
        isCritical: Bool = false,
        _ value: (inout DER.Serializer) throws -> Void
    ) throws {
        var contents = DER.Serializer()
        try value(&contents)
        try self.appendConstructedNode(identifier: .sequence) { fields in
            try fields.serialize(identifier)
            if isCritical { try fields.serialize(true) }
            try fields.serialize(ASN1OctetString(contentBytes: ArraySlice(contents.serializedBytes)))
        }
    }
}
