internal import CPKCS11
package import FoundationEssentials

/// A hardware security module, or a part of one, that holds private keys and signs with them.
///
/// ```swift
/// let token = try Token(settings)
/// let key = try token.key(of: certificate.publicKey)
/// let signature = try key.sign(message)
/// ```
///
/// All functions wait for the device: call them on threads that may block.
///
/// - Source: OASIS PKCS #11 v2.40; what keys are found by: Fabric v3.1, `bccsp/pkcs11`.
package final class Token: Sendable {
    package let settings: TokenSettings
    let sessions: TokenSessions
    let executor = TokenThreads()

    /// Opens the library, finds the token and logs in.
    ///
    /// - Throws: ``CryptographyError`` with code `token` if one of these fails.
    package init(_ settings: TokenSettings) throws(CryptographyError) {
        self.settings = settings
        self.sessions = try TokenSessions(settings)
        try self.sessions.withSession { _, _ throws(TokenFault) in }
    }

    /// The private key that belongs to `publicKey`.
    ///
    /// - Throws: ``CryptographyError`` if the token has none, or `publicKey` is not ECDSA.
    package func key(of publicKey: PublicKey) throws(CryptographyError) -> TokenKey {
        guard case .ecdsa = publicKey.algorithm else {
            throw CryptographyError(
                code: .unsupportedKey,
                message: "\(publicKey.algorithm) keys cannot be in a token; use ECDSA (P-256)"
            )
        }
        let id = self.settings.keyID(for: publicKey.subjectKeyIdentifier)
        guard try self.handle(ofPrivateKey: id) != nil else {
            throw CryptographyError(
                code: .token,
                message: """
                    the token "\(self.settings.label)" has no private key with the CKA_ID \(hexadecimal(id)), which the \
                    certificate's key needs; import it, make one with weft hsm generate, or set BCCSP.PKCS11.AltID \
                    or KeyIDs
                    """
            )
        }
        return TokenKey(publicKey: publicKey, id: id, token: self)
    }

    /// *r* ‖ *s* over `digest`.
    func sign(_ digest: Data, withKey id: Data) throws(CryptographyError) -> Data {
        guard var key = try self.handle(ofPrivateKey: id) else { throw self.missing(id) }
        let signed = try self.sessions.withSession { session, functions throws(TokenFault) -> Data? in
            // After a loss the handle is another.
            if self.sessions.handle(of: id) == nil {
                guard let found = try Self.find(.privateKey(id), session, functions).first else { return nil }
                self.sessions.remember(found, of: id)
                key = found
            }
            var mechanism = CK_MECHANISM(mechanism: CKM_ECDSA, pParameter: nil, ulParameterLen: 0)
            try check(functions.C_SignInit(session, &mechanism, key), "C_SignInit")
            var data = Array(digest)
            var signature = [UInt8](repeating: 0, count: 160)
            var count = CK_ULONG(signature.count)
            try check(
                functions.C_Sign(session, &data, CK_ULONG(data.count), &signature, &count),
                "C_Sign"
            )
            return Data(signature.prefix(Int(count)))
        }
        guard let signed else { throw self.missing(id) }
        return signed
    }

    private func missing(_ id: Data) -> CryptographyError {
        CryptographyError(
            code: .token,
            message:
                "the token \"\(self.settings.label)\" no longer has the private key with the CKA_ID \(hexadecimal(id))"
        )
    }

    private func handle(ofPrivateKey id: Data) throws(CryptographyError) -> CK_OBJECT_HANDLE? {
        if let handle = self.sessions.handle(of: id) { return handle }
        return try self.sessions.withSession { session, functions throws(TokenFault) -> CK_OBJECT_HANDLE? in
            let found = try Self.find(.privateKey(id), session, functions).first
            if let found { self.sessions.remember(found, of: id) }
            return found
        }
    }

    /// The public keys of all ECDSA key pairs in the token.
    package func publicKeys() throws(CryptographyError) -> [(id: Data, key: PublicKey)] {
        let parts = try self.sessions.withSession { session, functions throws(TokenFault) -> [[Data]] in
            var parts: [[Data]] = []
            for object in try Self.find(.publicKeys, session, functions) {
                let attributes = try [CKA_ID, CKA_EC_PARAMS, CKA_EC_POINT].map { type throws(TokenFault) in
                    try Self.attribute(type, of: object, session, functions)
                }
                parts.append(attributes)
            }
            return parts
        }
        return parts.compactMap { part in
            guard part.count == 3, let key = try? PublicKey(curve: part[1], tokenPoint: part[2]) else {
                return nil
            }
            return (part[0], key)
        }
    }
}

