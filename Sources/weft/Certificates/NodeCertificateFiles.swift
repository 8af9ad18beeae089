import Foundation

/// What a node's configuration file says about certificates.
struct NodeCertificateFiles {
    let certificates: NodeCertificates
    /// Files with the genesis blocks of its channels; none in Fabric's files, which name no channels.
    let channels: [String]

    /// Reads `peer.yaml` or `orderer.yaml` of Weft, or `core.yaml` or `orderer.yaml` of Fabric.
    ///
    /// - Parameters:
    ///   - file: The file; Fabric's are told by their first keys, `peer` and `General`.
    ///   - environment: Its variables override Fabric's keys, as for the node itself.
    /// - Throws: ``ConfigurationError`` when a key is missing or can't be used.
    init(file: String, environment: [String: String]) throws {
        let root = try ConfigurationSection(file: file)
        let path = URL(fileURLWithPath: file).standardizedFileURL.path
        let keys = Set(root.keys.map { $0.lowercased() })
        if keys.contains("peer") {
            let settings = try FabricSettings(.core, file: path, environment: environment)
            self.certificates = try CoreYAML(settings).configuration.certificates
            self.channels = []
        } else if keys.contains("general") {
            let settings = try FabricSettings(.orderer, file: path, environment: environment)
            self.certificates = try OrdererYAML(settings).configuration.certificates
            self.channels = []
        } else {
            self.certificates = try Self.certificates(root)
            self.channels = try root.texts("channels").map { configuredPath($0, from: file) }
        }
    }

    /// The sections that Weft's two files have in common, and the orderer's `admin`.
    private static func certificates(_ root: ConfigurationSection) throws -> NodeCertificates {
        let tls = try root.optionalSection("tls").map { section throws(ConfigurationError) in
            try TLSFiles(section)
        }
        let operations = try root.optionalSection("operations").map { section throws(ConfigurationError) in
            try OperationsFiles(section)
        }
        let admin = try root.optionalSection("admin").map { section throws(ConfigurationError) in
            try AdministrationFiles(section)
        }
        return NodeCertificates(
            identity: try IdentityFiles(root.section("identity")),
            tls: tls,
            endpoints: [operations?.tls, admin?.tls].compactMap(\.self)
        )
    }
}
