package import Foundation
package import Logging
package import Operations
package import RPC
internal import ServiceLifecycle
internal import Synchronization

/// The contracts whose packages are installed on this peer.
package final class InstalledContracts: Service, Sendable {
    /// A package that is installed.
    package struct Package: Equatable, Sendable {
        package var id: String
        package var label: String
    }

    private struct State {
        var contracts: [String: (label: String, contract: ServiceContract)] = [:]
    }

    private let store: PackageStore
    private let options: ChaincodeStreamRules.Options
    private let pollers: PollerGroup
    private let metrics: Metrics
    private let logger: Logger
    private let state = Mutex(State())
    private let work: AsyncStream<@Sendable () async -> Void>
    private let addWork: AsyncStream<@Sendable () async -> Void>.Continuation

    /// Reads the packages that were installed before.
    ///
    /// - Parameters:
    ///   - dataFolder: the peer's data folder.
    ///   - options: bounds and timeouts of contracts.
    ///   - pollers: the threads that serve connections.
    ///   - metrics: where connections and requests of contracts are counted.
    ///   - logger: where it is noted which packages can't be used, and which contracts can't be reached.
    /// - Throws: ``LedgerFolderError`` if the folder can't be used.
    package init(
        dataFolder: String,
        options: ChaincodeStreamRules.Options = .init(),
        pollers: PollerGroup,
        metrics: Metrics = Metrics(),
        logger: Logger
    ) throws {
        self.store = try PackageStore(dataFolder: dataFolder)
        self.options = options
        self.pollers = pollers
        self.metrics = metrics
        self.logger = logger
        (self.work, self.addWork) = AsyncStream.makeStream()
        let complain: (String, String) -> Void = { file, reason in
            logger.error(
                "left out an installed package",
                metadata: ["file": "\(file)", "reason": "\(reason)"]
            )
        }
        for package in try self.store.packages(complain: complain) {
            do {
                try self.add(package, self.contract(of: package))
            } catch {
                complain(package.id, "\(error)")
            }
        }
    }

    /// Serves the connections to contracts until the task is cancelled or shutdown begins.
    package func run() async {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                for await job in self.work {
                    group.addTask { await job() }
                }
                group.cancelAll()
            }
        }
        self.addWork.finish()
        for entry in self.state.withLock({ Array($0.contracts.values) }) { entry.contract.close() }
    }

    package var isEmpty: Bool { self.state.withLock { $0.contracts.isEmpty } }

    /// Every package, by identifier.
    package var packages: [Package] {
        self.state.withLock { $0.contracts.map { Package(id: $0.key, label: $0.value.label) } }
            .sorted { $0.id < $1.id }
    }

    /// The contract of a package; `nil` if it isn't installed.
    package func contract(packageID: String) -> (any Contract)? {
        self.state.withLock { $0.contracts[packageID]?.contract }
    }

    /// The file of a package; `nil` if it isn't installed.
    package func bytes(packageID: String) throws -> Data? {
        guard self.contract(packageID: packageID) != nil else { return nil }
        return try self.store.bytes(of: packageID)
    }

    /// Installs a package.
    ///
    /// - Throws: ``ContractError`` if it is installed already, damaged, or of a type that this peer can't run.
    package func install(_ bytes: Data) throws -> Package {
        let package = try ChaincodePackage(bytes)
        let contract = try self.contract(of: package)
        guard self.contract(packageID: package.id) == nil else {
            throw ContractError("chaincode already successfully installed (package ID '\(package.id)')")
        }
        try self.store.save(bytes, package)
        self.add(package, contract)
        self.logger.notice("installed a contract", metadata: ["package": "\(package.id)"])
        return Package(id: package.id, label: package.label)
    }

    private func add(_ package: ChaincodePackage, _ contract: ServiceContract) {
        self.state.withLock { $0.contracts[package.id] = (package.label, contract) }
    }

    /// The types of packages whose contract runs as a service.
    private static let serviceTypes: Set<String> = ["ccaas", "external"]

    private func contract(of package: ChaincodePackage) throws(ContractError) -> ServiceContract {
        guard Self.serviceTypes.contains(package.type) else {
            throw ContractError(
                """
                package \(package.id) is of type "\(package.type.prefix(100))", which this peer can't run: it has \
                no Docker and no builder for it. Run the contract as a service and install a package of type ccaas, \
                whose code.tar.gz holds connection.json with the service's address
                """
            )
        }
        return ServiceContract(
            packageID: package.id,
            service: try ServiceAddress(json: try package.codeFile("connection.json")),
            options: self.options,
            pollers: self.pollers,
            metrics: self.metrics,
            logger: self.logger
        ) { [addWork] job in
            if case .terminated = addWork.yield(job) { false } else { true }
        }
    }
}
