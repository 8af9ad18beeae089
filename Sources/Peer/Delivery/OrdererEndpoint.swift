package import Channel
internal import Foundation

/// An orderer that a channel's blocks can be had from.
package struct OrdererEndpoint: Hashable, Sendable, CustomStringConvertible {
    /// `host:port`.
    package var address: String
    /// The certificates, PEM, that the orderer's TLS certificate must lead to.
    package var tlsRootsPEM: String
    /// The organization that runs the orderer, where the configuration says so.
    package var organization: MSPID?

    package init(address: String, tlsRootsPEM: String, organization: MSPID? = nil) {
        self.address = address
        self.tlsRootsPEM = tlsRootsPEM
        self.organization = organization
    }

    package var description: String { self.address }
}

/// Another way to an orderer than the channel's configuration says, for peers behind proxies or name
/// translation.
///
/// - Source: Fabric v3, `core.yaml`, `peer.deliveryclient.addressOverrides`.
package struct OrdererOverride: Equatable, Sendable {
    /// The address in the channel's configuration, `host:port`.
    package var from: String
    /// The address to connect to instead.
    package var to: String
    /// The certificates, PEM, to trust instead; `nil` for those of the channel's configuration.
    package var tlsRootsPEM: String?

    package init(from: String, to: String, tlsRootsPEM: String? = nil) {
        self.from = from
        self.to = to
        self.tlsRootsPEM = tlsRootsPEM
    }
}

extension ChannelConfiguration {
    /// The orderers that the channel names: those of its organizations, each to be trusted through its own
    /// organization's TLS roots; where there are none, the addresses of old channels, trusted through any.
    func ordererEndpoints(overrides: [OrdererOverride]) -> [OrdererEndpoint] {
        var seen = Set<String>()
        var endpoints: [OrdererEndpoint] = []
        for organization in self.orderer?.organizations ?? [] {
            let pem = self.tlsRootsPEM(of: organization.mspID)
            for address in organization.endpoints where seen.insert(address).inserted {
                endpoints.append(
                    OrdererEndpoint(address: address, tlsRootsPEM: pem, organization: organization.mspID)
                )
            }
        }
        if endpoints.isEmpty {
            let pem = (self.orderer?.organizations ?? []).map { self.tlsRootsPEM(of: $0.mspID) }.joined(
                separator: "\n"
            )
            endpoints = self.ordererAddresses.map { OrdererEndpoint(address: $0, tlsRootsPEM: pem) }
        }
        return endpoints.map { endpoint in
            guard let override = overrides.first(where: { $0.from == endpoint.address }) else {
                return endpoint
            }
            return OrdererEndpoint(
                address: override.to,
                tlsRootsPEM: override.tlsRootsPEM ?? endpoint.tlsRootsPEM,
                organization: endpoint.organization
            )
        }
    }

    /// The certificates, PEM, that TLS certificates of an organization lead to.
    func tlsRootsPEM(of organization: MSPID) -> String {
        let msp = self.directory[organization]
        let certificates = (msp?.tlsRootCertificates ?? []) + (msp?.tlsIntermediateCertificates ?? [])
        return certificates.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")
    }
}
