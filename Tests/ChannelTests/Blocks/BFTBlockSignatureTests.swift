import Channel
import Cryptography
import FabricProtos
import Foundation
import Testing

/// Which signatures make a block of a BFT channel one that is accepted: those of q different consenters over one and
/// the same metadata.
@Suite struct BFTBlockSignatureTests {
    private func isAccepted(_ block: Common_Block, _ configuration: ChannelConfiguration) -> Bool {
        (try? block.verifySignatures(under: configuration)) != nil
    }

    /// q = ⌈(n + f + 1) / 2⌉, which is more than 2f + 1 where n is not 3f + 1.
    @Test(arguments: [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5), (8, 6), (9, 6), (10, 7)])
    func aQuorumOfSignaturesIsEnoughAndOneLessIsNot(_ consenters: Int, _ quorum: Int) throws {
        let channel = try BFTTestChannel(consenters: consenters)
        let configuration = try ChannelConfiguration(configBlock: channel.genesis)
        #expect(channel.quorum == quorum)
        let places = Array(0..<consenters).shuffled()
        for count in 0...consenters {
            let block = try channel.block(
                after: channel.genesis.header,
                signers: Array(places.prefix(count))
            )
            #expect(self.isAccepted(block, configuration) == (count >= quorum), "\(count) of \(consenters)")
        }
    }

    @Test func aSignerCountsOnceHoweverOftenItSigns() throws {
        let channel = try BFTTestChannel(consenters: 4)
        let configuration = try ChannelConfiguration(configBlock: channel.genesis)
        for signers in [[0, 0, 0], [0, 1, 0, 1], [2, 2, 3]] {
            let block = try channel.block(after: channel.genesis.header, signers: signers)
            #expect(!self.isAccepted(block, configuration))
        }
        let block = try channel.block(after: channel.genesis.header, signers: [0, 0, 1, 2])
        #expect(self.isAccepted(block, configuration))
    }

    /// One block, decided in two views: q signatures of which some are of the other view prove nothing.
    @Test func signaturesOfDifferentViewsDoNotAddUp() throws {
        let channel = try BFTTestChannel(consenters: 4)
        let configuration = try ChannelConfiguration(configBlock: channel.genesis)
        var block = try channel.block(after: channel.genesis.header, signers: [], view: 1)
        let values = try [1, 2].map { try BFTTestChannel.metadataValue(block.header, view: $0) }
        func signature(_ place: Int, view: Int) throws -> Common_MetadataSignature {
            try channel.signature(
                of: block.header,
                value: values[view - 1],
                by: channel.orderers[place],
                as: UInt32(place + 1)
            )
        }
        let mixed = [try signature(0, view: 1), try signature(1, view: 1), try signature(2, view: 2)]
        for value in values {
            try BFTTestChannel.put(mixed, value: value, into: &block)
            #expect(!self.isAccepted(block, configuration))
        }
        try BFTTestChannel.put(mixed + [try signature(3, view: 1)], value: values[0], into: &block)
        #expect(self.isAccepted(block, configuration))
    }

    @Test func aSignatureCountsForTheConsenterOfItsNumberOnly() throws {
        let channel = try BFTTestChannel(consenters: 4)
        let configuration = try ChannelConfiguration(configBlock: channel.genesis)
        var block = try channel.block(after: channel.genesis.header, signers: [])
        let value = try BFTTestChannel.metadataValue(block.header, view: 0)
        let stranger = try channel.issue("orderer9")
        let good = try [0, 1].map {
            try channel.signature(
                of: block.header,
                value: value,
                by: channel.orderers[$0],
                as: UInt32($0 + 1)
            )
        }
        func isAccepted(_ signer: SigningIdentity, as number: UInt32) throws -> Bool {
            let third = try channel.signature(of: block.header, value: value, by: signer, as: number)
            try BFTTestChannel.put(good + [third], value: value, into: &block)
            return self.isAccepted(block, configuration)
        }
        #expect(try isAccepted(channel.orderers[2], as: 3))
        // In another's name, under a number that nobody has, in the name of one who has signed already.
        #expect(try !isAccepted(channel.orderers[2], as: 4))
        #expect(try !isAccepted(channel.orderers[2], as: 0))
        #expect(try !isAccepted(channel.orderers[2], as: 77))
        #expect(try !isAccepted(channel.orderers[2], as: 1))
        // A member of the orderers' organization that is no consenter.
        #expect(try !isAccepted(stranger, as: 3))
        #expect(try !isAccepted(stranger, as: 9))
    }

    @Test func whatIsSignedCoversHeaderAndMetadata() throws {
        let channel = try BFTTestChannel(consenters: 4)
        let configuration = try ChannelConfiguration(configBlock: channel.genesis)
        let block = try channel.block(after: channel.genesis.header)
        #expect(self.isAccepted(block, configuration))
        var changed = block
        changed.header.dataHash = Data(repeating: 7, count: 32)
        #expect(!self.isAccepted(changed, configuration))
        changed = block
        changed.header.number += 1
        #expect(!self.isAccepted(changed, configuration))
        let other = try channel.block(after: channel.genesis.header, "other")
        changed = block
        changed.setMetadata(.signatures, other.metadata(.signatures))
        #expect(!self.isAccepted(changed, configuration))
    }

    /// The signatures of the next block are held against the consenters before it, those after it against the new ones.
    @Test func aConfigurationBlockChangesWhoseSignaturesCount() throws {
        var channel = try BFTTestChannel(consenters: 4)
        let before = try ChannelConfiguration(configBlock: channel.genesis)
        var next = channel.orderers
        for place in [0, 1] { next[place] = try channel.issue("new\(place)") }
        let change = try channel.configBlock(
            after: channel.genesis.header,
            orderers: next,
            sequence: 1
        )
        #expect(self.isAccepted(change, before))
        let after = try ChannelConfiguration(configBlock: change)
        let old = try channel.block(after: change.header)
        channel.orderers = next
        let new = try channel.block(after: change.header)
        #expect(!self.isAccepted(old, after))
        #expect(self.isAccepted(new, after))
        #expect(!self.isAccepted(new, before))
    }
}
