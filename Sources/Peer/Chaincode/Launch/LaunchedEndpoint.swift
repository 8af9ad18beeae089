internal import Foundation
internal import Glibc
internal import Logging
internal import RPC
internal import Synchronization

/// A contract that this peer builds, starts, and starts again.
struct LaunchedEndpoint: ContractEndpoint {
    let package: ChaincodePackage
    let folder: ContractFolder
    let builds: ContractBuilds
    let registrar: ChaincodeRegistrar
    let mspID: String
    let startTimeout: Duration
    let pollers: PollerGroup
    let log: ContractLog
    let record: ContractRecord

    var failure: String { "it did not start" }
    var isLaunched: Bool { true }

    func serve(_ stream: ChaincodeStream) async -> String {
        let plan: LaunchPlan
        do {
            switch try await self.build() {
            case .service(let address):
                return await self.service(address).serve(stream)
            case .program(let program): plan = program
            }
        } catch {
            return "\(error)"
        }
        do {
            self.record.change { $0.phase = .starting }
            let reason =
                switch plan.connection {
                case .server: try await self.serveServer(plan, stream)
                case .socket: try await self.serveSocket(plan, stream)
                case .client, .external: try await self.serveClient(plan, stream)
                }
            return reason
        } catch {
            self.record.change {
                $0.phase = .failed
                $0.lastError = "\(error)"
            }
            return "\(error)"
        }
    }

    /// Builds the package unless it was built before.
    func build() async throws(ContractError) -> BuiltContract {
        self.record.change { $0.phase = .building }
        do {
            let result = try await self.builds.result(of: self.package, self.folder)
            self.record.change { $0.phase = .built }
            return result
        } catch {
            self.record.change {
                $0.phase = .failed
                $0.lastError = "\(error)"
            }
            throw error
        }
    }

    private func service(_ address: ServiceAddress) -> ServiceEndpoint {
        ServiceEndpoint(
            packageID: self.package.id,
            service: address,
            startTimeout: self.startTimeout,
            pollers: self.pollers
        )
    }

    // MARK: - Both ways of connecting

    /// Starts the contract and connects to it.
    private func serveServer(_ plan: LaunchPlan, _ stream: ChaincodeStream) async throws(ContractError)
        -> String
    {
        // An authority for this launch alone: no other contract can pass for the peer, or for this contract.
        let authority = try LaunchAuthority()
        let address = "127.0.0.1:\(try LoopbackPort.free())"
        let files = RunFiles(folder: self.folder.run, user: plan.limits?.user)
        try files.write(
            identity: try authority.issue(self.package.label).identity,
            rootsPEM: authority.certificatePEM
        )
        var program = plan
        program.environment = self.environment(plan, files).merging(files.serverVariables) { $1 }
        program.environment["CHAINCODE_SERVER_ADDRESS"] = address
        program.environment["CHAINCODE_ID"] = self.package.id
        var tls = ClientTLS(rootsPEM: authority.certificatePEM)
        tls.identity = try authority.issue("peer").identity
        let service = self.service(ServiceAddress(address: address, dialTimeout: .seconds(10), tls: tls))
        return try await self.run(program, stream) { await self.connect(service, stream) }
    }

    /// Starts the contract and connects to its socket.
    private func serveSocket(_ plan: LaunchPlan, _ stream: ChaincodeStream) async throws(ContractError)
        -> String
    {
        let files = RunFiles(folder: self.folder.run, user: plan.limits?.user)
        try files.write(identity: nil, rootsPEM: nil)
        let socket = LocalSocket(for: self.folder.url)
        try socket.prepare(user: plan.limits?.user)
        defer { socket.remove() }
        var program = plan
        program.environment = self.environment(plan, files)
        program.environment["CORE_PEER_TLS_ENABLED"] = "false"
        program.environment["CHAINCODE_SERVER_ADDRESS"] = socket.address
        program.environment["CHAINCODE_ID"] = self.package.id
        let service = self.service(
            ServiceAddress(address: socket.address, dialTimeout: .seconds(10), tls: nil)
        )
        return try await self.run(program, stream) { await self.connect(service, stream) }
    }

    private func connect(_ service: ServiceEndpoint, _ stream: ChaincodeStream) async -> String {
        let address = service.service.address
        guard await self.waitForListener(address) else {
            return "it did not listen at \(address) within \(self.startTimeout)"
        }
        return await service.serve(stream)
    }

