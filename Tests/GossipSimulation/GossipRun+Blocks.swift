import Channel
import FabricProtos
import Foundation
import Gossip
import Simulation
import SwiftProtobuf

/// What orderer and ledgers do.
extension GossipRun {
    /// The orderer makes the next block, of the transactions that wait.
    func order() throws {
        let ids = self.endorsed
        self.endorsed = []
        let number = BlockNumber(self.chain.count)
        for (place, id) in ids.enumerated() {
            self.values[id].place = (number, UInt64(place))
        }
        self.chain.append(try self.block(after: self.chain.last?.header, text: "block \(number): \(ids)"))
    }

    /// A block that its signer may have no right to sign.
    func block(
        after header: Common_BlockHeader?,
        text: String,
        signer: SigningIdentity? = nil
    ) throws -> Common_Block {
        let nonce = Data(repeating: 1, count: 24)
        let envelope = try Common_Envelope.signed(
            .endorserTransaction,
            channel: self.channel.description,
            data: Data(text.utf8),
            signer: self.identities.orderer,
            nonce: nonce,
            timestamp: Date(timeIntervalSince1970: 1_700_000_000)
        )
        var block = Common_Block.next(after: header, envelopes: [try envelope.serializedData()])
        try block.sign(
            lastConfig: 0,
            consenterMetadata: Data(),
            by: signer ?? self.identities.orderer,
            nonce: nonce
        )
        return block
    }

    static func payload(_ block: Common_Block) -> Gossip_Payload {
        .with {
            $0.seqNum = block.header.number
            $0.data = (try? block.serializedData()) ?? Data()
        }
    }

    /// Those who lead take what the orderer has.
    func deliver() {
        for number in self.storages.indices {
            let storage = self.storages[number]
            guard storage.leads, storage.reachesOrderer, self.world.peers[number].isUp else { continue }
            for block in self.chain.dropFirst(storage.height).prefix(10) {
                self.commit(block, at: number)
                self.give(.delivered(Self.payload(block)), to: number)
            }
        }
    }

    func perform(_ effect: BlocksEffect, of number: Int) {
        switch effect {
        case .lead(let leads): self.storages[number].leads = leads
        case .read(let range, let requester, let nonce):
            var blocks = self.chain.prefix(self.storages[number].height)
                .filter { range.contains($0.header.number) }
            if self.liars.contains(number), self.dice.chance(700) {
                blocks = blocks.map { self.lie(about: $0, number) }
            }
            let payloads = blocks.map(Self.payload)
            let life = self.world.peers[number].life
            self.after(self.dice.between(1, 20).milliseconds) { run in
                guard run.world.peers[number].life == life else { return }
                run.give(.read(payloads, for: requester.peer, nonce: nonce), to: number)
            }
        case .commit(let blocks):
            self.storages[number].waiting += blocks
            let life = self.world.peers[number].life
            self.after(self.dice.between(1, 30).milliseconds) { run in
                guard run.world.peers[number].life == life else { return }
                run.commitWaiting(at: number)
            }
        }
    }

    private func commitWaiting(at number: Int) {
        let waiting = self.storages[number].waiting
        self.storages[number].waiting = []
        for peerBlock in waiting where peerBlock.block.header.number == self.storages[number].height {
            self.commit(peerBlock.block, at: number)
        }
    }

    func commit(_ block: Common_Block, at number: Int) {
        let height = self.storages[number].height
        guard block.header.number == height else { return }
        guard height < self.chain.count, block.header == self.chain[height].header,
            block.data == self.chain[height].data
        else { return self.violated("peer \(number) accepted a block \(height) that the orderer never made") }
        self.storages[number].height += 1
        self.commits += 1
        if height == Int(self.revocation) {
            self.world.give(.configured(self.configuration(at: height + 1)), to: number)
        }
        self.tellHeight(number)
        self.wantValues(of: BlockNumber(height), at: number)
    }

    func tellHeight(_ number: Int) {
        self.give(.committed(self.chain[self.storages[number].height - 1].header), to: number)
    }

    /// What a liar gives for a block: another one, which nobody but itself has signed.
    func lie(about block: Common_Block, _ liar: Int) -> Common_Block {
        let number = Int(block.header.number)
        let signer = self.identities.organizations[self.organization(of: liar)].peers[
            liar % self.perOrganization
        ]
        let before = number > 0 ? self.chain[number - 1].header : nil
        switch self.dice.below(4) {
        case 0: return (try? self.block(after: before, text: "a lie", signer: signer)) ?? block
        case 1:
            // The orderer's signature of another block.
            var lie = (try? self.block(after: before, text: "a lie", signer: signer)) ?? block
            lie.metadata = block.metadata
            return lie
        case 2:
            var lie = block
            lie.data.data.append(Data("more".utf8))
            return lie
        default:
            var lie = block
            lie.header.number += 1
            return lie
        }
    }

    /// What a peer would do that doesn't verify blocks.
    func commitUnseen(_ envelope: Gossip_Envelope, from sender: PKIID, at number: Int) {
        guard let message = try? Gossip_GossipMessage(serializedBytes: envelope.payload),
            case .stateResponse(let response) = message.content
        else { return }
        for payload in response.payloads {
            guard let block = try? Common_Block(serializedBytes: payload.data) else { continue }
            self.commit(block, at: number)
        }
    }
}
