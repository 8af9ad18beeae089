internal import Channel
internal import FabricProtos
internal import Foundation
internal import Ledger
internal import Logging
internal import Peer
internal import SwiftProtobuf
internal import Synchronization
internal import WeftContract

/// The peer of one organization: the endorser and the commit of Weft's peers, on a ledger in memory.
final class TestPeer: Sendable {
    let organization: TestOrganization
    let admin: SigningIdentity
    let channel: PeerChannel
    private let endorser: Endorser
    private let pipeline: CommitPipeline
    private let contracts: [String: StreamedContract]

    init(
        _ organization: TestOrganization,
        genesis: Common_Block,
        definitions: [ContractDefinition],
        now: @escaping @Sendable () -> Date
    ) throws {
        self.organization = organization
        self.admin = try organization.issue("admin", unit: "admin")
        let identity = try organization.issue("peer0", unit: "peer")
        let channels = ChannelRegistry { try Ledger(channelID: $0, stores: .inMemory()) }
        self.channel = try channels.join(genesis)
        guard let msp = self.channel.configuration.directory[identity.mspID] else {
            throw HarnessError("\(organization.mspID) is not in the channel")
        }
        var contracts: [String: StreamedContract] = [:]
        for definition in definitions {
            guard contracts[definition.name] == nil else {
                throw HarnessError("two contracts are defined as \(definition.name)")
            }
            contracts[definition.name] = StreamedContract(try ContractSet(definition.contracts))
        }
        self.contracts = contracts
        let access = AccessGate(
            localMSP: msp,
            configuration: { channels[$0]?.configuration },
            record: { _ in }
        )
        self.endorser = try Endorser(
            identity: RenewableIdentity(identity),
            localMSP: msp,
            channels: channels,
            builtIn: contracts,
            access: access,
            executor: BlockingExecutor(name: "test-peer", threads: 2),
            logger: Self.logger,
            now: now
        )
        self.pipeline = CommitPipeline(
            channel: self.channel,
            threads: VerificationThreads(count: 1),
            localIdentity: identity.serialized,
            logger: Self.logger
        )
    }

    static var logger: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

    /// Runs the contracts' ends of their streams until the task is cancelled.
    func serve() async {
        await withDiscardingTaskGroup { group in
            for contract in self.contracts.values { group.addTask { await contract.serve() } }
        }
    }

    func waitUntilReady() async {
        for contract in self.contracts.values { await contract.waitUntilReady() }
    }

    func endorse(_ proposal: Proposal) async throws -> Protos_ProposalResponse {
        try await self.endorser.process(proposal.signed)
    }

    /// Takes private data of an endorsed transaction from the peer that endorsed it.
    func receivePrivateData(of transaction: String, from other: TestPeer) throws {
        guard other !== self else { return }
        for entry in try other.channel.ledger.transient.entries(transaction: transaction) {
            try self.channel.ledger.transient.add(
                transaction: transaction,
                height: entry.height,
                bytes: entry.bytes
            )
        }
    }

    func commit(_ block: Common_Block) async throws {
        let (blocks, send) = AsyncStream.makeStream(of: Common_Block.self)
        send.yield(block)
        send.finish()
        try await self.pipeline.run(blocks)
    }
}

/// A contract at the other end of a chaincode stream in this process.
private final class StreamedContract: Peer.Contract {
    private static let packageID = "test:0"

    private let stream: ChaincodeStream
    private let contracts: ContractSet
    private let ready: AsyncStream<Void>

    init(_ contracts: ContractSet) {
        let (ready, isReady) = AsyncStream.makeStream(of: Void.self)
        self.contracts = contracts
        self.ready = ready
        self.stream = ChaincodeStream(
            packageID: Self.packageID,
            options: .init(),
            logger: TestPeer.logger,
            whenReady: { _ in isReady.finish() }
        )
    }

    func serve() async {
        let stream = self.stream
        let contract = ContractStream(packageID: Self.packageID, contracts: self.contracts) {
            stream.received($0)
        }
        await withTaskCancellationHandler {
            // The stream ends with the test; what runs then is of no interest any more.
            try? await contract.run(stream.outbound)
        } onCancel: {
            stream.end()
        }
    }

    /// For one task only.
    func waitUntilReady() async {
        for await _ in self.ready {}
    }

    func invoke(_ stub: ContractStub) async throws -> Protos_Response {
        try await self.stream.execute(stub)
    }
}
