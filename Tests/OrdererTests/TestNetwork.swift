import Channel
import Cryptography
import FabricProtos
import Foundation
import GRPCCore
import GRPCInProcessTransport
import Ledger
import Logging
import SwiftProtobuf
import Synchronization

@testable import Orderer

/// An organization with a certificate authority, made at run time.
struct TestOrganization: Sendable {
    let mspID: MSPID
    private let authority: Certificate
    private let authorityKey: PrivateKey

    init(_ name: String) throws {
        self.mspID = try MSPID(name)
        self.authorityKey = try PrivateKey.generate(.p256)
        var template = CertificateTemplate(
            subject: try DistinguishedName([.organization(name), .commonName("ca.\(name)")]),
            serialNumber: try CertificateTemplate.randomSerialNumber(),
            notBefore: Date(timeIntervalSinceNow: -7200),
            notAfter: Date(timeIntervalSinceNow: 86_400),
            keyUsage: [.digitalSignature, .certificateSigning, .revocationListSigning]
        )
        template.isCA = true
        self.authority = try template.selfSigned(with: self.authorityKey)
    }

    /// Issues an identity with the role `unit`: "client", "admin", "peer" or "orderer".
    func issue(_ name: String, _ unit: String, expiresIn seconds: TimeInterval = 3600) throws
        -> SigningIdentity
    {
        let key = try PrivateKey.generate(.p256)
        let template = CertificateTemplate(
            subject: try DistinguishedName([.organizationalUnit(unit), .commonName(name)]),
            serialNumber: try CertificateTemplate.randomSerialNumber(),
            notBefore: Date(timeIntervalSinceNow: min(-3600, seconds - 60)),
            notAfter: Date(timeIntervalSinceNow: seconds),
            keyUsage: [.digitalSignature]
        )
        let certificate = try template.issued(for: key.publicKey, by: self.authority, with: self.authorityKey)
        return try SigningIdentity(mspID: self.mspID, certificate: certificate, key: key)
    }

    /// Issues a TLS certificate for a node.
    func issueTLS(_ name: String, expiresIn seconds: TimeInterval = 3600, key: PrivateKey? = nil) throws
        -> Data
    {
        var template = CertificateTemplate(
            subject: try DistinguishedName([.commonName(name)]),
            serialNumber: try CertificateTemplate.randomSerialNumber(),
            notBefore: Date(timeIntervalSinceNow: min(-3600, seconds - 60)),
            notAfter: Date(timeIntervalSinceNow: seconds),
            keyUsage: [.digitalSignature]
        )
        template.extendedKeyUsages = [.serverAuthentication, .clientAuthentication]
        template.subjectAlternativeNames = [.dns("localhost")]
        let key = try key ?? PrivateKey.generate(.p256)
        return try template.issued(for: key.publicKey, by: self.authority, with: self.authorityKey).pem
    }

    /// The organization's MSP with roles by organizational unit.
    var msp: Msp_MSPConfig {
        get throws {
            try .withNodeOUs(
                self.mspID.description,
                roots: [self.authority.pem],
                tlsRoots: [self.authority.pem]
            )
        }
    }
}

/// The identities of a channel with one orderer and two organizations, and its genesis block.
struct TestNetwork: Sendable {
    let channelID: ChannelID
    let ordererOrganization: TestOrganization
    let organization: TestOrganization
    let stranger: TestOrganization
    let orderer: SigningIdentity
    let ordererAdmin: SigningIdentity
    let client: SigningIdentity
    let peer: SigningIdentity
    /// The TLS certificate of the channel's consenter.
    let consenter: Data
    let genesis: Common_Block

