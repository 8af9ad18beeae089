package import Channel
internal import Cryptography
package import FabricProtos
package import Foundation
package import Logging
internal import RPC
internal import SwiftProtobuf

/// Tries a package without a network: builds it as a peer would, starts it, and asks what it can do.
///
/// The contract sees no ledger, so only what needs none can be asked.
package struct ContractTrial: Sendable {
    /// What was seen.
    package struct Report: Sendable {
        package var packageID: String
        package var type: String
        /// What the contract answered when it was asked for its metadata; any answer shows that it registered and runs.
        package var response: Protos_Response
        /// From the call on, the start included.
        package var time: Duration
        /// What it has printed last, when this process started it.
        package var printed: String
    }

    private let folder: String
    private let launching: LaunchOptions
    private let signer: SigningIdentity
    private let msp: MSP
    private let logger: Logger

    /// - Parameters:
    ///   - folder: An empty folder to build in.
    ///   - launching: How contracts are built and started.
    ///   - signer: Who calls the contract.
    ///   - msp: The caller's organization.
    ///   - logger: Where it is noted what goes wrong.
    package init(
        folder: String,
        launching: LaunchOptions,
        signer: SigningIdentity,
        msp: MSP,
        logger: Logger
    ) {
        self.folder = folder
        self.launching = launching
        self.signer = signer
        self.msp = msp
        self.logger = logger
    }

    /// The call that contracts on Fabric's contract API, and on ours, answer with what they can do.
    private static let question = "org.hyperledger.fabric:GetMetadata"

    /// Builds a package, calls `whenBuilt` with what was built, then starts the contract and asks it.
    ///
    /// - Parameters:
    ///   - bytes: The package.
    ///   - whenBuilt: Gets the folder with the package's files, and the interpreter of a contract in Python.
    /// - Returns: What was seen; nothing runs any more then.
    /// - Throws: ``ContractError`` if it can't be built, doesn't start or doesn't register; what `whenBuilt` throws.
    package func run(
        _ bytes: Data,
        whenBuilt: @escaping @Sendable (_ source: URL, _ python: String?) async throws -> Void
    ) async throws -> Report {
        var options = ChaincodeStreamRules.Options()
        options.startTimeout = self.launching.startTimeout
        let contracts = try InstalledContracts(
            dataFolder: self.folder,
            options: options,
            launching: self.launching,
            mspID: self.msp.id.description,
            pollers: PollerGroup(),
            logger: self.logger
        )
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await contracts.run() }
            defer { group.cancelAll() }
            let package = try await contracts.install(bytes)
            let place = ContractFolder(dataFolder: self.folder, packageID: package.id)
            let python = place.build.appendingPathComponent("bld/venv/bin/python").path
            try await whenBuilt(
                place.build.appendingPathComponent("source"),
                FileManager.default.isExecutableFile(atPath: python) ? python : nil
            )
            guard let contract = contracts.contract(packageID: package.id) else {
                throw ContractError("package \(package.id) is not installed")
            }
            let begin = ContinuousClock.now
            let response: Protos_Response
            do {
                response = try await contract.invoke(self.stub(package))
            } catch let failure as TransactionFailure {
                // The contract has ended the transaction with ERROR, so it runs.
                response = .failure("\(failure)")
            } catch {
                let printed = Self.printed(place)
                throw ContractError(printed.isEmpty ? "\(error)" : "\(error); it printed last: \(printed)")
            }
            return Report(
                packageID: package.id,
                type: try ChaincodePackage(bytes).type,
                response: response,
                time: .now - begin,
                printed: Self.printed(place)
            )
        }
    }

    /// How much of a contract's log is shown.
    private static let tailBytes = 4_096

    private static func printed(_ place: ContractFolder) -> String {
        let bytes = FileManager.default.contents(atPath: place.log.path) ?? Data()
        return String(decoding: bytes.suffix(self.tailBytes), as: UTF8.self)
    }

    private func stub(_ package: InstalledContracts.Package) throws -> ContractStub {
        let proposal = try Proposal(
            channel: "trial",
            chaincode: package.label,
            arguments: [Data(Self.question.utf8)],
            signer: self.signer,
            nonce: secureRandomBytes(24),
            timestamp: Date()
        )
        let access = AccessGate(localMSP: self.msp, configuration: { _ in nil }, record: { _ in })
        let simulation = Simulation(
            proposal: try UnpackedProposal(proposal.signed),
            creator: try self.msp.identity(from: self.signer.serialized),
            channel: nil,
            recording: false
        )
        return ContractStub(
            chaincodeName: package.label,
            arguments: [Data(Self.question.utf8)],
            isInit: false,
            decorations: [:],
            simulation: simulation,
            runner: ContractRunner(
                catalog: ContractCatalog(system: [:], builtIn: [:]),
                channels: NoChannels(),
                access: access,
                ownOrganization: self.msp.id
            )
        )
    }
}

/// The channels of a contract that is tried: none.
private struct NoChannels: EndorsingChannels {
    func channel(named name: String) -> (any EndorsingChannel)? { nil }

    var channels: [any EndorsingChannel] { [] }

    func joinChannel(_ block: Common_Block) async throws {
        throw ContractError("a contract that is tried has no channels")
    }
}
