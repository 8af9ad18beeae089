import Channel
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

/// MSPs, identities and principals judged by Fabric v3.1.5's `msp` package.
///
/// The configurations are those that Fabric read from the vector folders; reading the folders themselves, and
/// configurations that must be refused, are tested with `CertificateAuthority`.
@Suite struct MembershipConformanceTests {
    struct Expectation: Decodable, Sendable, CustomTestStringConvertible {
        struct Unit: Decodable, Sendable {
            var ou: String
            var certifiers_identifier_hex: String
        }
        struct Identifier: Decodable, Sendable {
            var mspid: String
            var id: String
        }
        struct Member: Decodable, Sendable {
            var identity: String
            var is_well_formed_error: String?
            var deserialize_error: String?
            var validate_error: String?
            var identifier: Identifier?
            var expires_at: String?
            var organizational_units: [Unit]?
            var ski_hex: String?
            var principals_satisfied: [Int]
            var principals_not_satisfied: [Int]
        }
        var msp: String
        var msp_version: String
        var msp_config_hex: String?
        var identities: [Member]?
        var testDescription: String { "\(self.msp) at \(self.msp_version)" }
    }

    struct NamedIdentity: Decodable, Sendable {
        var name: String
        var serialized_hex: String
    }

    struct NumberedPrincipal: Decodable, Sendable {
        var number: Int
        var principal_hex: String
    }

    static func load<Value: Decodable>(_ file: String) -> Result<[Value], any Error> {
        Result {
            let url = VectorReport.folder("msp").appending(path: file)
            return try JSONDecoder().decode([Value].self, from: Data(contentsOf: url))
        }
    }

    static let files = (
        expectations: load("expected.json") as Result<[Expectation], any Error>,
        identities: load("identities.json") as Result<[NamedIdentity], any Error>,
        principals: load("principals.json") as Result<[NumberedPrincipal], any Error>
    )
    static let expectations = (try? files.expectations.get()) ?? []
    static let configurations = Dictionary(
        expectations.compactMap { expectation in expectation.msp_config_hex.map { (expectation.msp, $0) } },
        uniquingKeysWith: { first, _ in first }
    )
    static let identities: [String: Data] = {
        let list = (try? files.identities.get()) ?? []
        return Dictionary(uniqueKeysWithValues: list.map { ($0.name, bytes($0.serialized_hex)) })
    }()
    static let principals: [Int: Data] = {
        let list = (try? files.principals.get()) ?? []
        return Dictionary(uniqueKeysWithValues: list.map { ($0.number, bytes($0.principal_hex)) })
    }()

    @Test func hasCases() throws {
        #expect(try Self.files.expectations.get().count > 0)
        #expect(try Self.files.identities.get().count > 0)
        #expect(try Self.files.principals.get().count > 0)
    }

    @Test(arguments: expectations.filter { $0.identities != nil })
    func givesFabricsVerdicts(_ expectation: Expectation) throws {
        let config = bytes(try #require(Self.configurations[expectation.msp]))
        let version = try #require(Self.version(expectation.msp_version))
        let msp = try MSP(Msp_MSPConfig(serializedBytes: config), version: version)
        for member in expectation.identities ?? [] {
            let serialized = try #require(Self.identities[member.identity])
            let faults = Self.differences(from: member, serialized, under: msp)
            VectorReport.record(
                folder: "msp",
                name: "\(expectation.testDescription): \(member.identity)",
                holds: faults.isEmpty,
                note: faults.joined(separator: "; ")
            )
            #expect(faults.isEmpty, "\(member.identity): \(faults)")
        }
    }

    static func version(_ text: String) -> MSPVersion? {
        ["1.0": .v1_0, "1.1": .v1_1, "1.3": .v1_3, "1.4.3": .v1_4_3, "3.0": .v3_0][text]
    }

    /// In what our verdict on one identity differs from Fabric's.
    static func differences(
        from member: Expectation.Member,
        _ serialized: Data,
        under msp: MSP
    ) -> [String] {
        var faults: [String] = []
        // Fabric judges the form of a decoded message, so bytes that are none were not judged.
        let isMessage = (try? Msp_SerializedIdentity(serializedBytes: serialized)) != nil
        let formError = error { try MSP.checkWellFormed(serialized) }
        if isMessage, (formError == nil) != (member.is_well_formed_error == nil) {
            faults.append("well-formedness: \(formError.map { "\($0)" } ?? "none")")
        }
        let identity: Identity
        do {
            identity = try msp.identity(from: serialized)
        } catch {
            if member.deserialize_error == nil { faults.append("deserialize: \(error)") }
            return faults
        }
        if let expected = member.deserialize_error { return ["deserialized, though \(expected)"] }
        let validity = error { try msp.validate(identity) }
        if (validity == nil) != (member.validate_error == nil) {
            faults.append("validity: \(validity.map { "\($0)" } ?? "none")")
        }
        if identity.identifier.id != member.identifier?.id {
            faults.append("identifier \(identity.identifier.id)")
        }
        let units = identity.organizationalUnits.map { "\($0.name) \(hexadecimal($0.certifiersIdentifier))" }
        let expected = (member.organizational_units ?? []).map { "\($0.ou) \($0.certifiers_identifier_hex)" }
        if units != expected { faults.append("units \(units)") }
        let key = hexadecimal(identity.certificate.publicKey.subjectKeyIdentifier)
        if let expected = member.ski_hex, key != expected { faults.append("key \(key)") }
        let expiry = CivilTime(identity.certificate.notAfter).description
        if let expected = member.expires_at, expiry != expected { faults.append("expiry \(expiry)") }
        faults += Self.differences(from: member, identity, under: msp)
        return faults
    }

    static func differences(from member: Expectation.Member, _ identity: Identity, under msp: MSP) -> [String]
    {
        let asked =
            member.principals_satisfied.map { ($0, true) }
            + member.principals_not_satisfied.map { ($0, false) }
        return asked.compactMap { number, expected in
            guard let bytes = Self.principals[number],
                let principal = try? Common_MSPPrincipal(serializedBytes: bytes)
            else { return "principal \(number) is missing" }
            let refusal = error { try msp.satisfies(identity, principal) }
            return (refusal == nil) == expected
                ? nil : "principal \(number): \(refusal.map { "\($0)" } ?? "satisfied")"
        }
    }
}

private func error(_ body: () throws -> Void) -> (any Error)? {
    do {
        try body()
        return nil
    } catch {
        return error
    }
}

func bytes(_ hex: String) -> Data {
    let digits = hex.compactMap(\.hexDigitValue).map(UInt8.init)
    return Data(stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] })
}