    /// Makes identities and a genesis block; the numbers are the bounds of a batch.
    init(
        channel: String = "trade",
        maxMessageCount: UInt32 = 10,
        absoluteMaxBytes: UInt32 = 20_000,
        preferredMaxBytes: UInt32 = 10_000,
        timeout: Duration = .milliseconds(100)
    ) throws {
        self.channelID = try ChannelID(channel)
        self.ordererOrganization = try TestOrganization("OrdererMSP")
        self.organization = try TestOrganization("Org1MSP")
        self.stranger = try TestOrganization("StrangerMSP")
        self.orderer = try self.ordererOrganization.issue("orderer0", "orderer")
        self.ordererAdmin = try self.ordererOrganization.issue("admin", "admin")
        self.client = try self.organization.issue("user1", "client")
        self.peer = try self.organization.issue("peer0", "peer")

        var size = Orderer_BatchSize()
        size.maxMessageCount = maxMessageCount
        size.absoluteMaxBytes = absoluteMaxBytes
        size.preferredMaxBytes = preferredMaxBytes
        self.consenter = try self.ordererOrganization.issueTLS("orderer0")
        self.genesis = try Self.genesis(
            of: channel,
            orderers: self.ordererOrganization,
            members: self.organization,
            certificates: [self.consenter],
            size: size,
            timeout: timeout
        )
    }

    /// The genesis block of another channel of the same organizations; `certificates` are its consenters'.
    func genesis(
        of channel: String,
        certificates: [Data]? = nil,
        _ change: (inout ChannelProfile) -> Void = { _ in }
    ) throws -> Common_Block {
        var size = Orderer_BatchSize()
        size.maxMessageCount = 10
        size.absoluteMaxBytes = 20_000
        size.preferredMaxBytes = 10_000
        return try Self.genesis(
            of: channel,
            orderers: self.ordererOrganization,
            members: self.organization,
            certificates: certificates ?? [self.consenter],
            size: size,
            timeout: .milliseconds(100),
            change
        )
    }

    private static func genesis(
        of channel: String,
        orderers: TestOrganization,
        members: TestOrganization,
        certificates: [Data],
        size: Orderer_BatchSize,
        timeout: Duration,
        _ change: (inout ChannelProfile) -> Void = { _ in }
    ) throws -> Common_Block {
        var metadata = Etcdraft_ConfigMetadata()
        metadata.consenters = certificates.enumerated().map { index, certificate in
            var consenter = Etcdraft_Consenter()
            consenter.host = "localhost"
            consenter.port = UInt32(7050 + index)
            consenter.clientTlsCert = certificate
            consenter.serverTlsCert = certificate
            return consenter
        }
        metadata.options = .fabricDefault
        var profile = ChannelProfile(
            orderer: .init(
                consensus: .raft(metadata),
                organizations: [
                    .init(
                        name: "OrdererOrg",
                        msp: try orderers.msp,
                        policies: .ordererOrganization("OrdererMSP"),
                        ordererEndpoints: ["localhost:7050"]
                    )
                ],
                batchTimeout: timeout,
                batchSize: size
            ),
            application: .init(
                organizations: [
                    .init(
                        name: "Org1",
                        msp: try members.msp,
                        policies: .applicationOrganization("Org1MSP")
                    )
                ]
            )
        )
        change(&profile)
        return try GenesisBlock.make(
            channelID: ChannelID(channel),
            profile: profile,
            nonce: Data(repeating: 1, count: 24),
            timestamp: Date(timeIntervalSince1970: 1_700_000_000)
        )
    }

    /// An envelope of `size` payload bytes beside its headers.
    func envelope(
        _ text: String = UUID().uuidString,
        by signer: SigningIdentity? = nil,
        type: Common_HeaderType = .endorserTransaction,
        channel: String? = nil
    ) throws -> Common_Envelope {
        try Common_Envelope.signed(
            type,
            channel: channel ?? self.channelID.description,
            data: Data(text.utf8),
            signer: signer ?? self.client,
            nonce: secureRandomBytes(24),
            timestamp: Date()
        )
    }

    /// A configuration update, signed by `admin` as it must be and sent by the client.
    func update(
        from config: Common_Config,
        admin: SigningIdentity? = nil,
        sender: SigningIdentity? = nil,
        channel: ChannelID? = nil,
        _ change: (inout Common_ConfigGroup) throws -> Void
    ) throws -> Common_Envelope {
        try self.update(
            from: config,
            admins: [admin ?? self.ordererAdmin],
            sender: sender,
            channel: channel,
            change
        )
    }

