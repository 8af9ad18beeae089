package import Channel
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// The one point that every read passes before it leaves the peer: it decides by the channel's access control
/// list, and has every decision written down.
///
/// - Source: Fabric v3, package `core/aclmgmt`.
package final class AccessGate: Sendable {
    /// Where decisions are written down.
    ///
    /// It is called on the caller's thread and must not block.
    package typealias Recorder = @Sendable (AccessRecord) -> Void

    private let localMSP: MSP
    private let configuration: @Sendable (ChannelID) -> ChannelConfiguration?
    private let record: Recorder

    /// - Parameters:
    ///   - localMSP: the peer's own organization, whose administrators and members may use the peer itself.
    ///   - configuration: the configuration in force of a channel that the peer has joined.
    ///   - record: where decisions are written down.
    package init(
        localMSP: MSP,
        configuration: @escaping @Sendable (ChannelID) -> ChannelConfiguration?,
        record: @escaping Recorder
    ) {
        self.localMSP = localMSP
        self.configuration = configuration
        self.record = record
    }

    /// Returns if `request` may be granted; either way it is recorded.
    ///
    /// - Throws: ``AccessDenied`` with the policy that isn't met and why.
    package func authorize(_ request: AccessRequest) throws(AccessDenied) {
        guard let refusal = self.refusal(of: request) else {
            self.record(AccessRecord(request: request, refusal: nil))
            return
        }
        self.record(AccessRecord(request: request, refusal: refusal))
        throw AccessDenied(
            resource: request.resource,
            channel: request.channel?.description,
            reason: refusal
        )
    }

    /// Why `request` is refused, `nil` if it may be granted; begins with the words that Fabric's clients know.
    private func refusal(of request: AccessRequest) -> String? {
        guard let channel = request.channel else {
            return self.refusal(of: request, by: ACLRule.local(forResource: request.resource) ?? .unmapped)
        }
        guard let configuration = self.configuration(channel) else {
            return "channel \(channel) is not known: this peer has not joined it"
        }
        let rule = configuration.policyPath(forResource: request.resource)
        guard case .channel(let path) = rule else { return self.refusal(of: request, by: rule) }
        do {
            try self.check(request, policy: path, configuration: configuration)
            return nil
        } catch {
            return "Failed evaluating policy on signed data during check policy on channel [\(channel)] "
                + "with policy [\(path)]: \(error)"
        }
    }

    private func check(
        _ request: AccessRequest,
        policy path: String,
        configuration: ChannelConfiguration
    ) throws {
        switch request.requester {
        case .signed(let signed):
            try self.checkExpiry(of: configuration.directory.identity(from: signed.identity), request)
            try configuration.policies.evaluate(path, [signed])
        case .verified(let identity):
            try self.checkExpiry(of: identity, request)
            try configuration.policies.evaluate(path, identities: [identity])
        }
    }

    /// Why a request for what belongs to the peer itself is refused.
    private func refusal(of request: AccessRequest, by rule: ACLRule) -> String? {
        let role: Common_MSPRole.MSPRoleType
        switch rule {
        case .localAdmins: role = .admin
        case .localMembers: role = .member
        case .channel, .unmapped: return "Unmapped policy for \(request.resource)"
        }
        do {
            let identity = try self.localMSP.identity(from: request.identity)
            try self.localMSP.validate(identity)
            try self.checkExpiry(of: identity, request)
            try self.localMSP.satisfies(identity, self.principal(role))
            if case .signed(let signed) = request.requester {
                try identity.verify(signed.signature, of: signed.data)
            }
            return nil
        } catch {
            let policy = role == .admin ? "Admins" : "Members"
            return
                "Failed verifying that proposal's creator satisfies local MSP principal during channelless "
                + "check policy with policy [\(policy)]: \(error)"
        }
    }

    private func checkExpiry(of identity: Identity, _ request: AccessRequest) throws {
        guard let time = request.unexpiredAt, identity.isExpired(at: time) else { return }
        throw Refusal("the requester's certificate has expired; enroll again")
    }

    /// A role in the peer's own organization.
    private func principal(_ role: Common_MSPRole.MSPRoleType) throws -> Common_MSPPrincipal {
        var content = Common_MSPRole()
        content.mspIdentifier = self.localMSP.id.description
        content.role = role
        var principal = Common_MSPPrincipal()
        principal.principalClassification = .role
        principal.principal = try content.serializedData()
        return principal
    }

    private struct Refusal: Error, CustomStringConvertible {
        var description: String
        init(_ description: String) { self.description = description }
    }
}
