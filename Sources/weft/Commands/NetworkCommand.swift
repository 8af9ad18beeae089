import ArgumentParser
import Channel
import Foundation
import WeftClient

/// `weft network`: a whole consortium on this machine, without configuration.
struct NetworkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "network",
        abstract: "Run a consortium of three organizations on this machine, without any configuration.",
        subcommands: [Up.self, Down.self, Status.self]
    )

    struct FolderOption: ParsableArguments {
        @Option(help: ArgumentHelp("The network's folder.", valueName: "folder"))
        var folder = NetworkDescription.defaultFolder

        var absolute: String { URL(fileURLWithPath: self.folder).standardizedFileURL.path }
    }

    // MARK: -

    struct Up: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the network, or start it again, and wait until it is ready.",
            discussion: """
                Makes identities offline, the channel, and the nodes' configuration; starts the orderers and one peer \
                for each organization as processes of their own, which talk over mutual TLS and outlive this command; \
                and has the contracts approved by every organization. When the folder already holds a network, its \
                nodes are started with the ledgers they had.
                """
        )

        @OptionGroup var place: FolderOption

        @Option(name: .customLong("orgs"), help: "How many organizations: 1 to 3.")
        var organizations = 3

        @Option(help: "How many peers each organization has: 1 to 5.")
        var peers = 1

        @Option(help: "How many orderers: 1 to 7. They go on while more than half of them work.")
        var orderers = 1

        @Option(
            help: ArgumentHelp(
                "How many orderers of a BFT channel instead of a Raft one: 1 to 7. They go on while fewer than a third of them lie or fail.",
                valueName: "orderers"
            )
        )
        var bft: Int?

        @Option(help: "The channel's name.")
        var channel = "emissions"

        @Option(
            name: .customLong("contract"),
            help: ArgumentHelp(
                "A built-in contract to define on the channel (emissions, kv).",
                valueName: "name"
            )
        )
        var contracts: [String] = []

        @Option(
            help:
                "The first orderer's port; the peers, its administration and further orderers take the next ones. 0 takes any that are free."
        )
        var basePort = 7050

        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard (1...NetworkPlan.organizationNames.count).contains(self.organizations) else {
                throw ValidationError("--orgs takes 1 to \(NetworkPlan.organizationNames.count)")
            }
            guard (1...5).contains(self.peers) else { throw ValidationError("--peers takes 1 to 5") }
            guard (1...7).contains(self.orderers) else { throw ValidationError("--orderers takes 1 to 7") }
            if let bft {
                guard (1...7).contains(bft) else { throw ValidationError("--bft takes 1 to 7") }
                guard self.orderers == 1 else {
                    throw ValidationError("--bft says how many orderers there are: leave --orderers out")
                }
            }
            guard self.basePort == 0 || (1024...65000).contains(self.basePort) else {
                throw ValidationError("--base-port takes 1024 to 65000, or 0 for any that are free")
            }
            do {
                _ = try ChannelID(self.channel)
            } catch {
                throw ValidationError("--channel: \(error)")
            }
            let builtIn = NetworkPlan.builtInContracts
            for contract in self.contracts where !builtIn.contains(contract) {
                throw ValidationError(
                    "--contract takes a built-in contract (\(builtIn.joined(separator: ", "))), and \"\(contract)\" "
                        + "is none; deploy others to the running network with: weft contract deploy"
                )
            }
        }

        func run() async throws {
            let started = ContinuousClock().now
            let folder = self.place.absolute
            let isNew = !FileManager.default.fileExists(atPath: folder + "/" + NetworkDescription.fileName)
            let description: NetworkDescription
            if isNew {
                let plan = try NetworkPlan(
                    folder: folder,
                    organizations: self.organizations,
                    peers: self.peers,
                    orderers: self.bft ?? self.orderers,
                    consensus: self.bft == nil ? .raft : .bft,
                    channel: self.channel,
                    contracts: self.contracts.isEmpty ? ["emissions"] : self.contracts,
                    basePort: self.basePort
                )
                description = try NetworkFiles(plan: plan).write()
                self.output.say("made identities, the channel and the nodes' configuration in \(folder)")
            } else {
                description = try NetworkDescription(folder: folder)
                self.output.say("found a network in \(folder)")
            }
            try await self.start(description)
            try await self.define(description)
            let took = started.duration(to: ContinuousClock().now) / .seconds(1)
            self.output.answer(
                description.json,
                NetworkSummary(description, folder: self.place.folder).text
                    + "\nready after \(rounded(took, 1)) s"
            )
        }

        private func start(_ description: NetworkDescription) async throws {
            guard let identity = description.identities.first else {
                throw Failure("the network has no identities")
            }
            for node in description.nodes {
                let process = description.process(of: node)
                if try await description.runsOn(node) { continue }
                guard !node.isListening else {
                    throw Failure(
                        "\(node.name) can't start: port \(node.port) is in use by another process; stop it first"
                    )
                }
                let role = node.role.rawValue
                try process.start([role, "start", "--config", "\(process.folder)/\(role).yaml"])
            }
            // The first leader needs a quorum of the orderers.
            for node in description.nodes where node.role == .orderer {
                try await description.waitUntilReady(node, as: identity)
            }
            try await withThrowingTaskGroup { group in
                for node in description.peers {
                    group.addTask { try await description.waitUntilReady(node, as: identity) }
                }
                try await group.waitForAll()
            }
            self.output.say("\(description.nodes.count) nodes run and answer over mutual TLS")
        }

        /// Has every contract approved by every organization, and committed.
        private func define(_ description: NetworkDescription) async throws {
            let mspIDs = description.leadingPeers.map(\.mspID)
            for contract in description.contracts {
                let definition = ContractDefinition(name: contract)
                guard let first = description.peers.first else { return }
                let isDone = try await description.withGateway(first, as: "\(first.name)/admin") { gateway in
                    try await definition.isCommitted(gateway)
                }
                guard !isDone else { continue }
                for peer in description.leadingPeers {
                    try await description.withGateway(peer, as: "\(peer.name)/admin") { gateway in
                        _ = try await definition.approve(gateway, organization: peer.mspID)
                    }
                }
                // Each approval is known where it was submitted; all peers must have it to agree on the commit.
                try await description.waitUntilLevel(as: description.identity("\(first.name)/admin"))
                try await description.withGateway(first, as: "\(first.name)/admin") { gateway in
                    _ = try await definition.commit(gateway, organizations: mspIDs)
                }
                // The contract can be used at every peer when this command ends.
                try await description.waitUntilLevel(as: description.identity("\(first.name)/admin"))
                self.output.say(
                    "contract \(contract): approved by \(mspIDs.joined(separator: ", ")), and committed"
                )
            }
        }
    }

    // MARK: -

    struct Down: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Stop the network's nodes.")

        @OptionGroup var place: FolderOption

        @Flag(help: "Also delete the folder, with all ledgers and keys.")
        var remove = false

        @OptionGroup var output: OutputOptions

        func run() async throws {
            let description = try NetworkDescription(folder: self.place.absolute)
            var stopped: [JSONValue] = []
            for node in description.nodes.reversed() {
                let (wasRunning, byForce) = try await description.process(of: node).stop()
                guard wasRunning else { continue }
                stopped.append(.string(node.name))
                self.output.say(
                    byForce
                        ? "\(node.name) did not stop in time and was ended by force" : "stopped \(node.name)"
                )
            }
            if self.remove {
                try FileManager.default.removeItem(atPath: description.folder)
                self.output.say("deleted \(description.folder)")
            }
            if stopped.isEmpty { self.output.say("no node was running") }
            if self.output.json {
                print(JSONValue.object(["stopped": .array(stopped), "removed": .boolean(self.remove)]).text)
            }
        }
    }

    // MARK: -

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Show each node: whether it runs, its height, the hashes of its newest block, and which orderer leads.",
            discussion: "Exit code 1 when a node doesn't run, 2 when peers of equal height differ."
        )

        @OptionGroup var place: FolderOption
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let description = try NetworkDescription(folder: self.place.absolute)
            guard let identity = description.identities.first else {
                throw Failure("the network has no identities")
            }
            var lines: [String] = []
            var entries: [JSONValue] = []
            var commits: [UInt64: Set<Data>] = [:]
            var silent: [String] = []
            for node in description.nodes {
                let process = description.process(of: node).runningProcess
                var state: NodeState?
                var leads: Bool?
                if process != nil {
                    leads = await description.leads(node)
                    state = try? await withTimeout(.seconds(10)) {
                        try await description.state(of: node, as: identity)
                    }
                }
                if state == nil { silent.append(node.name) }
                if let status = state?.status, node.role == .peer {
                    commits[status.height, default: []].insert(status.commitHash)
                }
                lines.append(Self.line(node, process, state, leads: leads))
                entries.append(Self.entry(node, process, state, leads: leads))
            }
            let differ = commits.values.contains { $0.count > 1 }
            self.output.answer(
                .object([
                    "channel": .string(description.channel), "nodes": .array(entries),
                    "agree": .boolean(!differ),
                ]),
                (["channel \(description.channel)"] + lines).joined(separator: "\n")
            )
            if differ {
                throw Failure(
                    "peers of equal height have different commit hashes",
                    code: .wrong,
                    followsAnswer: true
                )
            }
            if !silent.isEmpty {
                throw Failure(
                    "not running or not answering: \(silent.joined(separator: ", ")); see the logs in \(description.folder)/nodes",
                    followsAnswer: true
                )
            }
        }

        private static func line(
            _ node: NetworkDescription.Node,
            _ process: pid_t?,
            _ state: NodeState?,
            leads: Bool?
        ) -> String {
            let name = node.name.padding(toLength: 9, withPad: " ", startingAt: 0)
            guard let process else { return "  \(name) stopped" }
            guard let state else {
                return "  \(name) process \(process) does not answer at \(node.endpoint)"
            }
            let operations = node.operations.map { ", operations http://\($0)" } ?? ""
            guard let status = state.status else {
                return
                    "  \(name) \(node.endpoint)  process \(process)  follows the channel, orders nothing\(operations)"
            }
            let commit =
                status.commitHash.isEmpty ? "" : ", commit hash \(status.commitHash.hexadecimal.prefix(16))"
            let view = node.role == .orderer ? status.view.map { ", view \($0)" } ?? "" : ""
            let leader = leads == true ? ", leader" : ""
            return "  \(name) \(node.endpoint)  process \(process)  height \(status.height), block hash "
                + "\(status.blockHash.hexadecimal.prefix(16))\(commit)\(view)\(leader)\(operations)"
        }

        private static func entry(
            _ node: NetworkDescription.Node,
            _ process: pid_t?,
            _ state: NodeState?,
            leads: Bool?
        ) -> JSONValue {
            let status = state?.status
            return .object([
                "name": .string(node.name),
                "role": .string(node.role.rawValue),
                "endpoint": .string(node.endpoint),
                "operations": node.operations.map { .string($0) } ?? .null,
                "process": process.map { .integer(Int64($0)) } ?? .null,
                "leads": leads.map { .boolean($0) } ?? .null,
                "follows": node.role == .peer ? .null : state.map { .boolean($0.follows) } ?? .null,
                "height": status.map { .unsigned($0.height) } ?? .null,
                "view": status?.view.map { .unsigned($0) } ?? .null,
                "blockHash": status.map { .string($0.blockHash.hexadecimal) } ?? .null,
                "commitHash": status.map { .string($0.commitHash.hexadecimal) } ?? .null,
            ])
        }
    }
}

