import Foundation
import Testing

@testable import Cryptography

/// Keys in a token of SoftHSM2, which `scripts/setup` installs.
@Suite(.serialized, .enabled(if: SoftToken.isInstalled, "SoftHSM2 is not installed; run scripts/setup"))
struct TokenTests {
    @Test func signsWithLowSAndTheKeyNeverLeaves() throws {
        let token = try Token(SoftToken.shared.settings)
        let key = try token.generateKey(on: .p256)
        for number in 0..<40 {
            let message = Data("message \(number)".utf8)
            let signature = try key.sign(message, hash: .sha256)
            #expect(key.publicKey.verify(signature, of: message) == .valid)
        }
        #expect(throws: CryptographyError.self) { try token.key(of: PrivateKey.generate(.p256).publicKey) }
        #expect(try token.publicKeys().contains { $0.key == key.publicKey })
        #expect(try token.publicKeys().contains { $0.id == key.publicKey.subjectKeyIdentifier })
    }

    @Test func findsAKeyBySubjectKeyIdentifierAfterTheTokenWasOpenedAgain() throws {
        let made = try Token(SoftToken.shared.settings).generateKey(on: .p384)
        let key = try Token(SoftToken.shared.settings).key(of: made.publicKey)
        let message = Data("again".utf8)
        #expect(made.publicKey.verify(try key.sign(message, hash: .sha256), of: message) == .valid)
    }

    @Test func findsAKeyUnderAnotherIdentifier() throws {
        var settings = SoftToken.shared.settings
        settings.alternativeID = "node-key"
        settings.isImmutable = true
        let made = try Token(settings).generateKey(on: .p256)
        let plain = SoftToken.shared.settings
        #expect(throws: CryptographyError.self) { try Token(plain).key(of: made.publicKey) }
        var mapped = plain
        mapped.keyIDs[hexadecimal(made.publicKey.subjectKeyIdentifier)] = "node-key"
        let message = Data("mapped".utf8)
        let signature = try Token(mapped).key(of: made.publicKey).sign(message, hash: .sha256)
        #expect(made.publicKey.verify(signature, of: message) == .valid)
    }

    @Test func saysWhatIsWrongWithTheSettings() throws {
        var settings = SoftToken.shared.settings
        settings.label = "no such token"
        #expect(try self.failure { try Token(settings) }.contains("no such token"))
        settings = SoftToken.shared.settings
        settings.pin = "9999"
        #expect(try self.failure { try Token(settings) }.contains("the PIN is wrong"))
        settings = SoftToken.shared.settings
        settings.library = "/nowhere/lib.so"
        #expect(try self.failure { try Token(settings) }.contains("/nowhere/lib.so"))
        // A library, but none of a token.
        settings.library = "libcrypto.so.3"
        #expect(try self.failure { try Token(settings) }.contains("no PKCS #11 library"))
    }

    @Test func recoversWhenARemovedTokenIsBack() throws {
        let token = try Token(SoftToken.shared.settings)
        let key = try token.generateKey(on: .p256)
        let message = Data("removed and back".utf8)
        try SoftToken.shared.remove()
        // SoftHSM looks for its tokens when it starts only, and a start ends all sessions, as a removal does.
        try token.sessions.library.restart()
        let reason = try self.failure { try key.sign(message, hash: .sha256) }
        #expect(reason.contains("CKR_TOKEN_NOT_PRESENT"))
        #expect(reason.contains(SoftToken.shared.settings.label))
        try SoftToken.shared.putBack()
        #expect(key.publicKey.verify(try key.sign(message, hash: .sha256), of: message) == .valid)
    }

    @Test func signsForManyAtOnceApartFromTheCooperativeThreads() async throws {
        let key = try Token(SoftToken.shared.settings).generateKey(on: .p256)
        let valid = try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<64 {
                group.addTask {
                    let message = Data("\(number)".utf8)
                    let signature = try await withTaskExecutorPreference(key.executor) {
                        try key.sign(message, hash: .sha256)
                    }
                    return key.publicKey.verify(signature, of: message).isValid
                }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(valid == 64)
    }

    private func failure<Value>(_ body: () throws -> Value) throws -> String {
        let error = #expect(throws: CryptographyError.self) { _ = try body() }
        let failure = try #require(error)
        #expect(failure.code == .token)
        return failure.message
    }
}

/// One token of SoftHSM2 in a temporary folder.
private struct SoftToken {
    static let library = "/usr/lib/softhsm/libsofthsm2.so"
    static let tool = "/usr/bin/softhsm2-util"
    static let isInstalled = [library, tool].allSatisfy(FileManager.default.fileExists)
    static let shared = SoftToken()

    let folder: URL
    let settings = TokenSettings(library: library, label: "weft tests", pin: "1234")

    private init() {
        self.folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "weft-token-\(UUID().uuidString)"
        )
        let tokens = self.folder.appendingPathComponent("tokens")
        let file = self.folder.appendingPathComponent("softhsm2.conf")
        let text = "directories.tokendir = \(tokens.path)\nobjectstore.backend = file\nlog.level = ERROR\n"
        do {
            try FileManager.default.createDirectory(at: tokens, withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
            setenv("SOFTHSM2_CONF", file.path, 1)
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Self.tool)
            process.arguments = [
                "--init-token", "--free", "--label", self.settings.label, "--pin", self.settings.pin,
                "--so-pin",
                "5678",
            ]
            process.standardOutput = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
        } catch {
            Issue.record("cannot make a token: \(error)")
        }
    }

    func remove() throws { try self.move("tokens", to: "removed") }
    func putBack() throws { try self.move("removed", to: "tokens") }

    private func move(_ from: String, to: String) throws {
        let (from, to) = (self.folder.appendingPathComponent(from), self.folder.appendingPathComponent(to))
        try FileManager.default.createDirectory(at: to, withIntermediateDirectories: true)
        for name in try FileManager.default.contentsOfDirectory(atPath: from.path) {
            try FileManager.default.moveItem(
                at: from.appendingPathComponent(name),
                to: to.appendingPathComponent(name)
            )
        }
    }
}
