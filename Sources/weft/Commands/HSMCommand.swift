import ArgumentParser
import CertificateAuthority
import Cryptography
import Foundation

/// `weft hsm`: keys in hardware tokens.
struct HSMCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hsm",
        abstract: "Make and list keys in a hardware token (PKCS #11).",
        discussion: """
            The token is named by a section BCCSP in a YAML file, as Fabric's core.yaml and orderer.yaml have it. The PIN \
            may be left out there and given in the environment variable WEFT_PKCS11_PIN.

            A member whose key never leaves its token:
              weft hsm generate --bccsp bccsp.yaml --out peer0.pub
              weft ca issue utility peer0 --role peer --public-key peer0.pub
            """,
        subcommands: [HSMGenerateCommand.self, HSMListCommand.self]
    )
}

/// Which token to use.
struct TokenOption: ParsableArguments {
    @Option(help: ArgumentHelp("A YAML file with a section BCCSP that names the token.", valueName: "file"))
    var bccsp: String

    func open() throws -> Token {
        guard case .token(let token) = try ProviderSettings(file: self.bccsp).open() else {
            throw Failure("\(self.bccsp): BCCSP.Default must be PKCS11 here", code: .configuration)
        }
        return token
    }
}

/// `weft hsm generate`: makes a key pair.
struct HSMGenerateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Make a key pair in the token, and write its public key."
    )

    @OptionGroup var token: TokenOption

    @Option(help: "The curve: P-256 or P-384.")
    var curve = "P-256"

    @Option(help: ArgumentHelp("Where to write the public key (PEM).", valueName: "file"))
    var out: String

    @OptionGroup var output: OutputOptions

    func run() throws {
        guard let curve = EllipticCurve(rawValue: self.curve), curve == .p256 || curve == .p384 else {
            throw ValidationError("--curve is P-256 or P-384")
        }
        guard !FileManager.default.fileExists(atPath: self.out) else {
            throw Failure("\(self.out) exists already, and nothing is overwritten", code: .failed)
        }
        let key = try self.token.open().generateKey(on: curve).publicKey
        try key.pem.write(to: URL(fileURLWithPath: self.out))
        let identifier = hexadecimal(key.subjectKeyIdentifier)
        self.output.answer(
            .object(["identifier": .string(identifier), "publicKey": .string(self.out)]),
            "Made the key \(identifier); its public part is in \(self.out)."
        )
    }
}

/// `weft hsm list`: shows the key pairs.
struct HSMListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the ECDSA keys in the token, by the identifiers that nodes look for."
    )

    @OptionGroup var token: TokenOption
    @OptionGroup var output: OutputOptions

    func run() throws {
        let keys = try self.token.open().publicKeys()
        self.output.answer(
            .object([
                "keys": .array(
                    keys.map {
                        .object([
                            "id": .string(hexadecimal($0.id)),
                            "identifier": .string(hexadecimal($0.key.subjectKeyIdentifier)),
                            "algorithm": .string($0.key.algorithm.description),
                        ])
                    }
                )
            ]),
            keys.isEmpty
                ? "no ECDSA keys"
                : keys.map {
                    "\(hexadecimal($0.key.subjectKeyIdentifier))  CKA_ID \(hexadecimal($0.id))  \($0.key.algorithm)"
                }.joined(separator: "\n")
        )
    }
}