extension NetworkDescription {
    /// Calls `body` with the gateway of a peer.
    func withGateway<Value: Sendable>(
        _ node: Node,
        as name: String,
        _ body: (Gateway) async throws -> Value
    ) async throws -> Value {
        let identity = try self.identity(name)
        let signer = try self.signer(identity)
        return try await self.withNode(node, as: identity) { connection in
            try await body(connection.gateway(channel: self.channel, as: signer))
        }
    }
}

/// What `weft network up` prints at the end: where everything is, and what to type next.
struct NetworkSummary {
    private let description: NetworkDescription
    private let folder: String

    init(_ description: NetworkDescription, folder: String) {
        self.description = description
        self.folder = folder
    }

    var text: String {
        var lines = [
            "",
            "channel \(self.description.channel), contracts: \(self.description.contracts.joined(separator: ", "))",
        ]
        for node in self.description.nodes {
            let name = node.name.padding(toLength: 9, withPad: " ", startingAt: 0)
            let operations = node.operations.map { "  http://\($0)/metrics" } ?? ""
            lines.append(
                "  \(name) \(node.role.rawValue.padding(toLength: 8, withPad: " ", startingAt: 0)) \(node.endpoint)  \(node.mspID)\(operations)"
            )
        }
        lines.append(
            "identities (for --as): " + self.description.identities.map(\.name).joined(separator: ", ")
        )
        let flag = self.folder == NetworkDescription.defaultFolder ? "" : " --network \(self.folder)"
        let place = self.folder == NetworkDescription.defaultFolder ? "" : " --folder \(self.folder)"
        lines += ["", "next:"]
        if self.description.contracts.contains("kv") {
            lines += [
                "  weft tx submit\(flag) kv put greeting hello", "  weft tx evaluate\(flag) kv get greeting",
            ]
        }
        if self.description.contracts.contains("emissions") {
            lines.append("  weft tx evaluate\(flag) emissions ListFactorSets")
        }
        lines += [
            "  weft block show\(flag) newest",
            "  weft network status\(place)",
            "  weft network down\(place)",
        ]
        return lines.joined(separator: "\n")
    }
}
