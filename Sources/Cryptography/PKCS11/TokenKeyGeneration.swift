internal import CPKCS11
internal import FoundationEssentials
internal import SwiftASN1

extension Token {
    /// Makes a key pair in the token, which never leaves it, and which Fabric finds too.
    ///
    /// Both objects get the subject key identifier of the public key as `CKA_ID` (or what ``TokenSettings`` says), and
    /// its hex digits as `CKA_LABEL`.
    ///
    /// - Parameter curve: P-256 or P-384.
    /// - Returns: the new key.
    /// - Throws: ``CryptographyError`` if the token refuses.
    package func generateKey(on curve: EllipticCurve) throws(CryptographyError) -> TokenKey {
        let parameters = try Self.parameters(of: curve)
        let settings = self.settings
        let key = try self.sessions.withSession { session, functions throws(TokenFault) -> PublicKey? in
            var pair = try Self.generate(parameters, session, functions)
            let point = try Self.attribute(CKA_EC_POINT, of: pair.publicKey, session, functions)
            guard let key = try? PublicKey(curve: parameters, tokenPoint: point) else { return nil }
            let id = settings.keyID(for: key.subjectKeyIdentifier)
            var names = AttributeTemplate()
            names.add(CKA_ID, id)
            names.add(CKA_LABEL, Data(hexadecimal(key.subjectKeyIdentifier).utf8))
            for object in [pair.publicKey, pair.privateKey] {
                let code = names.withAttributes { functions.C_SetAttributeValue(session, object, $0, $1) }
                try check(code, "C_SetAttributeValue")
            }
            if settings.isImmutable {
                pair.publicKey = try Self.unchangeable(pair.publicKey, session, functions)
                pair.privateKey = try Self.unchangeable(pair.privateKey, session, functions)
            }
            return key
        }
        guard let key else {
            throw CryptographyError(
                code: .token,
                message: "the token made a key whose public part cannot be read"
            )
        }
        return try self.key(of: key)
    }

    private static func parameters(of curve: EllipticCurve) throws(CryptographyError) -> Data {
        let identifier: ASN1ObjectIdentifier
        switch curve {
        case .p256: identifier = ObjectIdentifier.p256
        case .p384: identifier = ObjectIdentifier.p384
        case .p224, .p521:
            throw CryptographyError(code: .unsupportedKey, message: "keys are made on P-256 and P-384 only")
        }
        var serializer = DER.Serializer()
        do {
            try serializer.serialize(identifier)
        } catch {
            throw CryptographyError(code: .unsupportedKey, message: "cannot name \(curve.rawValue): \(error)")
        }
        return Data(serializer.serializedBytes)
    }

    private static func generate(
        _ parameters: Data,
        _ session: CK_SESSION_HANDLE,
        _ functions: CK_FUNCTION_LIST
    ) throws(TokenFault) -> (publicKey: CK_OBJECT_HANDLE, privateKey: CK_OBJECT_HANDLE) {
        var publicPart = AttributeTemplate()
        publicPart.add(CKA_TOKEN, true)
        publicPart.add(CKA_VERIFY, true)
        publicPart.add(CKA_EC_PARAMS, parameters)
        var privatePart = AttributeTemplate()
        privatePart.add(CKA_TOKEN, true)
        privatePart.add(CKA_PRIVATE, true)
        privatePart.add(CKA_SIGN, true)
        privatePart.add(CKA_EXTRACTABLE, false)
        privatePart.add(CKA_SENSITIVE, true)
        var mechanism = CK_MECHANISM(mechanism: CKM_EC_KEY_PAIR_GEN, pParameter: nil, ulParameterLen: 0)
        var publicKey: CK_OBJECT_HANDLE = 0
        var privateKey: CK_OBJECT_HANDLE = 0
        let code = publicPart.withAttributes { publicAttributes, publicCount in
            privatePart.withAttributes { privateAttributes, privateCount in
                functions.C_GenerateKeyPair(
                    session,
                    &mechanism,
                    publicAttributes,
                    publicCount,
                    privateAttributes,
                    privateCount,
                    &publicKey,
                    &privateKey
                )
            }
        }
        try check(code, "C_GenerateKeyPair")
        return (publicKey, privateKey)
    }

    /// Replaces an object with a copy that cannot be changed.
    private static func unchangeable(
        _ object: CK_OBJECT_HANDLE,
        _ session: CK_SESSION_HANDLE,
        _ functions: CK_FUNCTION_LIST
    ) throws(TokenFault) -> CK_OBJECT_HANDLE {
        var template = AttributeTemplate()
        template.add(CKA_MODIFIABLE, false)
        var copy: CK_OBJECT_HANDLE = 0
        let code = template.withAttributes { functions.C_CopyObject(session, object, $0, $1, &copy) }
        try check(code, "C_CopyObject")
        try check(functions.C_DestroyObject(session, object), "C_DestroyObject")
        return copy
    }
}

extension PublicKey {
    /// Joins what a token says of a public key.
    ///
    /// - Parameters:
    ///   - curve: `CKA_EC_PARAMS`, the DER of the curve's object identifier.
    ///   - tokenPoint: `CKA_EC_POINT`: an uncompressed point in a DER octet string, or, by some libraries, bare.
    /// - Throws: ``CryptographyError`` if they are no point of a curve.
    convenience init(curve: Data, tokenPoint: Data) throws(CryptographyError) {
        do {
            let point = (try? ASN1OctetString(derEncoded: Array(tokenPoint)).bytes) ?? ArraySlice(tokenPoint)
            var serializer = DER.Serializer()
            try serializer.appendConstructedNode(identifier: .sequence) { information in
                try information.appendConstructedNode(identifier: .sequence) { algorithm in
                    try algorithm.serialize(ObjectIdentifier.ellipticCurveKey)
                    algorithm.serialize(try DER.parse(Array(curve)))
                }
                try information.serialize(ASN1BitString(bytes: point))
            }
            try self.init(der: Data(serializer.serializedBytes))
        } catch {
            throw CryptographyError(code: .malformedKey, message: "not a public key of a token: \(error)")
        }
    }
}
