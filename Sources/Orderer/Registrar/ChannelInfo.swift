/// What a node says about one of its channels.
///
/// Source: Fabric v3.1, documentation of the channel participation API.
package struct ChannelInfo: Equatable, Sendable {
    /// What the node is for the channel.
    package enum ConsensusRelation: String, Sendable {
        /// One of those that order.
        case consenter
        /// One that copies the channel from those.
        case follower
    }

    package enum Status: String, Sendable {
        /// The channel orders, or is about to; or a follower has all blocks through the one that it joined with.
        case active
        /// A follower copies the blocks through the one that it joined with.
        case onboarding
        /// The channel has stopped: its disk or its consensus failed, or it is being removed.
        case inactive
        /// The channel was to be removed and could not.
        case failed
    }

    package var name: String
    package var consensusRelation: ConsensusRelation
    package var status: Status
    /// How many blocks the channel has.
    package var height: UInt64
}

/// Which block of a channel is asked for.
package enum BlockSelector: Equatable, Sendable {
    case oldest
    case newest
    /// The block with the configuration in force.
    case config
    case number(UInt64)
    /// A number below 0, which no block has.
    case none

    /// Reads `oldest`, `newest`, `config` or a number in decimal; `nil` for anything else.
    package init?(_ text: String) {
        switch text {
        case "oldest": self = .oldest
        case "newest": self = .newest
        case "config": self = .config
        default:
            guard let number = Int(text) else { return nil }
            self = number < 0 ? .none : .number(UInt64(number))
        }
    }
}