    private func waitForListener(_ address: String) async -> Bool {
        let deadline = ContinuousClock.now + self.startTimeout
        while ContinuousClock.now < deadline {
            if LocalSocket.isListening(address) || LoopbackPort.isListening(address) { return true }
            guard (try? await Task.sleep(for: .milliseconds(50))) != nil else { return false }
        }
        return false
    }

    /// Starts the contract and lets it register.
    private func serveClient(_ plan: LaunchPlan, _ stream: ChaincodeStream) async throws(ContractError)
        -> String
    {
        let invitation = try self.registrar.invite(self.package.id, stream)
        defer { self.registrar.forget(self.package.id) }
        let files = RunFiles(folder: self.folder.run, user: plan.limits?.user)
        try files.write(identity: invitation.identity, rootsPEM: invitation.rootsPEM)
        var program = plan
        if plan.connection == .external {
            try files.writeRunMetadata(
                RunFiles.Metadata(
                    chaincode_id: self.package.id,
                    peer_address: self.registrar.address,
                    client_cert: invitation.identity.certificateChainPEM,
                    client_key: invitation.identity.privateKeyPEM,
                    root_cert: invitation.rootsPEM,
                    mspid: self.mspID
                )
            )
            program.arguments.append(files.folder.path)
        } else {
            program.environment = self.environment(plan, files).merging(files.clientVariables) { $1 }
            program.arguments += ["-peer.address", self.registrar.address]
        }
        return try await self.run(program, stream) {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await stream.watchDeadlines() }
                group.addTask { await stream.waitUntilClosed() }
                await group.next()
                group.cancelAll()
            }
            return stream.endReason.map { "it \($0)" } ?? "it ended the stream"
        }
    }

    /// What every contract finds in its environment; nothing of the peer's own.
    private func environment(_ plan: LaunchPlan, _ files: RunFiles) -> [String: String] {
        [
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": files.folder.path,
            "TMPDIR": files.folder.path,
            // A crash in Swift fits on a page: what it said, and where it was.
            "SWIFT_BACKTRACE": "threads=crashed,registers=none,images=none",
            "CORE_CHAINCODE_ID_NAME": self.package.id,
            "CORE_PEER_LOCALMSPID": self.mspID,
        ].merging(plan.environment) { $1 }
    }

    // MARK: - The process

    /// Runs the contract for as long as there is a stream to it, and says what ended first.
    private func run(
        _ plan: LaunchPlan,
        _ stream: ChaincodeStream,
        _ exchange: @escaping @Sendable () async -> String
    ) async throws(ContractError) -> String {
        self.log.begin("starts \(plan.path)")
        let log = self.log
        let child = try await ChildProcess.start(plan.program(mark: self.folder.mark)) { log.write($0) }
        self.record.change {
            $0.phase = .running
            $0.process = child.identifier
            $0.starts += 1
        }
        let reason = await withTaskGroup(of: String?.self) { group in
            group.addTask {
                await child.ended()
                return nil
            }
            group.addTask { await exchange() }
            let first = await group.next() ?? nil
            child.terminate()
            group.cancelAll()
            return first
        }
        let ending = await child.ended()
        self.log.note("\(ending)")
        let wasStopped = [.killed(signal: SIGTERM), .killed(signal: SIGKILL), .exited(0), .exited(143)]
            .contains(ending)
        // A contract that crashes loses its connection first, and is said to have crashed.
        let cause =
            wasStopped && reason != nil ? reason ?? "" : "it \(ending); its log on the peer may say why"
        self.record.change {
            $0.phase = .exited
            $0.process = nil
            $0.lastEnd = "\(ending)"
            $0.lastError = Task.isCancelled ? $0.lastError : cause
        }
        stream.end(cause.hasPrefix("it ") ? String(cause.dropFirst(3)) : cause)
        return cause
    }
}

/// The state of one contract, and the file that shows it.
final class ContractRecord: Sendable {
    private let folder: ContractFolder
    private let state: Mutex<ContractState>

    init(_ state: ContractState, _ folder: ContractFolder) {
        self.state = Mutex(state)
        self.folder = folder
    }

    var current: ContractState { self.state.withLock { $0 } }

    func change(_ body: (inout ContractState) -> Void) {
        self.state.withLock { state in
            let before = state.phase
            body(&state)
            if state.phase != before { state.since = Date() }
            self.folder.set(state)
        }
    }
}
