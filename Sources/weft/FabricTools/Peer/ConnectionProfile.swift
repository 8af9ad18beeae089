import Foundation

/// The peers that a connection profile names for a channel.
///
/// - Source: Fabric v3.1, package `internal/peer/common`, network configuration.
struct ConnectionProfile {
    private let root: ConfigurationSection

    /// - Throws: ``Failure`` in Fabric's words when the file can't be read, ``ConfigurationError`` when it holds no
    ///   profile.
    init(file: String) throws {
        let text: Data
        do {
            text = try GoText.file(file)
        } catch {
            throw Failure("error reading connection profile: \(error)")
        }
        self.root = try ConfigurationSection(yaml: String(decoding: text, as: UTF8.self), file: file)
    }

    /// The endorsing peers of a channel, with the files of their TLS roots; nil when the profile names no peer for it.
    func peers(ofChannel channel: String) throws -> [(address: String, rootFile: String)]? {
        let listed = try self.root.optionalSection("channels")?.optionalSection(channel)?.optionalSection(
            "peers"
        )
        guard let listed, !listed.keys.isEmpty else { return nil }
        let peers = try self.root.optionalSection("peers")
        return try listed.keys.compactMap { name in
            let isEndorsing = try listed.optionalSection(name)?.optionalValue(
                "endorsingPeer",
                expected: "true or false",
                configuredFlag
            )
            guard isEndorsing == true else { return nil }
            guard let peer = try peers?.optionalSection(name) else {
                throw Failure(
                    "peer '\(name)' is defined in the channel config but doesn't have associated peer config"
                )
            }
            let roots = try peer.optionalSection("tlsCACerts")
            return (
                try peer.value("url", expected: "host:port") { $0 },
                try roots?.optionalValue("path", expected: "a file") { $0 } ?? ""
            )
        }
    }
}
