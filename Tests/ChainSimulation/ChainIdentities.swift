import Channel
import Cryptography
import FabricProtos
import Foundation
import Orderer
import Simulation
import SwiftProtobuf

/// The organization of a simulated channel: who orders, administers, and sends.
///
/// Every key is Ed25519, made from a fixed number, so that signatures and certificates are the same, and as long, in
/// every run. Signing and verifying is real.
struct ChainIdentities: Sendable {
    struct Machine: Sendable {
        var signer: SigningIdentity
        /// The key of its TLS certificate.
        var tlsKey: PublicKey
        var tlsCertificate: Data
    }

    static let mspID = "OrdererMSP"
    static let channel = "sim"
    /// How many orderers there can be in one run.
    static let machines = 12

    let admin: SigningIdentity
    let client: SigningIdentity
    let machines: [Machine]
    private let authority: Certificate

    init() throws {
        let key = try Self.key(0)
        var template = try Self.template("ca", unit: "ca", serial: 1)
        template.keyUsage = [.digitalSignature, .certificateSigning, .revocationListSigning]
        template.isCA = true
        let authority = try template.selfSigned(with: key)
        func issue(_ name: String, _ unit: String, _ number: UInt8) throws -> (Certificate, PrivateKey) {
            let own = try Self.key(number)
            let template = try Self.template(name, unit: unit, serial: number + 1)
            return (try template.issued(for: own.publicKey, by: authority, with: key), own)
        }
        func identity(_ name: String, _ unit: String, _ number: UInt8) throws -> SigningIdentity {
            let (certificate, key) = try issue(name, unit, number)
            return try SigningIdentity(mspID: MSPID(Self.mspID), certificate: certificate, key: key)
        }
        self.authority = authority
        self.admin = try identity("admin", "admin", 1)
        self.client = try identity("client", "client", 2)
        self.machines = try (1...UInt8(Self.machines)).map { number in
            let (tls, tlsKey) = try issue("tls\(number)", "orderer", 100 + number)
            return Machine(
                signer: try identity("orderer\(number)", "orderer", 10 + number),
                tlsKey: tlsKey.publicKey,
                tlsCertificate: tls.pem
            )
        }
    }

    /// `PrivateKeyInfo` of RFC 8410 around 32 bytes.
    private static func key(_ number: UInt8) throws -> PrivateKey {
        let prefix: [UInt8] = [
            0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
        ]
        let der = Data(prefix) + Data(repeating: number &+ 1, count: 32)
        return try PrivateKey(pem: PEMBlock.encode(der, type: "PRIVATE KEY"))
    }

    private static func template(_ name: String, unit: String, serial: UInt8) throws -> CertificateTemplate {
        CertificateTemplate(
            subject: try DistinguishedName([.organizationalUnit(unit), .commonName(name)]),
            serialNumber: Data([0x40, serial]),
            notBefore: Date(timeIntervalSince1970: 1_600_000_000),
            notAfter: Date(timeIntervalSince1970: 4_000_000_000),
            keyUsage: [.digitalSignature]
        )
    }

    private var msp: Msp_MSPConfig {
        get throws {
            try .withNodeOUs(Self.mspID, roots: [self.authority.pem], tlsRoots: [self.authority.pem])
        }
    }

    static func address(of machine: UInt64) -> String { "orderer\(machine).sim:7050" }

    static func machine(at address: String) -> UInt64? {
        guard address.hasPrefix("orderer"), let end = address.firstIndex(of: ".") else { return nil }
        return UInt64(address[address.index(address.startIndex, offsetBy: 7)..<end])
    }

    private func machine(_ number: UInt64) -> Machine { self.machines[Int(number) - 1] }

    /// The first block of a channel that these machines order.
    func genesis(consenters: [UInt64], settings: ChainSettings) throws -> Common_Block {
        let organization = ChannelProfile.OrganizationProfile(
            name: "Org",
            msp: try self.msp,
            policies: .ordererOrganization(Self.mspID),
            ordererEndpoints: (1...UInt64(Self.machines)).map { Self.address(of: $0) }
        )
        let profile = ChannelProfile(
            orderer: .init(
                consensus: settings.isBFT ? self.bft(consenters) : self.raft(consenters, settings),
                organizations: [organization],
                batchTimeout: .milliseconds(settings.batchTimeout / 1.milliseconds),
                batchSize: .with {
                    $0.maxMessageCount = UInt32(settings.maxMessageCount)
                    $0.absoluteMaxBytes = 1 << 20
                    $0.preferredMaxBytes = 1 << 19
                }
            ),
            // Without an organization, anybody may write.
            application: .init(
                organizations: [
                    .init(name: "Org", msp: try self.msp, policies: .applicationOrganization(Self.mspID))
                ]
            )
        )
        return try GenesisBlock.make(
            channelID: ChannelID(Self.channel),
            profile: profile,
            nonce: Data(repeating: 1, count: 24),
            timestamp: Date(timeIntervalSince1970: 1_700_000_000)
        )
    }

