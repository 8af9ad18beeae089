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

    /// Who calls a package: a chaincode of a channel.
    package struct Use: Hashable, Sendable {
        package var channel: String
        package var name: String

        package init(channel: String, name: String) {
            self.channel = channel
            self.name = name
        }
    }

    private struct State {
        var contracts: [String: (label: String, contract: RemoteContract)] = [:]
        /// Packages that are being built and saved, or removed.
        var changing: Set<String> = []
        /// The package that each chaincode was called with last.
        var uses: [Use: String] = [:]

        func isUsed(_ packageID: String) -> Bool { self.uses.values.contains(packageID) }
    }

    /// A contract, and what has to be built before it is installed.
    private struct Arrangement {
        var contract: RemoteContract
        var launch: LaunchedEndpoint?
    }

    private let store: PackageStore
    private let dataFolder: String
    private let options: ChaincodeStreamRules.Options
    private let launching: LaunchOptions
    private let mspID: String
    private let builds: ContractBuilds
    private let registrar: ChaincodeRegistrar
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
    ///   - launching: how this peer builds and starts contracts.
    ///   - mspID: the peer's own organization, which contracts are told.
    ///   - pollers: the threads that serve connections.
    ///   - metrics: where connections and requests of contracts are counted.
    ///   - logger: where it is noted which packages can't be used, and which contracts can't be reached.
    /// - Throws: an error that names the folder that can't be used, or the address where contracts should register.
    package init(
        dataFolder: String,
        options: ChaincodeStreamRules.Options = .init(),
        launching: LaunchOptions = .init(),
        mspID: String = "",
        pollers: PollerGroup,
        metrics: Metrics = Metrics(),
        logger: Logger
    ) throws {
        self.store = try PackageStore(dataFolder: dataFolder)
        self.dataFolder = dataFolder
        self.options = options
        self.launching = launching
        self.mspID = mspID
        self.builds = ContractBuilds(launching, logger: logger)
        self.registrar = try ChaincodeRegistrar(launching, pollers: pollers, logger: logger)
        self.pollers = pollers
        self.metrics = metrics
        self.logger = logger
        (self.work, self.addWork) = AsyncStream.makeStream()
        let leftOver = ProcessMark(dataFolder: dataFolder).killProcesses()
        if leftOver > 0 {
            logger.notice("ended processes that contracts had left over", metadata: ["count": "\(leftOver)"])
        }
        let complain: (String, String) -> Void = { file, reason in
            logger.error(
                "left out an installed package",
                metadata: ["file": "\(file)", "reason": "\(reason)"]
            )
        }
        for package in try self.store.packages(complain: complain) {
            do {
                try self.add(package, self.arrange(package).contract)
            } catch {
                complain(package.id, "\(error)")
            }
        }
    }

    /// Serves the connections to contracts until the task is cancelled or shutdown begins.
    package func run() async {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask {
                    do {
                        try await self.registrar.run()
                    } catch {
                        // At a shutdown it is ended before its time.
                        guard !Task.isCancelled, !Task.isShuttingDownGracefully else { return }
                        self.logger.error(
                            "contracts can't register any more",
                            metadata: ["address": "\(self.registrar.address)", "reason": "\(error)"]
                        )
                    }
                }
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

    /// The contract of a package, for a call of `use`; `nil` if it isn't installed.
    ///
    /// A package that no chaincode is called with any more, since others have taken its place, is given up after the time
    /// that a transaction may take.
    func contract(packageID: String, for use: Use) -> (any Contract)? {
        let (contract, replaced) = self.state.withLock { state -> (RemoteContract?, String?) in
            guard let contract = state.contracts[packageID]?.contract else { return (nil, nil) }
            guard state.uses[use] != packageID else { return (contract, nil) }
            let replaced = state.uses.updateValue(packageID, forKey: use)
            return (contract, replaced.flatMap { state.isUsed($0) ? nil : $0 })
        }
        if let replaced {
            self.addWork.yield {
                try? await Task.sleep(for: self.options.executeTimeout + .seconds(1))
                self.giveUp(replaced)
            }
        }
        return contract
    }

    private func giveUp(_ packageID: String) {
        let contract = self.state.withLock { state in
            state.isUsed(packageID) ? nil : state.contracts[packageID]?.contract
        }
        contract?.giveUp()
    }

    /// The file of a package; `nil` if it isn't installed.
    package func bytes(packageID: String) throws -> Data? {
        guard self.contract(packageID: packageID) != nil else { return nil }
        return try self.store.bytes(of: packageID)
    }

    /// Builds a package and installs it.
    ///
    /// - Throws: ``ContractError`` if it is installed already, damaged, can't be built, or of a type that this peer can't run.
    package func install(_ bytes: Data) async throws -> Package {
        let package = try ChaincodePackage(bytes)
        try self.state.withLock { state throws(ContractError) in
            guard state.contracts[package.id] == nil else {
                throw ContractError("chaincode already successfully installed (package ID '\(package.id)')")
            }
            guard state.changing.insert(package.id).inserted else {
                throw ContractError(
                    "package \(package.id) is being installed or removed; wait until that is done"
                )
            }
        }
        defer { self.state.withLock { _ = $0.changing.remove(package.id) } }
        let arrangement = try self.arrange(package)
        _ = try await arrangement.launch?.build()
        try self.store.save(bytes, package)
        self.add(package, arrangement.contract)
        self.logger.notice("installed a contract", metadata: ["package": "\(package.id)"])
        return Package(id: package.id, label: package.label)
    }

    /// Ends what runs for a package and removes it, with all that was built of it and what it printed.
    ///
    /// Calls that it executes fail; later ones find that it is not installed.
    ///
    /// - Returns: what was removed; `nil` if no such package is installed.
    /// - Throws: ``ContractError`` if its files can't be removed; then it stays installed.
    package func remove(_ packageID: String) async throws -> Package? {
        let entry = try self.state.withLock { state throws(ContractError) in
            guard let entry = state.contracts[packageID] else { return nil as (String, RemoteContract)? }
            guard state.changing.insert(packageID).inserted else {
                throw ContractError(
                    "package \(packageID) is being installed or removed; wait until that is done"
                )
            }
            state.contracts[packageID] = nil
            state.uses = state.uses.filter { $0.value != packageID }
            return entry
        }
        guard let (label, contract) = entry else { return nil }
        defer { self.state.withLock { _ = $0.changing.remove(packageID) } }
        await contract.remove()
        let package = try ChaincodePackage(self.store.bytes(of: packageID))
        do {
            // The package last: if the peer ends in between, the contract is built anew, or removed again.
            let folder = ContractFolder(dataFolder: self.dataFolder, packageID: packageID)
            LocalSocket(for: folder.url).remove()
            try ContractFolder.remove(folder.url)
            try self.store.remove(packageID)
        } catch {
            self.add(package, try self.arrange(package).contract)
            throw error
        }
        self.logger.notice("removed a contract", metadata: ["package": "\(packageID)"])
        return Package(id: packageID, label: label)
    }

    private func add(_ package: ChaincodePackage, _ contract: RemoteContract) {
        self.state.withLock { $0.contracts[package.id] = (package.label, contract) }
    }

    private func arrange(_ package: ChaincodePackage) throws(ContractError) -> Arrangement {
        // What runs elsewhere and no external builder could want needs no folder.
        if self.launching.builders.isEmpty, ServicePackageBuilder.types.contains(package.type) {
            let service = ServiceEndpoint(
                packageID: package.id,
                service: try ServiceAddress(json: try package.codeFile("connection.json")),
                startTimeout: self.options.startTimeout,
                pollers: self.pollers
            )
            return Arrangement(contract: self.contract(package, service), launch: nil)
        }
        let folder = ContractFolder(dataFolder: self.dataFolder, packageID: package.id)
        try folder.prepare()
        // An earlier peer that was killed may have left one over.
        LocalSocket(for: folder.url).remove()
        let log = ContractLog(file: folder.log)
        let state = ContractState(packageID: package.id, type: package.type, log: folder.log.path)
        let launch = LaunchedEndpoint(
            package: package,
            folder: folder,
            builds: self.builds,
            registrar: self.registrar,
            mspID: self.mspID,
            startTimeout: self.launching.startTimeout,
            pollers: self.pollers,
            log: log,
            record: ContractRecord(state, folder)
        )
        launch.record.change { _ in }
        return Arrangement(contract: self.contract(package, launch), launch: launch)
    }

    private func contract(_ package: ChaincodePackage, _ endpoint: any ContractEndpoint) -> RemoteContract {
        RemoteContract(
            packageID: package.id,
            endpoint: endpoint,
            options: self.options,
            metrics: self.metrics,
            logger: self.logger
        ) { [addWork] job in
            if case .terminated = addWork.yield(job) { false } else { true }
        }
    }
}
