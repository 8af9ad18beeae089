package import Channel
package import Cryptography
internal import FabricProtos
public import Foundation
internal import SwiftProtobuf

/// Who has proposed a transaction; the peer has verified it.
///
/// - Source: Fabric v3.1, `fabric-chaincode-go/pkg/cid`.
public struct ClientIdentity: Sendable {
    /// The organization's MSP identifier.
    public let mspID: String
    /// The certificate in PEM, as the proposal carries it.
    public var certificate: Data { self.x509.pem }
    /// The identity as the proposal carries it, a serialized `msp.SerializedIdentity`.
    public let serialized: Data
    /// A name that is unique within the organization and outlasts renewals of the certificate: base64 of the
    /// certificate's subject and issuer, as Fabric's shim for Go makes it.
    public var id: String {
        let name = "x509::\(self.x509.subject.nameOfGo)::\(self.x509.issuer.nameOfGo)"
        return Data(name.utf8).base64EncodedString()
    }
    /// The subject's common name, such as `alice`.
    public var commonName: String { self.x509.subject.commonName ?? "" }
    /// The organizational units of the certificate, among them the role that Fabric's node units give: `client`,
    /// `admin`, `peer` or `orderer`.
    public var organizationalUnits: [String] { self.x509.subject.organizationalUnits }
    /// What the certificate authority certifies of its owner, by name: the attributes of Fabric CA.
    public let attributes: [String: String]
    /// The certificate, as the proposal carries it.
    package let x509: Certificate
    /// Why there are no attributes, if some are there that can't be read.
    private let fault: ContractError?

    /// The object identifier of the extension in which Fabric CA writes attributes.
    package static let attributesExtension = "1.2.3.4.5.6.7.8.1"

    private struct Attributes: Decodable {
        var attrs: [String: String]?
    }

    /// - Throws: ``ContractError`` if it is no X.509 identity.
    init(serialized: Data) throws(ContractError) {
        let identity: Msp_SerializedIdentity
        let certificate: Certificate
        do {
            identity = try Msp_SerializedIdentity(serializedBytes: serialized)
            certificate = try Certificate(pem: identity.idBytes)
        } catch {
            throw ContractError("the proposal's creator is no X.509 identity: \(error)")
        }
        self.init(mspID: identity.mspid, certificate: certificate, serialized: serialized)
        if let fault { throw fault }
    }

    /// An identity that the peer has read and verified.
    package init(_ identity: Identity) {
        self.init(
            mspID: identity.mspID.description,
            certificate: identity.received,
            serialized: identity.serialized
        )
    }

    private init(mspID: String, certificate: Certificate, serialized: Data) {
        self.mspID = mspID
        self.x509 = certificate
        self.serialized = serialized
        do {
            let contents = certificate.contents(ofExtension: Self.attributesExtension)
            self.attributes =
                try contents.map { try JSONDecoder().decode(Attributes.self, from: $0).attrs ?? [:] } ?? [:]
            self.fault = nil
        } catch {
            self.attributes = [:]
            self.fault = ContractError(
                "the attributes in the certificate of \(certificate.subject) can't be read: \(error)"
            )
        }
    }

    /// Whether the certificate has the organizational unit `role`: `client`, `admin`, `peer` or `orderer`.
    public func hasRole(_ role: String) -> Bool { self.organizationalUnits.contains(role) }

    /// Refuses the transaction unless its creator has this attribute with this value.
    public func require(attribute name: String, _ value: String) throws(ContractError) {
        if let fault { throw fault }
        guard let found = self.attributes[name] else {
            throw ContractError(
                "\(self) has no attribute \(name), which must be \"\(value)\" here",
                status: 403
            )
        }
        guard found == value else {
            throw ContractError(
                "attribute \(name) of \(self) is \"\(found)\", and must be \"\(value)\" here",
                status: 403
            )
        }
    }

    /// Refuses the transaction unless its creator belongs to one of these organizations.
    public func require(organization mspIDs: String...) throws(ContractError) {
        guard mspIDs.contains(self.mspID) else {
            throw ContractError(
                "\(self) may not do this; members of \(mspIDs.joined(separator: ", ")) may",
                status: 403
            )
        }
    }
}

extension ClientIdentity: CustomStringConvertible {
    /// Name and organization.
    public var description: String { "\(self.commonName) of \(self.mspID)" }
}

extension DistinguishedName {
    /// The name as Fabric's shim for Go writes it.
    ///
    /// Go keeps the values of the nine types that it knows, writes each type once, in an order of its own, and joins
    /// several values of one type with "+".
    ///
    /// - Source: Go `crypto/x509/pkix`, `Name.ToRDNSequence`; Fabric v3.1, `fabric-chaincode-go/pkg/cid`.
    var nameOfGo: String {
        let order: [(type: String, name: String, isSingle: Bool)] = [
            ("2.5.4.5", "SERIALNUMBER", true), ("2.5.4.3", "CN", true), ("2.5.4.17", "POSTALCODE", false),
            ("2.5.4.9", "STREET", false), ("2.5.4.8", "ST", false), ("2.5.4.7", "L", false),
            ("2.5.4.11", "OU", false), ("2.5.4.10", "O", false), ("2.5.4.6", "C", false),
        ]
        let attributes = self.relativeNames.joined()
        return order.compactMap { type, name, isSingle in
            var values = attributes.filter { $0.type == type }.map(\.value)
            if isSingle { values = values.suffix(1).filter { !$0.isEmpty } }
            guard !values.isEmpty else { return nil }
            return values.map { "\(name)=\(Self.escapedAsGo($0))" }.joined(separator: "+")
        }.joined(separator: ",")
    }

    private static func escapedAsGo(_ value: String) -> String {
        let scalars = Array(value.unicodeScalars)
        var text = String.UnicodeScalarView()
        for (index, scalar) in scalars.enumerated() {
            let isSpaceAtEdge = scalar == " " && (index == 0 || index == scalars.count - 1)
            if isSpaceAtEdge || scalar == "#" && index == 0 || ",+\"\\<>;".unicodeScalars.contains(scalar) {
                text.append("\\")
            }
            text.append(scalar)
        }
        return String(text)
    }
}
