import CertificateAuthority
import Cryptography
import Foundation
import Testing

@testable import weft

@Suite struct ProviderSettingsTests {
    private let text = """
        BCCSP:
          default: pkcs11
          PKCS11:
            LIBRARY: /usr/lib/softhsm/libsofthsm2.so
            Label: utility
            Hash: SHA2
            Security: 256
            Immutable: true
            AltID: node-key
            KeyIds: [{ SKI: 0AF9, ID: other-key }]
        """

    @Test func readsTheSectionWhateverTheCaseOfItsKeys() throws {
        let section = try ConfigurationSection(yaml: self.text, file: "/etc/core.yaml").section("BCCSP")
        let settings = try ProviderSettings(section, environment: ["WEFT_PKCS11_PIN": "1234"])
        #expect(settings.provider == "PKCS11")
        let token = try #require(settings.token)
        #expect(token.library == "/usr/lib/softhsm/libsofthsm2.so")
        #expect(token.label == "utility" && token.pin == "1234")
        #expect(
            token.isImmutable && token.alternativeID == "node-key" && token.keyIDs == ["0af9": "other-key"]
        )
        #expect(token.keyID(for: Data([0x0a, 0xf9])) == Data("other-key".utf8))
        #expect(token.keyID(for: Data([1])) == Data("node-key".utf8))
    }

    @Test(arguments: ["Default: HSM", "Default: PKCS11\nPKCS11: { Security: 512 }", "SW: { Hash: MD5 }"])
    func refusesWhatFabricRefuses(_ text: String) throws {
        let section = try ConfigurationSection(yaml: text, file: "core.yaml")
        #expect(throws: ConfigurationError.self) { try ProviderSettings(section, environment: [:]) }
    }

    @Test func sayWhatIsMissing() throws {
        let section = try ConfigurationSection(
            yaml: "Default: PKCS11\nPKCS11: { Label: utility }",
            file: "core.yaml"
        )
        let error = #expect(throws: AuthorityError.self) {
            _ = try ProviderSettings(section, environment: [:]).open()
        }
        #expect(error?.message.contains("Library, Label and Pin") == true)
    }
}
