import Channel
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf
import Testing

@testable import Orderer

/// What configuration updates do to a channel's consenters.
@Suite struct ConsenterChangeTests {
    private func consenters(_ names: [String]) throws -> RaftConsenters {
        var metadata = Etcdraft_ConfigMetadata()
        metadata.options = .fabricDefault
        metadata.consenters = names.map { name in
            var consenter = Etcdraft_Consenter()
            consenter.host = name
            consenter.port = 7050
            consenter.clientTlsCert = Data(name.utf8)
            consenter.serverTlsCert = Data(name.utf8)
            return consenter
        }
        return try RaftConsenters(metadata: metadata.serializedBytes())
    }

    private func change(_ before: [String], _ after: [String], identifiers: [UInt64], next: UInt64) throws
        -> ConsenterChange
    {
        try ConsenterChange(
            from: self.consenters(before),
            to: self.consenters(after),
            metadata: ConsenterMetadata(identifiers: identifiers, next: next, raftIndex: 9)
        )
    }

    @Test("one that is added gets the next identifier, wherever it stands")
    func adds() throws {
        let change = try self.change(["a", "b"], ["c", "a", "b"], identifiers: [4, 2], next: 6)
        #expect(change.kind == .added(6))
        #expect(change.metadata == ConsenterMetadata(identifiers: [6, 4, 2], next: 7, raftIndex: 9))
    }

    @Test("one that is removed leaves its identifier to nobody")
    func removes() throws {
        let change = try self.change(["a", "b", "c"], ["a", "c"], identifiers: [1, 2, 3], next: 4)
        #expect(change.kind == .removed(2))
        #expect(change.metadata == ConsenterMetadata(identifiers: [1, 3], next: 4, raftIndex: 9))
        #expect(change.concerns(2) && !change.concerns(1))
    }

    @Test("another certificate in the place of one keeps its identifier")
    func rotates() throws {
        let change = try self.change(["a", "b", "c"], ["a", "n", "c"], identifiers: [1, 2, 3], next: 4)
        #expect(change.kind == .rotated(2))
        #expect(change.metadata == ConsenterMetadata(identifiers: [1, 2, 3], next: 4, raftIndex: 9))
    }

    @Test("another order changes nobody's identifier")
    func reorders() throws {
        let change = try self.change(["a", "b"], ["b", "a"], identifiers: [1, 2], next: 3)
        #expect(change.kind == .none)
        #expect(change.metadata.identifiers == [2, 1])
    }

    @Test("two at a time are refused")
    func refusesTwo() throws {
        #expect(throws: InvalidConsensusMetadata.self) {
            try self.change(["a"], ["a", "b", "c"], identifiers: [1], next: 2)
        }
    }

    @Test("a change that would leave no quorum of working consenters is refused, unless it can't be helped")
    func protectsTheQuorum() throws {
        let grow = try self.change(["a"], ["a", "b"], identifiers: [1], next: 2)
        #expect(!grow.losesQuorum(active: [1]))
        let third = try self.change(["a", "b"], ["a", "b", "c"], identifiers: [1, 2], next: 3)
        #expect(third.losesQuorum(active: [1]) && !third.losesQuorum(active: [1, 2]))
        let shrink = try self.change(["a", "b", "c"], ["a", "b"], identifiers: [1, 2, 3], next: 4)
        #expect(shrink.losesQuorum(active: [1, 3]) && !shrink.losesQuorum(active: [1, 2]))
        let rotate = try self.change(["a", "b", "c"], ["a", "b", "n"], identifiers: [1, 2, 3], next: 4)
        #expect(rotate.losesQuorum(active: [1, 3]) && !rotate.losesQuorum(active: [1, 2]))
    }

    @Test("a new consenter with the key of another one is refused; a renewed certificate may keep its key")
    func refusesTheKeyOfAnother() throws {
        let network = try TestNetwork()
        let key = try PrivateKey.generate(.p256)
        let first = try network.ordererOrganization.issueTLS("orderer1", key: key)
        let renewed = try network.ordererOrganization.issueTLS("orderer1", key: key)
        let other = try network.ordererOrganization.issueTLS("orderer2")
        func consenters(_ certificates: [Data]) throws -> RaftConsenters {
            let block = try network.genesis(of: "other", certificates: certificates)
            return try RaftConsenters(ChannelConfiguration(configBlock: block))
        }
        let configuration = try ChannelConfiguration(configBlock: network.genesis)
        func check(_ certificates: [Data]) throws {
            try consenters(certificates)
                .checkCertificates(under: configuration, known: consenters([first]), at: Date())
        }
        try check([first, other])
        try check([renewed])
        #expect {
            try check([first, renewed])
        } throws: { error in
            "\(error)".contains("has the key of consenter localhost:7050")
        }
    }

    @Test(
        "exactly one consenter campaigns first, and none that is alone",
        arguments: [("mychannel", 3), ("trade", 5), ("x", 7)]
    )
    func picksFirst(name: String, size: Int) throws {
        let channel = try ChannelID(name)
        let first = (1...UInt64(size)).filter { FirstCampaign.isOurs(id: $0, of: size, channel: channel) }
        #expect(first.count == 1)
        #expect(!FirstCampaign.isOurs(id: 1, of: 1, channel: channel))
    }
}
