import Channel
import FabricProtos
import Foundation
import Ledger
import SwiftProtobuf
import Testing

@testable import Peer

/// Approving, committing and asking for definitions, on a channel whose every change is committed.
///
/// What the
/// transactions read and write is compared with a real peer's in `EndorsementConformanceTests`.
@Suite struct LifecycleContractTests {
    private struct Channels: EndorsingChannels {
        func channel(named name: String) -> (any EndorsingChannel)? { nil }
        var channels: [any EndorsingChannel] { [] }
        func joinChannel(_ block: Common_Block) async throws {}
    }

    private func bench() throws -> ContractBench {
        let own = try MSPID("AlphaMSP")
        return try ContractBench(ChaincodeName.lifecycle) { access in
            LifecycleContract(access: access, ownOrganization: own, builtIn: ["kv"], channels: Channels())
        }
    }

    /// Calls a function as the organization's administrator, and commits what it writes if it succeeds.
    private func call(
        _ bench: ContractBench,
        _ function: String,
        _ arguments: some Message
    ) async throws -> ContractBench.Outcome {
        let outcome = try await bench.simulate(
            [Data(function.utf8), arguments.serializedData()],
            as: "AlphaMSP admin"
        )
        if outcome.response.status < 400, !outcome.results.publicSet.namespaces.allSatisfy({ !$0.writes }) {
            #expect(try bench.commit([outcome]) == [.valid])
        }
        return outcome
    }

    private func approval(
        _ sequence: Int64 = 1,
        version: String = "1",
        package: String = ""
    ) -> Lifecycle_ApproveChaincodeDefinitionForMyOrgArgs {
        .with {
            $0.name = "kv"
            $0.sequence = sequence
            $0.version = version
            if !package.isEmpty { $0.source.localPackage.packageID = package }
        }
    }

    private func definition(
        _ sequence: Int64 = 1,
        version: String = "1"
    ) -> Lifecycle_CommitChaincodeDefinitionArgs {
        .with {
            $0.name = "kv"
            $0.sequence = sequence
            $0.version = version
        }
    }

    @Test func aDefinitionIsApprovedCommittedAndFound() async throws {
        let bench = try self.bench()
        let early = try await self.call(bench, "CommitChaincodeDefinition", self.definition())
        #expect(early.response.message.hasSuffix("chaincode definition not agreed to by this org (AlphaMSP)"))
        let approved = try await self.call(bench, "ApproveChaincodeDefinitionForMyOrg", self.approval())
        #expect(approved.response.status == 200, "\(approved.response.message)")

        let question = Lifecycle_CheckCommitReadinessArgs.with {
            $0.name = "kv"
            $0.sequence = 1
            $0.version = "1"
        }
        let readiness = try await self.call(bench, "CheckCommitReadiness", question)
        let answer = try Lifecycle_CheckCommitReadinessResult(serializedBytes: readiness.response.payload)
        #expect(answer.approvals["AlphaMSP"] == true)
        #expect(answer.approvals["BravoMSP"] == false)
        #expect(answer.mismatches["BravoMSP"]?.items == ["ChaincodeParameters"])

        let committed = try await self.call(bench, "CommitChaincodeDefinition", self.definition())
        #expect(committed.response.status == 200, "\(committed.response.message)")
        let found = try #require(try LifecycleState.definition(of: "kv", in: bench.ledger.snapshot()))
        #expect(found.sequence == 1)
        #expect(found.version == "1")
        #expect(found.validationParameter == ChaincodeParameters.standardValidationParameter)
        let snapshot = bench.ledger.snapshot()
        #expect(try found.isApproved(of: "kv", by: MSPID("AlphaMSP"), in: snapshot))
        #expect(try !found.isApproved(of: "kv", by: MSPID("BravoMSP"), in: snapshot))

        let query = Lifecycle_QueryChaincodeDefinitionArgs.with { $0.name = "kv" }
        let queried = try await self.call(bench, "QueryChaincodeDefinition", query)
        let result = try Lifecycle_QueryChaincodeDefinitionResult(serializedBytes: queried.response.payload)
        #expect(result.approvals == ["AlphaMSP": true, "BravoMSP": false, "CarolMSP": false])
        let all = try await self.call(
            bench,
            "QueryChaincodeDefinitions",
            Lifecycle_QueryChaincodeDefinitionsArgs()
        )
        let list = try Lifecycle_QueryChaincodeDefinitionsResult(serializedBytes: all.response.payload)
        #expect(list.chaincodeDefinitions.map(\.name) == ["kv"])
    }

    @Test func sequencesFollowOneAnotherAndApprovalsMustChangeSomething() async throws {
        let bench = try self.bench()
        let approve = "ApproveChaincodeDefinitionForMyOrg"
        let none = try await self.call(bench, approve, self.approval(0))
        #expect(none.response.message.contains("first definable sequence number is 1"))
        let far = try await self.call(bench, approve, self.approval(2))
        #expect(far.response.message.contains("larger than the next available sequence number 1"))
        #expect(try await self.call(bench, approve, self.approval()).response.status == 200)
        let again = try await self.call(bench, approve, self.approval())
        #expect(again.response.message.contains("unchanged content"))
        #expect(
            try await self.call(bench, approve, self.approval(package: "kv:builtin")).response.status == 200
        )

