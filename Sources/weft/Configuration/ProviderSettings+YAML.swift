import CertificateAuthority
import Cryptography
import Foundation

/// Reads the section `BCCSP` as Fabric's programs do: the case of keys doesn't matter.
///
/// ```yaml
/// BCCSP:
///   Default: PKCS11
///   SW: { FileKeyStore: { KeyStore: msp/keystore } }
///   PKCS11:
///     Library: /usr/lib/softhsm/libsofthsm2.so
///     Label: utility
///     Pin: "1234"            # or in the environment variable WEFT_PKCS11_PIN
///     Hash: SHA2
///     Security: 256
///     AltID: node-key        # optional: the CKA_ID of the key, if it isn't the subject key identifier
///     KeyIds: [{ SKI: 09af..., ID: node-key }]
/// ```
extension ProviderSettings {
    /// Reads a file that holds the section, at its top or below `peer` or `General`, as `core.yaml` and `orderer.yaml` do.
    init(file: String) throws {
        let root = try ConfigurationSection(file: file)
        for path in [["BCCSP"], ["peer", "BCCSP"], ["General", "BCCSP"]] {
            var section: ConfigurationSection? = root
            for key in path { section = try section?.section(ignoringCase: key) }
            guard let section else { continue }
            try self.init(section)
            return
        }
        throw root.error("BCCSP", "missing section; it says where the private key is")
    }

    init(
        _ section: ConfigurationSection,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(ConfigurationError) {
        self.init()
        let anything: (String) -> String? = { $0 }
        self.provider =
            try section.value(ignoringCase: "Default", expected: "SW or PKCS11") {
                ["SW", "PKCS11"].contains($0.uppercased()) ? $0.uppercased() : nil
            } ?? "SW"
        if let software = try section.section(ignoringCase: "SW") {
            try Self.checkAlgorithms(software)
            let store = try software.section(ignoringCase: "FileKeyStore")
            let folder = try store?.value(ignoringCase: "KeyStore", expected: "a folder", anything) ?? ""
            self.keystore = folder.isEmpty ? "" : configuredPath(folder, from: section.file)
        }
        guard self.provider == "PKCS11", let hardware = try section.section(ignoringCase: "PKCS11") else {
            return
        }
        try Self.checkAlgorithms(hardware)
        func text(_ key: String) throws(ConfigurationError) -> String {
            try hardware.value(ignoringCase: key, expected: "a text", anything) ?? ""
        }
        let pin = try text("Pin")
        var token = TokenSettings(
            library: try text("Library"),
            label: try text("Label"),
            pin: pin.isEmpty ? environment["WEFT_PKCS11_PIN"] ?? "" : pin
        )
        token.alternativeID = try text("AltID")
        token.isImmutable =
            try hardware.value(ignoringCase: "Immutable", expected: "true or false", configuredFlag) ?? false
        for mapping in try hardware.sections(ignoringCase: "KeyIds") {
            let identifier = try mapping.value(ignoringCase: "SKI", expected: "hex digits", anything) ?? ""
            token.keyIDs[identifier.lowercased()] =
                try mapping.value(ignoringCase: "ID", expected: "a text", anything) ?? ""
        }
        self.token = token
    }

    /// Reads the section of a `core.yaml` or an `orderer.yaml`, in place of which variables of the environment may stand.
    init(_ settings: FabricSettings, below prefix: String) throws(ConfigurationError) {
        self.init()
        self.provider =
            try settings.value("\(prefix).Default", expected: "SW or PKCS11") {
                ["SW", "PKCS11"].contains($0.uppercased()) ? $0.uppercased() : nil
            } ?? "SW"
        self.keystore = try settings.path("\(prefix).SW.FileKeyStore.KeyStore") ?? ""
        guard self.provider == "PKCS11" else { return }
        var token = TokenSettings(
            library: try settings.text("\(prefix).PKCS11.Library") ?? "",
            label: try settings.text("\(prefix).PKCS11.Label") ?? "",
            pin: try settings.text("\(prefix).PKCS11.Pin") ?? ""
        )
        token.alternativeID = try settings.text("\(prefix).PKCS11.AltID") ?? ""
        token.isImmutable = try settings.flag("\(prefix).PKCS11.Immutable") ?? false
        for mapping in try settings.sections("\(prefix).PKCS11.KeyIds") {
            let mapping = Dictionary(mapping.map { ($0.key.lowercased(), $0.value) }) { first, _ in first }
            token.keyIDs[mapping["ski", default: ""].lowercased()] = mapping["id", default: ""]
        }
        self.token = token
    }

    /// Fabric accepts these; what is signed with is decided by the channel and the key.
    private static func checkAlgorithms(_ section: ConfigurationSection) throws(ConfigurationError) {
        _ = try section.value(ignoringCase: "Hash", expected: "SHA2 or SHA3") {
            $0.isEmpty || ["SHA2", "SHA3"].contains($0.uppercased()) ? $0 : nil
        }
        _ = try section.value(ignoringCase: "Security", expected: "256 or 384") {
            ["", "256", "384"].contains($0) ? $0 : nil
        }
    }
}

extension ConfigurationSection {
    /// The key as the file writes it.
    private func spelling(of key: String) -> String {
        self.keys.first { $0.lowercased() == key.lowercased() } ?? key
    }

    func section(ignoringCase key: String) throws(ConfigurationError) -> Self? {
        try self.optionalSection(self.spelling(of: key))
    }

    func sections(ignoringCase key: String) throws(ConfigurationError) -> [Self] {
        try self.sections(self.spelling(of: key))
    }

    func value<Value>(
        ignoringCase key: String,
        expected: String,
        _ parse: (String) -> Value?
    ) throws(ConfigurationError) -> Value? {
        try self.optionalValue(self.spelling(of: key), expected: expected, parse)
    }
}
