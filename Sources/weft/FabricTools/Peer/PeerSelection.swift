import Foundation

/// Which peers a command asks: those of `--peerAddresses` or of a connection profile, else the configured one.
struct PeerSelection {
    let targets: [PeerClient.Target]

    static let flags = [
        ToolFlag("peerAddresses", nil, .texts, "a peer to ask, as host:port; may be given several times"),
        ToolFlag(
            "tlsRootCertFiles",
            nil,
            .texts,
            "file with the TLS roots of a peer; one for each --peerAddresses, in the same order"
        ),
        ToolFlag("connectionProfile", nil, "file with a connection profile that names the channel's peers"),
    ]

    /// The words with which a command says what is wrong.
    struct Words {
        /// What precedes a wrong number of peers.
        var parameters: String
        /// What precedes a peer that can't be used.
        var client: String
        /// What is said when one peer is too many; takes how many there are.
        var onlyOne: (Int) -> String
    }

    /// Reads the flags.
    ///
    /// - Throws: ``ToolFailure`` when the numbers of peers and files differ, or several peers are named where one is asked.
    init(_ client: PeerClient, channel: String, takesSeveral: Bool, _ words: Words) throws {
        // One entry stands for the configured peer, as in Fabric's tools.
        var addresses = client.flags.isGiven("peerAddresses") ? client.flags.texts("peerAddresses") : [""]
        var files = client.flags.isGiven("tlsRootCertFiles") ? client.flags.texts("tlsRootCertFiles") : [""]
        let profile = client.flags.text("connectionProfile")
        do {
            if !profile.isEmpty, let peers = try ConnectionProfile(file: profile).peers(ofChannel: channel) {
                addresses = peers.map(\.address)
                files = peers.map(\.rootFile)
            }
            guard takesSeveral || addresses.count <= 1 else { throw Failure(words.onlyOne(addresses.count)) }
            if try client.settings.flag("peer.tls.enabled") ?? false {
                guard files.count == addresses.count else {
                    throw Failure(
                        "number of peer addresses (\(addresses.count)) does not match the number of TLS root cert files (\(files.count))"
                    )
                }
            } else {
                files = addresses.map { _ in "" }
            }
        } catch {
            throw ToolFailure("\(words.parameters): \(error)")
        }
        guard !addresses.isEmpty else { throw ToolFailure("no endorser clients retrieved") }
        do {
            self.targets = try zip(addresses, files).map { try client.peer($0, rootFile: $1) }
        } catch {
            throw ToolFailure("\(words.client): \(error)")
        }
    }
}