        #expect(
            try await self.call(bench, "CommitChaincodeDefinition", self.definition()).response.status == 200
        )
        let other = try await self.call(bench, approve, self.approval(version: "2"))
        #expect(other.response.message.contains("expected Version '1' does not match passed Version '2'"))
        let back = try await self.call(bench, "CommitChaincodeDefinition", self.definition(1))
        #expect(back.response.message.contains("new definition must be sequence 2"))
        #expect(try await self.call(bench, approve, self.approval(2, version: "2")).response.status == 200)
        let next = try await self.call(bench, "CommitChaincodeDefinition", self.definition(2, version: "2"))
        #expect(next.response.status == 200, "\(next.response.message)")
        let past = try await self.call(bench, approve, self.approval(1))
        #expect(past.response.message.contains("currently defined sequence 2 is larger"))
    }

    @Test func theOwnOrganizationsApprovalsAreFound() async throws {
        let bench = try self.bench()
        let query = Lifecycle_QueryApprovedChaincodeDefinitionArgs.with { $0.name = "kv" }
        let missing = try await self.call(bench, "QueryApprovedChaincodeDefinition", query)
        #expect(
            missing.response.message.contains("could not fetch approved chaincode definition (name: 'kv'")
        )

        let approval = self.approval(package: "kv:builtin")
        _ = try await self.call(bench, "ApproveChaincodeDefinitionForMyOrg", approval)
        let found = try await self.call(bench, "QueryApprovedChaincodeDefinition", query)
        let result = try Lifecycle_QueryApprovedChaincodeDefinitionResult(
            serializedBytes: found.response.payload
        )
        #expect(result.sequence == 1)
        #expect(result.source.localPackage.packageID == "kv:builtin")
        let all = try await self.call(
            bench,
            "QueryApprovedChaincodeDefinitions",
            Lifecycle_QueryApprovedChaincodeDefinitionsArgs()
        )
        let list = try Lifecycle_QueryApprovedChaincodeDefinitionsResult(
            serializedBytes: all.response.payload
        )
        #expect(list.approvedChaincodeDefinitions.map(\.name) == ["kv"])
        #expect(list.approvedChaincodeDefinitions.first?.sequence == 1)
    }

    @Test(arguments: [
        ("_bad", "1", "invalid chaincode name"), ("a--b", "1", "invalid chaincode name"),
        ("", "1", "invalid chaincode name"), ("qscc", "1", "is the name of a system chaincode"),
        ("kv", "1 2", "invalid chaincode version"), ("kv", "", "invalid chaincode version"),
    ])
    func namesAndVersionsAreChecked(name: String, version: String, reason: String) async throws {
        var arguments = self.approval(version: version)
        arguments.name = name
        let refused = try await self.call(self.bench(), "ApproveChaincodeDefinitionForMyOrg", arguments)
        #expect(refused.response.status == 500)
        #expect(refused.response.message.contains(reason), "\(refused.response.message)")
    }

    @Test(arguments: [
        ("OR('AlphaMSP.member')", "private", 0, 0, ""),
        ("OR('AlphaMSP.member')", "_private", 0, 0, "invalid collection name"),
        ("OR('AlphaMSP.member')", "private", 2, 1, "cannot be less than the required peer count"),
        ("OR('AlphaMSP.member')", "private", -1, 0, "cannot be less than zero"),
        ("AND('AlphaMSP.member', 'BravoMSP.member')", "private", 0, 0, "not an OR concatenation"),
        ("OR('NoMSP.member')", "private", 0, 0, "is not part of the channel"),
    ])
    func collectionsAreChecked(
        policy: String,
        name: String,
        required: Int,
        maximum: Int,
        reason: String
    ) async throws {
        var arguments = self.approval()
        let members = try PolicyExpression.parse(policy)
        arguments.collections.config = [
            .with {
                $0.staticCollectionConfig.name = name
                $0.staticCollectionConfig.requiredPeerCount = Int32(required)
                $0.staticCollectionConfig.maximumPeerCount = Int32(maximum)
                $0.staticCollectionConfig.memberOrgsPolicy.signaturePolicy = members
            }
        ]
        let outcome = try await self.call(self.bench(), "ApproveChaincodeDefinitionForMyOrg", arguments)
        #expect(outcome.response.status == (reason.isEmpty ? 200 : 500))
        #expect(reason.isEmpty || outcome.response.message.contains(reason), "\(outcome.response.message)")
    }

    @Test func packagesAreAnsweredTruthfully() async throws {
        let bench = try self.bench()
        let all = try await self.call(
            bench,
            "QueryInstalledChaincodes",
            Lifecycle_QueryInstalledChaincodesArgs()
        )
        let list = try Lifecycle_QueryInstalledChaincodesResult(serializedBytes: all.response.payload)
        #expect(list.installedChaincodes.map(\.packageID) == ["kv:builtin"])
        let one = Lifecycle_QueryInstalledChaincodeArgs.with { $0.packageID = "other:00" }
        let missing = try await self.call(bench, "QueryInstalledChaincode", one)
        #expect(missing.response.status == 404)
        let install = Lifecycle_InstallChaincodeArgs.with { $0.chaincodeInstallPackage = Data([1]) }
        let refused = try await self.call(bench, "InstallChaincode", install)
        #expect(refused.response.status == 500)
        #expect(refused.response.message.contains("takes no packages"), "\(refused.response.message)")
    }

    @Test func aClientMayNotApprove() async throws {
        let outcome = try await self.bench().simulate(
            [
                Data("ApproveChaincodeDefinitionForMyOrg".utf8), self.approval().serializedData(),
            ],
            as: "AlphaMSP"
        )
        #expect(outcome.response.status == 500)
        #expect(outcome.response.message.hasPrefix("Failed to authorize invocation due to failed ACL check"))
    }
}