    private func raft(_ consenters: [UInt64], _ settings: ChainSettings) -> ChannelProfile.Consensus {
        var metadata = Etcdraft_ConfigMetadata()
        metadata.consenters = consenters.map { number in
            .with {
                $0.host = "orderer\(number).sim"
                $0.port = 7050
                $0.clientTlsCert = self.machine(number).tlsCertificate
                $0.serverTlsCert = self.machine(number).tlsCertificate
            }
        }
        metadata.options = .with {
            $0.tickInterval = "100ms"
            $0.electionTick = 10
            $0.heartbeatTick = 1
            $0.maxInflightBlocks = UInt32(settings.maxInflightBlocks)
            $0.snapshotIntervalSize = UInt32(settings.keptEntryBytes)
        }
        return .raft(metadata)
    }

    /// The number of a consenter is that of its machine.
    private func bft(_ consenters: [UInt64]) -> ChannelProfile.Consensus {
        var options = Orderer_Smartbft_Options.quick
        options.requestComplainTimeout = "2s"
        options.requestAutoRemoveTimeout = "20s"
        return .bft(
            options: options,
            consenters: consenters.map { number in
                .with {
                    $0.id = UInt32(number)
                    $0.host = "orderer\(number).sim"
                    $0.port = 7050
                    $0.mspID = Self.mspID
                    $0.identity = self.machine(number).signer.certificate.pem
                    $0.clientTlsCert = self.machine(number).tlsCertificate
                    $0.serverTlsCert = self.machine(number).tlsCertificate
                }
            }
        )
    }

    /// A client's envelope; every number gives another one.
    func envelope(
        _ number: UInt64,
        size: Int,
        channel: String = Self.channel,
        type: Common_HeaderType = .endorserTransaction
    ) throws -> Common_Envelope {
        try Common_Envelope.signed(
            type,
            channel: channel,
            data: Data(repeating: UInt8(truncatingIfNeeded: number), count: size),
            signer: self.client,
            nonce: Self.nonce(number),
            timestamp: Date(timeIntervalSince1970: 1_700_000_000)
        )
    }

    static func nonce(_ number: UInt64) -> Data {
        withUnsafeBytes(of: number.bigEndian) { Data(repeating: 7, count: 16) + $0 }
    }

    /// An update of the channel's configuration, signed by its administrator.
    func update(
        _ configuration: ChannelConfiguration,
        _ edit: ConfigurationEdit,
        number: UInt64
    ) throws -> Common_Envelope {
        var editor = ConfigurationEditor(configuration.config.channelGroup)
        try editor.apply(edit)
        let update = try Common_ConfigUpdate.computing(
            from: configuration.config.channelGroup,
            to: editor.channelGroup,
            channelID: ChannelID(Self.channel)
        )
        var file = try ConfigUpdateFile(update)
        try file.sign(by: self.admin, nonce: Self.nonce(number))
        return try file.envelope(
            by: self.admin,
            nonce: Self.nonce(number),
            timestamp: Date(timeIntervalSince1970: 1_700_000_000)
        )
    }

    func addition(of machine: UInt64, isBFT: Bool) -> ConfigurationEdit {
        let signer = self.machine(machine).signer
        return .addConsenter(
            ConfigurationEdit.Consenter(
                host: "orderer\(machine).sim",
                port: 7050,
                clientTLSCertificate: self.machine(machine).tlsCertificate,
                serverTLSCertificate: self.machine(machine).tlsCertificate,
                identity: isBFT
                    ? (number: UInt32(machine), mspID: Self.mspID, certificate: signer.certificate.pem) : nil
            )
        )
    }
}

/// What a random run varies besides its faults.
struct ChainSettings {
    /// Whether BFT consenters order the channel, and not Raft's.
    var isBFT = false
    /// How long clients send and faults happen.
    var load: Moment = 60.seconds
    var maxInflightBlocks = 5
    /// Bytes of entries that are kept for consenters that lag behind.
    var keptEntryBytes = 20_000
    /// The log of blocks is synced after so many bytes.
    var unsyncedBlockBytes = 10_000
    var maxMessageCount = 10
    var batchTimeout: Moment = 200.milliseconds
    /// How long it is from one envelope to the next.
    var pause: ClosedRange<Moment> = 40.milliseconds...200.milliseconds
    /// How long it is from one fault to the next.
    var calm: ClosedRange<Moment> = 500.milliseconds...4.seconds
}
