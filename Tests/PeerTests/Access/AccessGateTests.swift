import Channel
import Foundation
import Synchronization
import Testing

@testable import Peer

@Suite struct AccessGateTests {
    private struct Fixture {
        let gate: AccessGate
        let channel: PeerChannel
        let records: Records

        init() async throws {
            let registry = VectorNetwork.registry()
            let channel = try await VectorNetwork.sideChannel(in: registry)
            let records = Records()
            let msp = try #require(channel.configuration.directory[MSPID("AlphaMSP")])
            self.gate = AccessGate(
                localMSP: msp,
                configuration: { registry[$0]?.configuration },
                record: { records.add($0) }
            )
            self.channel = channel
            self.records = records
        }

        func ask(
            _ resource: String,
            channel: ChannelID?,
            as signer: SigningIdentity,
            unexpiredAt: Date? = nil
        ) throws(AccessDenied) {
            let data = Data("question".utf8)
            let signature = (try? signer.sign(data)) ?? Data()
            try self.gate.authorize(
                AccessRequest(
                    resource: resource,
                    channel: channel,
                    requester: .signed(
                        SignedData(data: data, identity: signer.serialized, signature: signature)
                    ),
                    unexpiredAt: unexpiredAt
                )
            )
        }
    }

    final class Records: Sendable {
        private let records = Mutex<[AccessRecord]>([])
        func add(_ record: AccessRecord) { self.records.withLock { $0.append(record) } }
        var all: [AccessRecord] { self.records.withLock { $0 } }
    }

    @Test func membersOfTheChannelMayReadItAndEveryDecisionIsRecorded() async throws {
        let fixture = try await Fixture()
        try fixture.ask("event/Block", channel: fixture.channel.id, as: VectorNetwork.user("bravo"))
        #expect(throws: AccessDenied.self) {
            try fixture.ask("event/NoSuchThing", channel: fixture.channel.id, as: VectorNetwork.user("bravo"))
        }
        #expect(throws: AccessDenied.self) {
            try fixture.ask("event/Block", channel: ChannelID("elsewhere"), as: VectorNetwork.user("bravo"))
        }
        #expect(fixture.records.all.map(\.isGranted) == [true, false, false])
    }

    @Test func onlyTheOwnOrganizationsAdministratorsAdministerThePeer() async throws {
        let fixture = try await Fixture()
        try fixture.ask("cscc/JoinChain", channel: nil, as: VectorNetwork.user("alpha", "Admin"))
        try fixture.ask("cscc/GetChannels", channel: nil, as: VectorNetwork.user("alpha"))
        #expect(throws: AccessDenied.self) {
            try fixture.ask("cscc/JoinChain", channel: nil, as: VectorNetwork.user("alpha"))
        }
        #expect(throws: AccessDenied.self) {
            try fixture.ask("cscc/JoinChain", channel: nil, as: VectorNetwork.user("bravo", "Admin"))
        }
        #expect(throws: AccessDenied.self) {
            try fixture.ask("event/Block", channel: nil, as: VectorNetwork.user("alpha"))
        }
    }

    @Test func expiredCertificatesPassOnlyWhereNobodyAsks() async throws {
        let fixture = try await Fixture()
        let farFuture = Date(timeIntervalSinceNow: 100 * 365 * 86_400)
        try fixture.ask("event/Block", channel: fixture.channel.id, as: VectorNetwork.user("alpha"))
        #expect(throws: AccessDenied.self) {
            try fixture.ask(
                "event/Block",
                channel: fixture.channel.id,
                as: VectorNetwork.user("alpha"),
                unexpiredAt: farFuture
            )
        }
    }

    @Test func aVerifiedIdentityNeedsNoSecondSignature() async throws {
        let fixture = try await Fixture()
        let identity = try fixture.channel.configuration.directory.identity(
            from: VectorNetwork.user("carol").serialized
        )
        try fixture.gate.authorize(
            AccessRequest(
                resource: "peer/Propose",
                channel: fixture.channel.id,
                requester: .verified(identity)
            )
        )
    }
}