    /// A configuration update signed by several.
    func update(
        from config: Common_Config,
        admins: [SigningIdentity],
        sender: SigningIdentity? = nil,
        channel: ChannelID? = nil,
        _ change: (inout Common_ConfigGroup) throws -> Void
    ) throws -> Common_Envelope {
        let channelID = channel ?? self.channelID
        var group = config.channelGroup
        try change(&group)
        let update = try Common_ConfigUpdate.computing(
            from: config.channelGroup,
            to: group,
            channelID: channelID
        )
        var envelope = Common_ConfigUpdateEnvelope()
        envelope.configUpdate = try update.serializedBytes()
        envelope.signatures = try admins.map { signer in
            var header = Common_SignatureHeader()
            header.creator = signer.serialized
            header.nonce = try secureRandomBytes(24)
            var signature = Common_ConfigSignature()
            signature.signatureHeader = try header.serializedBytes()
            signature.signature = try signer.sign(signature.signatureHeader + envelope.configUpdate)
            return signature
        }
        return try Common_Envelope.signed(
            .configUpdate,
            channel: channelID.description,
            data: envelope.serializedBytes(),
            signer: sender ?? self.client,
            nonce: secureRandomBytes(24),
            timestamp: Date()
        )
    }

    /// A change of the batch size.
    func batchSizeUpdate(from config: Common_Config, maxMessageCount: UInt32, admin: SigningIdentity? = nil)
        throws
        -> Common_Envelope
    {
        try self.update(from: config, admin: admin) { group in
            var size = Orderer_BatchSize()
            size.maxMessageCount = maxMessageCount
            size.absoluteMaxBytes = 20_000
            size.preferredMaxBytes = 10_000
            group.groups["Orderer"]?.values["BatchSize"]?.value = try size.serializedBytes()
        }
    }

    /// A request for blocks.
    func seek(
        _ seek: Orderer_SeekInfo,
        by signer: SigningIdentity? = nil,
        channel: String? = nil,
        at timestamp: Date = Date(),
        tlsCertificateHash: Data = Data()
    ) throws -> Common_Envelope {
        try Common_Envelope.signed(
            .deliverSeekInfo,
            channel: channel ?? self.channelID.description,
            data: seek.serializedBytes(),
            signer: signer ?? self.client,
            nonce: secureRandomBytes(24),
            timestamp: timestamp,
            tlsCertificateHash: tlsCertificateHash
        )
    }
}

/// One channel of an orderer on a disk in memory, with its service, running.
final class TestOrderer: Sendable {
    let network: TestNetwork
    let disk: FaultyDisk
    let channels = OrderingChannels()
    let channel: OrderingChannel
    let service: AtomicBroadcastService
    private let thread: ChannelThread

    init(
        _ network: TestNetwork,
        disk: FaultyDisk = FaultyDisk(),
        limits: OrdererLimits = .forTests,
        cutting: CuttingMode = .adaptive,
        acknowledgesWhenDurable: Bool = true,
        requiresClientCertificates: Bool = false,
        date: @escaping @Sendable () -> Date = { Date() }
    ) throws {
        self.network = network
        self.disk = disk
        var settings = OrderingChannel.Settings.forTests(network)
        settings.limits = limits
        settings.cutting = cutting
        settings.acknowledgesWhenDurable = acknowledgesWhenDurable
        settings.date = date
        self.channel = OrderingChannel(
            configuration: try ChannelConfiguration(configBlock: network.genesis),
            settings: settings
        )
        self.channels.add(self.channel)
        self.service = AtomicBroadcastService(
            channels: self.channels,
            limits: limits,
            requiresClientCertificates: requiresClientCertificates,
            checksExpiration: true,
            checkers: WorkerThreads(name: "check", count: 2),
            readers: WorkerThreads(name: "read", count: 2),
            date: date,
            logger: settings.logger
        )
        self.thread = ChannelThread(channel: self.channel, join: network.genesis) {
            ChannelThread.Stores(log: disk.open("log"), consensus: disk.open("consensus"))
        }
        self.thread.start()
    }

    /// Stops the channel, as the node does when it ends.
    func stop() async {
        self.channel.stop()
        let end = self.thread.end
        try? await WorkerThreads(name: "wait", count: 1).run { end.wait() }
    }

