import CertificateAuthority
import Foundation

/// Reading Fabric's `crypto-config.yaml`.
extension CryptoConfiguration {
    /// What `cryptogen showtemplate` prints, and what is used without a file: the organizations of Fabric's own template.
    static let template = """
        OrdererOrgs:
          - Name: Orderer
            Domain: example.com
            EnableNodeOUs: false         # true: certificates say what their owner is (client, peer, admin, orderer)
            Specs:
              - Hostname: orderer        # named orderer.example.com
                # CommonName: "{{.Hostname}}.{{.Domain}}"
                # SANS:                  # beside hostname and common name
                #   - "{{.Hostname}}.alt.{{.Domain}}"
                #   - 127.0.0.1

        PeerOrgs:
          - Name: Org1
            Domain: org1.example.com
            EnableNodeOUs: false
            # CA:
            #   Hostname: ca             # named ca.org1.example.com
            #   Country: DE
            #   Province: Niedersachsen
            #   Locality: Emden
            #   OrganizationalUnit: Operations
            #   StreetAddress: a street
            #   PostalCode: a postal code
            #   PublicKeyAlgorithm: ecdsa   # or ed25519, which needs channel capability V3_0
            Template:
              Count: 1                   # peer0, peer1, ...
              # Start: 0
              # Hostname: "{{.Prefix}}{{.Index}}"
              # SANS:
              #   - localhost
              # PublicKeyAlgorithm: ecdsa
            Users:
              Count: 1                   # beside Admin
              # PublicKeyAlgorithm: ecdsa
          - Name: Org2
            Domain: org2.example.com
            EnableNodeOUs: false
            Template:
              Count: 1
            Users:
              Count: 1
        """

    /// Reads a file, or the template.
    static func read(_ file: String?) throws(ConfigurationError) -> CryptoConfiguration {
        let root =
            if let file {
                try ConfigurationSection(file: file)
            } else {
                try ConfigurationSection(yaml: Self.template, file: "the template")
            }
        root.warn(aboutKeysOutside: ["OrdererOrgs", "PeerOrgs"])
        return CryptoConfiguration(
            ordererOrganizations: try Self.organizations(root, "OrdererOrgs"),
            peerOrganizations: try Self.organizations(root, "PeerOrgs")
        )
    }

    private static func organizations(
        _ root: ConfigurationSection,
        _ key: String
    ) throws(ConfigurationError) -> [OrganizationEntry] {
        var organizations: [OrganizationEntry] = []
        for section in try root.sections(key) { organizations.append(try Self.organization(section)) }
        return organizations
    }

    private static func organization(
        _ section: ConfigurationSection
    ) throws(ConfigurationError) -> OrganizationEntry {
        section.warn(aboutKeysOutside: [
            "Name", "Domain", "EnableNodeOUs", "CA", "Template", "Specs", "Users",
        ])
        var entry = OrganizationEntry(
            name: try section.value("Name", expected: "a name, such as Org1") { $0 },
            domain: try section.value("Domain", expected: "a domain, such as org1.example.com") { $0 }
        )
        entry.enableNodeOUs = try section.flag("EnableNodeOUs")
        if let authority = try section.optionalSection("CA") { entry.authority = try Self.node(authority) }
        if let template = try section.optionalSection("Template") {
            template.warn(aboutKeysOutside: ["Count", "Start", "Hostname", "SANS", "PublicKeyAlgorithm"])
            entry.template.count = try template.number("Count")
            entry.template.start = try template.number("Start")
            entry.template.hostname = try template.text("Hostname")
            entry.template.alternativeNames = try template.texts("SANS")
            entry.template.keyKind = try template.keyKind()
        }
        for spec in try section.sections("Specs") { entry.specs.append(try Self.node(spec)) }
        if let users = try section.optionalSection("Users") {
            users.warn(aboutKeysOutside: ["Count", "PublicKeyAlgorithm"])
            entry.userCount = try users.number("Count")
            entry.userKeyKind = try users.keyKind()
        }
        return entry
    }

    private static func node(_ section: ConfigurationSection) throws(ConfigurationError) -> NodeEntry {
        section.warn(aboutKeysOutside: [
            "Hostname", "CommonName", "Country", "Province", "Locality", "OrganizationalUnit",
            "StreetAddress",
            "PostalCode", "SANS", "PublicKeyAlgorithm",
        ])
        var entry = NodeEntry(hostname: try section.text("Hostname"))
        entry.commonName = try section.text("CommonName")
        entry.alternativeNames = try section.texts("SANS")
        entry.place.country = try section.text("Country")
        entry.place.province = try section.text("Province")
        entry.place.locality = try section.text("Locality")
        entry.place.organizationalUnit = try section.text("OrganizationalUnit")
        entry.place.streetAddress = try section.text("StreetAddress")
        entry.place.postalCode = try section.text("PostalCode")
        entry.keyKind = try section.keyKind()
        return entry
    }
}

extension ConfigurationSection {
    /// Names keys that nothing reads: a warning and no error, since the file may be shared with Fabric's tool.
    fileprivate func warn(aboutKeysOutside known: Set<String>) {
        for key in self.keys where !known.contains(key) {
            standardError("weft: warning: \(self.error(key, "not known, and without effect"))")
        }
    }

    fileprivate func text(_ key: String) throws(ConfigurationError) -> String {
        try self.optionalValue(key, expected: "a text") { $0 } ?? ""
    }

    fileprivate func number(_ key: String) throws(ConfigurationError) -> Int {
        try self.optionalValue(key, expected: "a whole number, 0 or more") { text in
            Int(text).flatMap { $0 >= 0 ? $0 : nil }
        } ?? 0
    }

    fileprivate func flag(_ key: String) throws(ConfigurationError) -> Bool {
        try self.optionalValue(key, expected: "true or false") { text in
            ["true": true, "false": false][text.lowercased()]
        } ?? false
    }

    fileprivate func keyKind() throws(ConfigurationError) -> Organization.KeyKind {
        try self.optionalValue("PublicKeyAlgorithm", expected: "ecdsa or ed25519") {
            Organization.KeyKind(rawValue: $0.isEmpty ? "ecdsa" : $0)
        } ?? .p256
    }
}
