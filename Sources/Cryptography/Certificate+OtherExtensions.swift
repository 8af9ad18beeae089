package import FoundationEssentials
internal import SwiftASN1

extension Certificate {
    /// The contents of the extension with this object identifier (in dotted form), `nil` if the certificate has none.
    ///
    /// For extensions that mean nothing to X.509 itself, such as the attributes of Fabric's certificate authority.
    package func contents(ofExtension identifier: String) -> Data? {
        guard let wanted = try? ASN1ObjectIdentifier(dotRepresentation: identifier) else { return nil }
        return try? self.contents(ofExtension: wanted)
    }

    private func contents(ofExtension wanted: ASN1ObjectIdentifier) throws -> Data? {
        var fields = try DERCursor(DER.parse(Array(self.signedPart)))
        while !fields.isAtEnd {
            let field = try fields.next()
            guard field.identifier == .context(3) else { continue }
            var tagged = try DERCursor(field, .context(3))
            var list = try DERCursor(tagged.next())
            while !list.isAtEnd {
                var parts = try DERCursor(list.next())
                guard try parts.objectIdentifier() == wanted else { continue }
                _ = parts.next(if: .boolean)
                return Data(try ASN1OctetString(derEncoded: parts.next()).bytes)
            }
        }
        return nil
    }
}
