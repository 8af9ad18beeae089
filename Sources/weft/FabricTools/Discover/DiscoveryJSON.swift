import FabricProtos
import Foundation
import SwiftProtobuf

// What `discover` prints, member by member as Fabric v3.1's does.

extension Discovery_PeerMembershipResult {
    /// The peers, by organization.
    func goJSON(withChannelState: Bool) throws -> JSONValue {
        let peers = self.peersByOrg.sorted { $0.key < $1.key }.flatMap(\.value.peers)
        guard !peers.isEmpty else { return .null }
        return .array(
            try peers.map { withChannelState ? try $0.channelJSON(chaincodes: true) : try $0.localJSON() }
        )
    }
}

extension Discovery_Peer {
    private func signer() throws -> (mspID: String, certificate: String) {
        do {
            let identity = try Msp_SerializedIdentity(serializedBytes: self.identity)
            return (identity.mspid, String(decoding: identity.idBytes, as: UTF8.self))
        } catch {
            throw Failure("a peer's identity can't be read: \(error)")
        }
    }

    private var endpoint: String {
        let message = try? Gossip_GossipMessage(serializedBytes: self.membershipInfo.payload)
        return message?.aliveMsg.membership.endpoint ?? ""
    }

    private var properties: Gossip_Properties {
        let message = try? Gossip_GossipMessage(serializedBytes: self.stateInfo.payload)
        return message?.stateInfo.properties ?? Gossip_Properties()
    }

    func channelJSON(chaincodes: Bool) throws -> JSONValue {
        let signer = try self.signer()
        let properties = self.properties
        var members: [(String, JSONValue)] = [
            ("MSPID", .string(signer.mspID)),
            ("LedgerHeight", .unsigned(properties.ledgerHeight)),
            ("Endpoint", .string(self.endpoint)),
            ("Identity", .string(signer.certificate)),
        ]
        if chaincodes {
            let names = properties.chaincodes.map { JSONValue.string($0.name) }
            members.append(("Chaincodes", names.isEmpty ? .null : .array(names)))
        }
        return .members(members)
    }

    func localJSON() throws -> JSONValue {
        let signer = try self.signer()
        return .members([
            ("MSPID", .string(signer.mspID)), ("Endpoint", .string(self.endpoint)),
            ("Identity", .string(signer.certificate)),
        ])
    }
}

extension Discovery_EndorsementDescriptor {
    func goJSON() throws -> JSONValue {
        let groups = try self.endorsersByGroups.sorted { $0.key < $1.key }.map { group in
            (group.key, JSONValue.array(try group.value.peers.map { try $0.channelJSON(chaincodes: false) }))
        }
        let layouts = self.layouts.map { layout in
            GoJSON().map(
                "quantities_by_group",
                layout.quantitiesByGroup.mapValues { .unsigned(UInt64($0)) }
            ).value
        }
        return .members([
            ("Chaincode", .string(self.chaincode)), ("EndorsersByGroups", .members(groups)),
            ("Layouts", layouts.isEmpty ? .null : .array(layouts)),
        ])
    }
}

extension Discovery_ConfigResult {
    var goJSON: JSONValue {
        GoJSON().map("msps", self.msps.mapValues(\.goJSON))
            .map(
                "orderers",
                self.orderers.mapValues { endpoints in
                    GoJSON().list(
                        "endpoint",
                        endpoints.endpoint.map {
                            GoJSON().text("host", $0.host).unsigned("port", UInt64($0.port)).value
                        }
                    ).value
                }
            ).value
    }
}

extension Msp_FabricMSPConfig {
    fileprivate var goJSON: JSONValue {
        func list(_ values: [Data]) -> [JSONValue] { values.map { .string($0.base64EncodedString()) } }
        return GoJSON().text("name", self.name)
            .list("root_certs", list(self.rootCerts))
            .list("intermediate_certs", list(self.intermediateCerts))
            .list("admins", list(self.admins))
            .list("revocation_list", list(self.revocationList))
            .list(
                "organizational_unit_identifiers",
                self.organizationalUnitIdentifiers.map(\.goJSON)
            )
            .adding(
                "crypto_config",
                self.hasCryptoConfig
                    ? GoJSON().text("signature_hash_family", self.cryptoConfig.signatureHashFamily)
                        .text(
                            "identity_identifier_hash_function",
                            self.cryptoConfig.identityIdentifierHashFunction
                        ).value : nil
            )
            .list("tls_root_certs", list(self.tlsRootCerts))
            .list("tls_intermediate_certs", list(self.tlsIntermediateCerts))
            .adding("fabric_node_ous", self.hasFabricNodeOus ? self.fabricNodeOus.goJSON : nil)
            .value
    }
}

extension Msp_FabricOUIdentifier {
    fileprivate var goJSON: JSONValue {
        GoJSON().bytes("certificate", self.certificate)
            .text("organizational_unit_identifier", self.organizationalUnitIdentifier).value
    }
}

extension Msp_FabricNodeOUs {
    fileprivate var goJSON: JSONValue {
        GoJSON().flag("enable", self.enable)
            .adding("client_ou_identifier", self.hasClientOuIdentifier ? self.clientOuIdentifier.goJSON : nil)
            .adding("peer_ou_identifier", self.hasPeerOuIdentifier ? self.peerOuIdentifier.goJSON : nil)
            .adding("admin_ou_identifier", self.hasAdminOuIdentifier ? self.adminOuIdentifier.goJSON : nil)
            .adding(
                "orderer_ou_identifier",
                self.hasOrdererOuIdentifier ? self.ordererOuIdentifier.goJSON : nil
            ).value
    }
}
