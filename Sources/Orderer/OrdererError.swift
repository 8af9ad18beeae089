internal import Channel

/// Why an ordering node or one of its channels can't run.
package struct OrdererError: Error, Sendable, CustomStringConvertible {
    /// What was found, what was expected, and what the reader can do about it.
    package let description: String

    static func noGenesisBlock(_ channel: ChannelID) -> Self {
        Self(
            description: "channel \(channel) has an empty ledger and no genesis block was given; "
                + "give the channel's genesis block, or remove its folder"
        )
    }

    static func missingConfigBlock(_ channel: ChannelID, number: BlockNumber) -> Self {
        Self(
            description:
                "channel \(channel): the ledger lacks block \(number), which holds the configuration in force; "
                + "restore the folder from a backup"
        )
    }

    static func otherChannel(expected: ChannelID, found: ChannelID) -> Self {
        Self(
            description: "the folder of channel \(expected) holds the ledger of channel \(found); "
                + "move it to where it belongs"
        )
    }

    static func consensusStoreMissing(_ channel: ChannelID, height: BlockNumber) -> Self {
        Self(
            description:
                "channel \(channel): the ledger has \(height) blocks but the consensus store is empty, "
                + "so that blocks acknowledged last may be missing; restore both folders from one backup"
        )
    }

    static func noConsenters(_ channel: ChannelID) -> Self {
        Self(description: "channel \(channel) has no consenters; give a configuration with one")
    }

    static func genesisMismatch(_ channel: ChannelID) -> Self {
        Self(
            description: "channel \(channel): the genesis block given differs from the one in the ledger; "
                + "give the block that the channel began with, or another data folder"
        )
    }

    static func noOrdererSection(_ channel: ChannelID) -> Self {
        Self(
            description:
                "channel \(channel): the configuration has no Orderer section, so nothing can be ordered"
        )
    }

    static func unsupportedConsensus(_ channel: ChannelID, type: String) -> Self {
        Self(
            description: "channel \(channel) has consensus type \"\(type)\"; "
                + "this node orders by \"etcdraft\" and \"BFT\""
        )
    }

    static func unsupportedCapabilities(_ channel: ChannelID, _ names: [String]) -> Self {
        Self(
            description:
                "channel \(channel) requires \(names.joined(separator: ", ")), which this version doesn't have; "
                + "run a version that does"
        )
    }

    static func administrationWithoutCertificates(_ address: String) -> Self {
        Self(
            description:
                "the administration endpoint \(address) has TLS that doesn't require client certificates, so that "
                + "anybody could administer the node; require them"
        )
    }

    static func unreadableFolder(_ folder: String, _ reason: String) -> Self {
        Self(
            description: "the data folder \(folder) can't be used: \(reason); "
                + "give the user of this process the right to read and write it, on a writable disk"
        )
    }
}