    /// Waits until the channel serves.
    func ready() async {
        while self.channel.feed.failure != nil {
            let version = self.channel.feed.find(0, insistsOnHealth: false).version
            if self.channel.feed.failure == nil { return }
            await self.channel.feed.change(since: version)
        }
    }

    /// Waits until readers find `count` envelopes besides configurations: they are answered when they are durable, which
    /// is a moment before.
    func published(_ count: Int) async throws {
        var (found, next) = (0, BlockNumber(1))
        while found < count {
            await self.reached(next + 1)
            if let block = try self.block(next), !block.isConfigBlock { found += block.data.data.count }
            next += 1
        }
    }

    /// Waits until the channel has `height` blocks.
    func reached(_ height: BlockNumber) async {
        while self.channel.feed.height < height {
            let version = self.channel.feed.find(0, insistsOnHealth: false).version
            if self.channel.feed.height >= height { return }
            await self.channel.feed.change(since: version)
        }
    }

    /// Block `number` as the log has it.
    func block(_ number: BlockNumber) throws -> Common_Block? {
        switch self.channel.feed.find(number, insistsOnHealth: false).next {
        case .block(let block):
            return try Orderer_DeliverResponse(serializedBytes: block.whole).block
        case .stored(let log): return try log.block(number)
        default: return nil
        }
    }

    // MARK: - As a client

    /// Runs `body` with a client that is connected in this process.
    func withClient<Value: Sendable>(
        _ body:
            @Sendable @escaping (Orderer_AtomicBroadcast.Client<InProcessTransport.Client>) async throws ->
            Value
    ) async throws -> Value {
        let transport = InProcessTransport()
        let server = GRPCServer(transport: transport.server, services: [self.service])
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.serve() }
            let value = try await withGRPCClient(transport: transport.client) { client in
                try await body(Orderer_AtomicBroadcast.Client(wrapping: client))
            }
            server.beginGracefulShutdown()
            try await group.waitForAll()
            return value
        }
    }

    /// Sends envelopes on one stream and returns the answers until the server ends it.
    func broadcast(_ envelopes: [Common_Envelope]) async throws -> [Orderer_BroadcastResponse] {
        try await self.withClient { client in
            try await client.broadcast { writer in
                for envelope in envelopes { try await writer.write(envelope) }
            } onResponse: { response in
                var answers: [Orderer_BroadcastResponse] = []
                for try await answer in response.messages { answers.append(answer) }
                return answers
            }
        }
    }

    /// Sends one envelope and returns its answer.
    func broadcast(_ envelope: Common_Envelope) async throws -> Orderer_BroadcastResponse {
        try await self.broadcast([envelope]).first ?? Orderer_BroadcastResponse()
    }

    /// Sends requests for blocks on one stream and returns everything that comes back.
    func deliver(_ requests: [Common_Envelope]) async throws -> [Orderer_DeliverResponse] {
        try await self.withClient { client in
            try await client.deliver { writer in
                for request in requests { try await writer.write(request) }
            } onResponse: { response in
                var answers: [Orderer_DeliverResponse] = []
                for try await answer in response.messages { answers.append(answer) }
                return answers
            }
        }
    }
}

extension OrdererLimits {
    /// Short waits after a failure.
    static var forTests: OrdererLimits {
        var limits = OrdererLimits()
        limits.reopenDelay = .milliseconds(10)
        limits.sourcePatience = .milliseconds(300)
        return limits
    }
}

extension OrderingChannel.Settings {
    /// Real time, no log, and no other orderers.
    static func forTests(_ network: TestNetwork) -> Self {
        let start = ContinuousClock.now
        var logger = Logger(label: "test")
        logger.handler = SwiftLogNoOpLogHandler()
        return Self(
            signer: RenewableIdentity(network.orderer),
            limits: .forTests,
            cutting: .adaptive,
            acknowledgesWhenDurable: true,
            checksExpiration: true,
            clock: { ContinuousClock.now - start },
            date: { Date() },
            nonce: { (try? secureRandomBytes(24)) ?? Data() },
            logger: logger
        )
    }
}
