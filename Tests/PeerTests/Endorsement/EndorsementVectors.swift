import Channel
import Cryptography
import FabricProtos
import Foundation
import KeyValueStore
import Logging
import SwiftProtobuf
import TestSupport

@testable import Ledger
@testable import Peer

/// One proposal that was sent to a peer of a real network, and what came back.
struct EndorsementVector: Decodable, Sendable {
    struct Refusal: Decodable, Sendable { var details: String }

    var id: String
    var chaincode: String
    var channel: String
    var endorsingPeer: String
    var grpcError: Refusal?
    var signedProposal: String
    var proposalResponse: String?

    enum CodingKeys: String, CodingKey {
        case id, chaincode, channel
        case endorsingPeer = "endorsing_peer"
        case grpcError = "grpc_error"
        case signedProposal = "signed_proposal"
        case proposalResponse = "proposal_response"
    }

    static func all() throws -> [EndorsementVector] {
        struct File: Decodable { var cases: [EndorsementVector] }
        return try JSONDecoder().decode(File.self, from: self.data("cases.json")).cases
    }

    static func data(_ name: String) throws -> Data {
        try Data(contentsOf: VectorReport.folder("endorsement").appendingPathComponent(name))
    }

    var proposal: Protos_SignedProposal {
        get throws { try Protos_SignedProposal(serializedBytes: Self.data(self.signedProposal)) }
    }

    var response: Protos_ProposalResponse? {
        get throws { try self.proposalResponse.map { try .init(serializedBytes: Self.data($0)) } }
    }
}

/// The channels of the recorded network, in memory, as the peer of one organization saw them.
struct RecordedNetwork: Sendable {
    /// The minute in which the proposals were made.
    static let time = Date(timeIntervalSince1970: 1_795_230_803)

    let endorser: Endorser
    let main: RecordedChannel
    let executor: BlockingExecutor

    /// - Parameters:
    ///   - organization: whose peer it is.
    ///   - script: what runs as the recorded contracts.
    ///   - privateData: the way of private data to other peers.
    /// - Throws: if the recorded files can't be read.
    init(
        organization: String,
        script: any Contract = ScriptContract(),
        privateData: PrivateDataLink? = nil
    ) throws {
        let main = try RecordedChannel("main", privateValuesOf: organization)
        let side = try RecordedChannel("side", privateValuesOf: nil)
        let channels = RecordedChannels(list: [main, side])
        guard let localMSP = main.configuration.directory[try MSPID(organization)] else {
            throw ContractError("no such organization: \(organization)")
        }
        let access = AccessGate(
            localMSP: localMSP,
            configuration: { channels.channel(named: $0.description)?.configuration },
            record: { _ in }
        )
        self.main = main
        self.executor = BlockingExecutor(name: "simulation", threads: 2)
        self.endorser = try Endorser(
            identity: RenewableIdentity(TestIdentity.make(organization)),
            localMSP: localMSP,
            channels: channels,
            builtIn: ["scriptcc": script, "othercc": script, "initcc": script],
            access: access,
            executor: self.executor,
            privateData: privateData,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            now: { Self.time }
        )
    }
}

/// An identity that can sign; nobody verifies it here.
enum TestIdentity {
    static func make(_ organization: String) throws -> SigningIdentity {
        let folder = VectorReport.folder("msp").appendingPathComponent("identities")
        let certificate = try Data(contentsOf: folder.appendingPathComponent("admin.pem"))
        let key = try Data(contentsOf: folder.appendingPathComponent("admin.key"))
        return try SigningIdentity(
            mspID: try MSPID(organization),
            certificate: try Certificate(der: PEMBlock(firstIn: certificate)?.contents ?? Data()),
            key: try PrivateKey(pem: key)
        )
    }
}

struct RecordedChannels: EndorsingChannels {
    var list: [RecordedChannel]

    func channel(named name: String) -> (any EndorsingChannel)? {
        self.list.first { $0.id.description == name }
    }

    var channels: [any EndorsingChannel] { self.list }

    func joinChannel(_ block: Common_Block) async throws { throw ContractError("already joined") }
}

/// A channel whose recorded blocks were committed to a ledger in memory.
final class RecordedChannel: EndorsingChannel {
    let id: ChannelID
    let ledger: Ledger
    let configuration: ChannelConfiguration

    init(_ name: String, privateValuesOf organization: String?) throws {
        self.id = try ChannelID("vec\(name)")
        let file = VectorReport.folder("blocks").appendingPathComponent("\(name).peer.blocks")
        let blocks = try BlockFile(contentsOf: file).map { try Common_Block(serializedBytes: $0) }
        let stores = LedgerStores.inMemory()
        var ledger = try Self.replay(blocks, self.id, stores)
        if let organization {
            // Only the values that were left at the end are known, so they go straight into the state.
            try Self.writePrivateValues(organization, ledger.snapshot(), stores.derived)
            ledger = try Ledger(channelID: self.id, stores: stores)
        }
        self.ledger = ledger
        guard let number = try ledger.log.lastConfigBlockNumber(), let block = try ledger.block(number) else {
            throw ContractError("the recorded chain has no configuration")
        }
        self.configuration = try ChannelConfiguration(configBlock: block)
    }

    private static func replay(
        _ blocks: [Common_Block],
        _ id: ChannelID,
        _ stores: LedgerStores
    ) throws -> Ledger {
        let ledger = try Ledger(channelID: id, stores: stores)
        for block in blocks {
            let codes = block.metadata(.transactionsFilter)
            let transactions = zip(codes, block.data.data).map { code, envelope in
                TransactionToCommit(
                    code: Protos_TxValidationCode(rawValue: Int(code)) ?? .invalidOtherReason,
                    envelope: envelope
                )
            }
            _ = try ledger.commit(BlockToCommit(block: block, transactions: transactions))
        }
        return ledger
    }

    private static func writePrivateValues(
        _ organization: String,
        _ snapshot: StateSnapshot,
        _ derived: any KeyValueStore
    ) throws {
        struct File: Decodable {
            struct Entry: Decodable { var key_hex, value_hex: String }
            /// The values of one collection; something else where the organization isn't a member.
            struct Collection: Decodable {
                var entries: [Entry]
                init(from decoder: any Swift.Decoder) throws {
                    self.entries = (try? decoder.singleValueContainer().decode([Entry].self)) ?? []
                }
            }
            var values: [String: [String: Collection]]
        }
        let file = try JSONDecoder().decode(File.self, from: EndorsementVector.data("private-values.json"))
        var batch = WriteBatch()
        for (collection, entries) in file.values[organization] ?? [:] {
            for entry in entries.entries {
                let key = Data(hexadecimal: entry.key_hex) ?? Data()
                let hashed = try snapshot.hashed(
                    namespace: "scriptcc",
                    collection: collection,
                    keyHash: Digest.sha256(key)
                )
                // One value is left of which no hash is on the ledger any more; its version doesn't matter.
                let version = hashed?.version ?? Version(block: 0, transaction: 0)
                let value = VersionedValue(
                    value: Data(hexadecimal: entry.value_hex) ?? Data(),
                    version: version
                )
                let namespace = DerivedNamespace.values(Array("scriptcc".utf8), Array(collection.utf8))
                batch.set(value.encoded, forKey: Data(DerivedKey.state(namespace, key)))
            }
        }
        try derived.write(batch, durably: false)
    }
}
