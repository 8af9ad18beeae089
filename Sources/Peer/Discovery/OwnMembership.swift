package import Channel
internal import Cryptography
internal import FabricProtos
package import Foundation
internal import Ledger
package import Logging
internal import SwiftProtobuf
internal import Synchronization

/// The membership of a peer that knows nobody but itself: where gossip isn't used.
///
/// Its messages say what gossip's would, but bear no signatures: nobody takes them on their way.
package final class OwnMembership: ChannelMembers {
    private struct Told {
        var identity: Data
        var height: UInt64
        var chaincodes: [ChannelMember.Chaincode]
        var stateInfo: Gossip_Envelope
    }

    private let identity: RenewableIdentity
    private let endpoint: String
    private let channels: ChannelRegistry
    private let installed: InstalledDefinitions
    private let startedAt: UInt64
    private let logger: Logger
    private let told = Mutex<[ChannelID: Told]>([:])

    /// - Parameters:
    ///   - identity: who the peer is.
    ///   - endpoint: `host:port` at which everybody reaches it.
    ///   - channels: the channels that it has joined.
    ///   - installed: the contracts that it can run.
    ///   - startedAt: when the peer started: the number that orders its messages before those of its next life.
    ///   - logger: where it is noted why the peer does not name itself.
    package init(
        identity: RenewableIdentity,
        endpoint: String,
        channels: ChannelRegistry,
        installed: InstalledDefinitions,
        startedAt: Date,
        logger: Logger
    ) {
        self.identity = identity
        self.endpoint = endpoint
        self.channels = channels
        self.installed = installed
        self.startedAt = UInt64(clamping: Int64(startedAt.timeIntervalSince1970 * 1_000)) &* 1_000_000
        self.logger = logger
    }

    package func members(of channel: ChannelID) -> [ChannelMember] {
        guard let channel = self.channels[channel] else { return [] }
        do {
            let identity = self.identity.current
            let told = try self.told(on: channel, as: identity)
            return [
                ChannelMember(
                    mspID: identity.mspID,
                    identity: identity.serialized,
                    endpoint: self.endpoint,
                    ledgerHeight: told.height,
                    chaincodes: told.chaincodes,
                    alive: try self.alive(identity),
                    stateInfo: told.stateInfo,
                    isSelf: true
                )
            ]
        } catch {
            self.logger.error(
                "this peer can't tell what it has of a channel",
                metadata: ["channel": "\(channel.id)", "reason": "\(error)"]
            )
            return []
        }
    }

    package func localMembers() -> [LocalMember] {
        let identity = self.identity.current
        guard let alive = try? self.alive(identity) else { return [] }
        return [
            LocalMember(
                mspID: identity.mspID,
                identity: identity.serialized,
                endpoint: self.endpoint,
                alive: alive,
                isSelf: true
            )
        ]
    }

    // MARK: Messages

    private func alive(_ identity: SigningIdentity) throws -> Gossip_Envelope {
        let message = try Gossip_GossipMessage.with {
            $0.tag = .empty
            $0.aliveMsg.membership.endpoint = self.endpoint
            $0.aliveMsg.membership.pkiID = try Self.pkiID(of: identity)
            $0.aliveMsg.timestamp.incNum = self.startedAt
            $0.aliveMsg.timestamp.seqNum = 1
        }
        return try .with { $0.payload = try message.serializedData() }
    }

    private func told(on channel: PeerChannel, as identity: SigningIdentity) throws -> Told {
        let height = channel.ledger.height
        let chaincodes = try self.installed.chaincodes(on: channel)
        let last = self.told.withLock { $0[channel.id] }
        if let last, last.height == height, last.chaincodes == chaincodes,
            last.identity == identity.serialized
        {
            return last
        }
        let pkiID = try Self.pkiID(of: identity)
        let message = Gossip_GossipMessage.with {
            $0.tag = .chanOrOrg
            $0.stateInfo.pkiID = pkiID
            $0.stateInfo.channelMac = Digest.sha256(pkiID + Data(channel.id.description.utf8))
            $0.stateInfo.timestamp.incNum = self.startedAt
            $0.stateInfo.timestamp.seqNum = height
            $0.stateInfo.properties.ledgerHeight = height
            $0.stateInfo.properties.chaincodes = chaincodes.map { chaincode in
                .with {
                    $0.name = chaincode.name
                    $0.version = chaincode.sequence
                }
            }
        }
        let told = Told(
            identity: identity.serialized,
            height: height,
            chaincodes: chaincodes,
            stateInfo: try .with { $0.payload = try message.serializedData() }
        )
        self.told.withLock { $0[channel.id] = told }
        return told
    }

    /// The name of a peer in gossip.
    ///
    /// - Source: Fabric v3.1, `internal/pkg/peer/gossip/mcs.go`, `GetPKIidOfCert`.
    private static func pkiID(of identity: SigningIdentity) throws -> Data {
        let message = try Msp_SerializedIdentity(serializedBytes: identity.serialized)
        return Digest.sha256(Data(message.mspid.utf8) + message.idBytes)
    }
}
