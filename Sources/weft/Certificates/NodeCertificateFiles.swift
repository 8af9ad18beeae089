import Foundation

/// What a node's configuration file says about certificates.
struct NodeCertificateFiles {
    let certificates: NodeCertificates
    /// Files with the genesis blocks of its channels.
    let channels: [String]

    /// Reads `peer.yaml` or `orderer.yaml` of Weft.
    init(file: String) throws {
        let root = try ConfigurationSection(file: file)
        self.certificates = NodeCertificates(
            identity: try IdentityFiles(root.section("identity")),
            tls: try root.optionalSection("tls").map { section throws(ConfigurationError) in
                try TLSFiles(section)
            }
        )
        self.channels = try root.texts("channels").map { configuredPath($0, from: file) }
    }
}
