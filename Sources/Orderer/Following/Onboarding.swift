internal import Channel
internal import FabricProtos

/// Finds out which orderers give a joining node blocks that are not of its channel.
///
/// All that such a node knows is one later block. What comes before has to be copied from the first one on, and is
/// proved only by the hash that the last of them must have, so a single orderer could give a chain of its own making. One
/// whose end has another hash was given, in the end, by a liar. One that ends earlier is left when more orderers than can
/// be faulty have other blocks behind it: one of them is honest, and that one never contradicts an honest chain.
struct Onboarding {
    enum Verdict {
        case goOn, askOthers
        /// What was copied is not of the channel.
        case beginAnew
        /// More orderers than can be faulty have another channel than that of the block that the node joined with.
        case halt
    }

    /// The header of the block that the node joined with.
    let join: Common_BlockHeader
    let sources: Set<BlockSource>
    /// How many of the channel's consenters may be faulty.
    let tolerated: Int
    /// Who gave a block that the one that the node joined with refutes.
    private var liars: Set<BlockSource> = []
    /// Who has another block behind those that were copied.
    private var contradicting: Set<BlockSource> = []

    /// - Parameters:
    ///   - join: the header of the block that the node joined with.
    ///   - configuration: the channel's in that block.
    init(join: Common_BlockHeader, configuration: ChannelConfiguration) {
        self.join = join
        self.sources = Set(configuration.blockSources)
        let consenters = (try? ChannelConsenters(configuration))?.count ?? 1
        self.tolerated =
            configuration.isBFT
            ? BFTBlockValidation.tolerableFailures(of: consenters) : max(0, (consenters - 1) / 2)
    }

    /// The orderers to ask.
    var trusted: [BlockSource] {
        self.sources.subtracting(self.liars).sorted { $0.address < $1.address }
    }

    /// Whether a chain that ends with this header can't lead to the block that the node joined with.
    func refutes(_ last: Common_BlockHeader?) -> Bool {
        guard let last, last.number + 1 == self.join.number else { return false }
        return last.hash != self.join.previousHash
    }

    /// A block of this orderer continues the chain.
    mutating func appended(_ header: Common_BlockHeader, from source: BlockSource) -> Verdict {
        guard self.refutes(header) else { return .goOn }
        self.contradicting = []
        return self.caught(source) ?? .beginAnew
    }

    /// A block of this orderer doesn't continue the chain that ends with `last`.
    mutating func refused(
        _ header: Common_BlockHeader,
        after last: Common_BlockHeader?,
        from source: BlockSource
    ) -> Verdict {
        if (last?.number).map({ $0 + 1 }) ?? 0 == self.join.number {
            // What was copied is proved.
            guard header != self.join else { return .askOthers }
            return self.caught(source) ?? .askOthers
        }
        guard last != nil else { return .askOthers }
        self.contradicting.insert(source)
        guard self.contradicting.count > self.tolerated else { return .askOthers }
        self.contradicting = []
        return .beginAnew
    }

    private mutating func caught(_ liar: BlockSource) -> Verdict? {
        self.liars.insert(liar)
        return self.liars.count > self.tolerated ? .halt : nil
    }
}
