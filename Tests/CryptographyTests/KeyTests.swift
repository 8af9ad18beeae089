import Cryptography
import Foundation
import Testing

@Suite struct KeyTests {
    @Test(arguments: PrivateKey.Kind.allCases)
    func verifiesWhatItSigned(_ kind: PrivateKey.Kind) throws {
        let key = try PrivateKey.generate(kind)
        let message = Data("meter 7: 12 kWh".utf8)
        let signature = try key.sign(message)
        #expect(key.publicKey.verify(signature, of: message) == .valid)
        #expect(key.publicKey.verify(signature, of: message + Data([0])) == .invalid(.mismatch))
        let other = try PrivateKey.generate(kind)
        #expect(other.publicKey.verify(signature, of: message) == .invalid(.mismatch))
    }

    @Test(arguments: [HashFunction.sha256, .sha384, .sha3_256, .sha3_384])
    func signsWithEveryHashFunctionOfTheProvider(_ hash: HashFunction) throws {
        let key = try PrivateKey.generate(.p256)
        let message = Data("x".utf8)
        #expect(key.publicKey.verify(try key.sign(message, hash: hash), of: message, hash: hash).isValid)
    }

    /// Half of all raw signatures are high-S, so 64 in a row leave no doubt.
    @Test func alwaysSignsWithLowS() throws {
        for kind in [PrivateKey.Kind.p256, .p384] {
            let key = try PrivateKey.generate(kind)
            for number in 0..<64 {
                let message = Data("\(number)".utf8)
                #expect(key.publicKey.verify(try key.sign(message), of: message) == .valid)
            }
        }
    }

    @Test(arguments: PrivateKey.Kind.allCases)
    func survivesItsOwnPEM(_ kind: PrivateKey.Kind) throws {
        let key = try PrivateKey.generate(kind)
        let copy = try PrivateKey(pem: key.pem())
        #expect(copy.publicKey == key.publicKey)
        #expect(String(decoding: try key.pem(), as: UTF8.self).hasPrefix("-----BEGIN PRIVATE KEY-----\n"))
    }

    @Test func refusesAnEncryptedKeyWithAReason() {
        let pem = PEMBlock.encode(Data([1, 2, 3]), type: "ENCRYPTED PRIVATE KEY")
        let error = #expect(throws: CryptographyError.self) { try PrivateKey(pem: pem) }
        #expect(error?.code == .unsupportedKey)
        #expect(error?.message.contains("encrypted") == true)
    }

    @Test(arguments: ["", "hello", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
    func refusesWhatIsNotAKey(_ text: String) {
        #expect(throws: CryptographyError.self) { try PrivateKey(pem: Data(text.utf8)) }
        #expect(throws: CryptographyError.self) { try PublicKey(der: Data(text.utf8)) }
    }

    @Test func verifiesFromManyThreadsAtOnce() async throws {
        let key = try PrivateKey.generate(.p256)
        let message = Data(repeating: 7, count: 300)
        let verdicts = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<32 {
                group.addTask {
                    try (0..<20).allSatisfy { _ in
                        key.publicKey.verify(try key.sign(message), of: message).isValid
                    }
                }
            }
            return try await group.reduce(into: [Bool]()) { $0.append($1) }
        }
        #expect(verdicts.count == 32 && verdicts.allSatisfy { $0 })
    }

    /// A slice of `Data` does not begin at index 0.
    @Test func acceptsSlices() throws {
        let key = try PrivateKey.generate(.p256)
        let message = Data("abcdef".utf8)
        let signature = try key.sign(message[2...])
        let padded = Data([9, 9]) + signature
        #expect(key.publicKey.verify(padded[2...], of: Data("cdef".utf8)).isValid)
        #expect(try PublicKey(der: (Data([0]) + key.publicKey.der)[1...]) == key.publicKey)
    }
}

@Suite struct DigestTests {
    /// FIPS 180-4 and 202 examples for "abc".
    @Test(arguments: [
        (HashFunction.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            .sha384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"
        ),
        (.sha3_256, "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
        (
            .sha3_384,
            "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f539f1edf228376d25"
        ),
    ])
    func hashesTheStandardExample(_ function: HashFunction, _ expected: String) {
        #expect(hexadecimal(Digest.hash(Data("abc".utf8), with: function)) == expected)
    }

    @Test func hashesTheConcatenation() {
        let whole = Digest.sha256(Data("abc".utf8))
        #expect(Digest.sha256(Data("a".utf8), Data(), Data("bc".utf8)) == whole)
        var stream = DigestStream(.sha256)
        stream.update(Data("ab".utf8))
        stream.update(Data("c".utf8))
        #expect(stream.finalize() == whole)
    }

    @Test func givesRandomBytes() throws {
        #expect(try secureRandomBytes(0).isEmpty)
        #expect(try secureRandomBytes(24).count == 24)
        #expect(try secureRandomBytes(24) != secureRandomBytes(24))
    }
}