// MARK: - Objects

extension Token {
    enum Search {
        case privateKey(Data)
        case publicKey(Data)
        case publicKeys
    }

    /// The handles of all objects that fit.
    static func find(
        _ search: Search,
        _ session: CK_SESSION_HANDLE,
        _ functions: CK_FUNCTION_LIST
    ) throws(TokenFault) -> [CK_OBJECT_HANDLE] {
        var template = AttributeTemplate()
        switch search {
        case .privateKey(let id):
            template.add(CKA_CLASS, CKO_PRIVATE_KEY)
            template.add(CKA_ID, id)
        case .publicKey(let id):
            template.add(CKA_CLASS, CKO_PUBLIC_KEY)
            template.add(CKA_ID, id)
        case .publicKeys:
            template.add(CKA_CLASS, CKO_PUBLIC_KEY)
            template.add(CKA_KEY_TYPE, CKK_EC)
        }
        let begun = template.withAttributes { functions.C_FindObjectsInit(session, $0, $1) }
        try check(begun, "C_FindObjectsInit")
        defer { _ = functions.C_FindObjectsFinal(session) }
        var found: [CK_OBJECT_HANDLE] = []
        var batch = [CK_OBJECT_HANDLE](repeating: 0, count: 64)
        var count: CK_ULONG = 0
        repeat {
            try check(
                functions.C_FindObjects(session, &batch, CK_ULONG(batch.count), &count),
                "C_FindObjects"
            )
            found += batch.prefix(Int(count))
        } while count == CK_ULONG(batch.count)
        return found
    }

    static func attribute(
        _ type: CK_ATTRIBUTE_TYPE,
        of object: CK_OBJECT_HANDLE,
        _ session: CK_SESSION_HANDLE,
        _ functions: CK_FUNCTION_LIST
    ) throws(TokenFault) -> Data {
        var buffer = [UInt8](repeating: 0, count: 512)
        var count = CK_ULONG(buffer.count)
        let code = buffer.withUnsafeMutableBytes { bytes in
            var attribute = CK_ATTRIBUTE(type: type, pValue: bytes.baseAddress, ulValueLen: count)
            defer { count = attribute.ulValueLen }
            return functions.C_GetAttributeValue(session, object, &attribute, 1)
        }
        try check(code, "C_GetAttributeValue")
        guard count <= CK_ULONG(buffer.count) else {
            throw TokenFault(code: CKR_DEVICE_ERROR, function: "C_GetAttributeValue")
        }
        return Data(buffer.prefix(Int(count)))
    }
}

/// Attributes with their values, in memory that lives as long as a call needs it.
struct AttributeTemplate {
    private var values: [(type: CK_ATTRIBUTE_TYPE, bytes: [UInt8])] = []

    mutating func add(_ type: CK_ATTRIBUTE_TYPE, _ bytes: Data) { self.values.append((type, Array(bytes))) }

    mutating func add(_ type: CK_ATTRIBUTE_TYPE, _ number: CK_ULONG) {
        self.values.append((type, withUnsafeBytes(of: number) { Array($0) }))
    }

    mutating func add(_ type: CK_ATTRIBUTE_TYPE, _ flag: Bool) { self.values.append((type, [flag ? 1 : 0])) }

    func withAttributes<Value>(_ body: (UnsafeMutablePointer<CK_ATTRIBUTE>?, CK_ULONG) -> Value) -> Value {
        let total = self.values.reduce(0) { $0 + $1.bytes.count }
        return withUnsafeTemporaryAllocation(byteCount: max(1, total), alignment: 8) { storage in
            var attributes: [CK_ATTRIBUTE] = []
            var offset = 0
            for value in self.values {
                let place = UnsafeMutableRawBufferPointer(
                    rebasing: storage[offset..<offset + value.bytes.count]
                )
                place.copyBytes(from: value.bytes)
                attributes.append(
                    CK_ATTRIBUTE(
                        type: value.type,
                        pValue: place.baseAddress,
                        ulValueLen: CK_ULONG(value.bytes.count)
                    )
                )
                offset += value.bytes.count
            }
            let count = CK_ULONG(attributes.count)
            return attributes.withUnsafeMutableBufferPointer { body($0.baseAddress, count) }
        }
    }
}
