package import FabricProtos
import FoundationEssentials
import SwiftProtobuf

/// How many consenters of a BFT channel have to sign a block, and the policy that says so.
///
/// - Source: Fabric v3.1, BFT ordering; quorum as in Castro and Liskov, "Practical Byzantine Fault
///   Tolerance", 1999, rounded so that any two quorums of any number of nodes meet in a correct one.
package enum BFTBlockValidation {
    /// How many of `consenterCount` consenters may fail: f = ⌊(n − 1) / 3⌋.
    package static func tolerableFailures(of consenterCount: Int) -> Int { max(0, (consenterCount - 1) / 3) }

    /// How many of `consenterCount` consenters have to agree: q = ⌈(n + f + 1) / 2⌉.
    package static func quorum(of consenterCount: Int) -> Int {
        (consenterCount + self.tolerableFailures(of: consenterCount) + 2) / 2
    }

    /// The signature policy that BlockValidation must be, for consenters in the order of the Orderers value.
    package static func signaturePolicy(
        consenters: [Common_Consenter]
    ) throws -> Common_SignaturePolicyEnvelope {
        let identities = try consenters.map { consenter in
            try Common_MSPPrincipal.with {
                $0.principalClassification = .identity
                $0.principal = try Msp_SerializedIdentity.with {
                    $0.mspid = consenter.mspID
                    $0.idBytes = consenter.identity
                }.serializedBytes()
            }
        }
        return .with {
            $0.identities = identities
            $0.rule.nOutOf.n = Int32(clamping: self.quorum(of: consenters.count))
            $0.rule.nOutOf.rules = consenters.indices.map { index in
                .with { $0.signedBy = Int32(clamping: index) }
            }
        }
    }

    /// ``signaturePolicy(consenters:)`` as a policy of a configuration.
    package static func policy(consenters: [Common_Consenter]) throws -> Common_Policy {
        try self.signaturePolicy(consenters: consenters).policy()
    }
}

extension ChannelConfiguration {
    /// Checks what an orderer demands of the consenters of a BFT channel before it orders by this configuration.
    ///
    /// Receivers of blocks do not ask this: what was ordered is in force. Channels of another consensus type
    /// pass.
    ///
    /// - Throws: ``ConfigurationError`` for no consenters, leaders in turn, a number that is 0 or used twice, or a
    ///   BlockValidation policy that is not the one that follows from the consenters.
    package func checkBFTConsenters() throws(ConfigurationError) {
        guard let orderer, orderer.consensusType == "BFT" else { return }
        let path = "\(PolicyTree.root)/\(ConfigurationKey.orderer)"
        guard !orderer.consenters.isEmpty else {
            throw ConfigurationError(path: "\(path)/Orderers", reason: "a BFT channel needs consenters")
        }
        let options = try? Orderer_Smartbft_Options(serializedBytes: orderer.consensusMetadata)
        guard options?.leaderRotation != .on else {
            throw ConfigurationError(
                path: "\(path)/ConsensusType",
                reason: "leader_rotation must be turned off (ROTATION_OFF) or unspecified"
            )
        }
        var numbers: Set<UInt32> = []
        for consenter in orderer.consenters {
            guard consenter.id != 0, numbers.insert(consenter.id).inserted else {
                throw ConfigurationError(
                    path: "\(path)/Orderers",
                    reason:
                        "the consenter at \(consenter.host):\(consenter.port) has the number \(consenter.id); "
                        + "numbers start at 1 and belong to one consenter each"
                )
            }
        }
        let policy = self.config.channelGroup.groups[ConfigurationKey.orderer]?.policies["BlockValidation"]?
            .policy
        let present = try? Common_SignaturePolicyEnvelope(serializedBytes: policy?.value ?? .init())
        let required = try? BFTBlockValidation.signaturePolicy(consenters: orderer.consenters)
        let isSignaturePolicy = policy?.type == Int32(Common_Policy.PolicyType.signature.rawValue)
        guard isSignaturePolicy, present != nil, present == required else {
            throw ConfigurationError(
                path: "\(path)/BlockValidation",
                reason:
                    "it must be the signature policy of \(BFTBlockValidation.quorum(of: orderer.consenters.count)) "
                    + "of the \(orderer.consenters.count) consenters in the order of Orderers; change both together"
            )
        }
    }

    /// Checks that the identities of consenters are some of the channel's organizations, but for those `known` already.
    ///
    /// One whose identity no organization knows would count for the quorum and could never sign.
    ///
    /// - Throws: ``ConfigurationError``.
    package func checkIdentities(known: [Common_Consenter]) throws(ConfigurationError) {
        guard let orderer, orderer.consensusType == "BFT" else { return }
        for consenter in orderer.consenters where !known.contains(consenter) {
            var serialized = Msp_SerializedIdentity()
            serialized.mspid = consenter.mspID
            serialized.idBytes = consenter.identity
            do {
                try self.directory.validate(
                    self.directory.identity(from: serialized.serializedBytes())
                )
            } catch {
                throw ConfigurationError(
                    path: "\(PolicyTree.root)/\(ConfigurationKey.orderer)/Orderers",
                    reason:
                        "the identity of consenter \(consenter.id) (\(consenter.host):\(consenter.port)) is none of the "
                        + "channel's: \(error)"
                )
            }
        }
    }
}
