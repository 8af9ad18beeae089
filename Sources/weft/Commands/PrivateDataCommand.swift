import ArgumentParser
import Foundation
import Peer

/// `weft private`: the private data of peers.
struct PrivateDataCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "private",
        abstract: "Look after the private data of peers.",
        subcommands: [PrivateDataStatusCommand.self]
    )
}

/// `weft private status`: what a peer lacks, and what it has tried.
struct PrivateDataStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show which private data peers lack, since when, whom they asked, and why it did not come.",
        discussion: """
            It asks the operations service of each peer, which tells names and reasons, never private data. \
            A peer goes on asking others for what it lacks; it may be gone for good if every peer that had it is.

            Example: weft private status ; weft private status --peer agency --channel emissions ; \
            weft private status --operations peer1.example.com:9443 --tls-root ca.pem --tls-certificate me.pem --tls-key me.key
            """
    )

    @Option(help: ArgumentHelp("The folder of a network made by `weft network up`.", valueName: "folder"))
    var network = NetworkDescription.defaultFolder

    @Option(help: ArgumentHelp("One peer of that network; all without it.", valueName: "name"))
    var peer: String?

    @Option(help: ArgumentHelp("The channel; all without it.", valueName: "name"))
    var channel: String?

    @Option(
        help: ArgumentHelp(
            "The operations service of a peer elsewhere, instead of a network's.",
            valueName: "host:port"
        )
    )
    var operations: String?

    @Option(help: ArgumentHelp("Root certificates of its TLS (PEM).", valueName: "file"))
    var tlsRoot: String?

    @Option(help: ArgumentHelp("The client's TLS certificate (PEM).", valueName: "file"))
    var tlsCertificate: String?

    @Option(help: ArgumentHelp("The private key of that certificate (PEM).", valueName: "file"))
    var tlsKey: String?

    @OptionGroup var output: OutputOptions

    func validate() throws {
        let given = [self.tlsRoot, self.tlsCertificate, self.tlsKey].compactMap(\.self).count
        guard given == 0 || (given == 3 && self.operations != nil) else {
            throw ValidationError(
                "--tls-root, --tls-certificate and --tls-key go together, beside --operations"
            )
        }
    }

    func run() async throws {
        let targets = try self.targets()
        var lines: [String] = []
        var objects: [JSONValue] = []
        var failures: [Failure] = []
        for target in targets {
            do {
                let channels = try await self.channels(of: target)
                lines +=
                    channels.isEmpty
                    ? ["\(target.name): it has joined no channel"] : channels.map { $0.text(of: target.name) }
                objects.append(
                    .object(["peer": .string(target.name), "channels": .array(channels.map(\.json))])
                )
            } catch let failure as Failure where targets.count > 1 {
                // What the other peers lack is the more interesting while one is away.
                failures.append(failure)
                objects.append(
                    .object(["peer": .string(target.name), "error": .string(failure.description)])
                )
            }
        }
        self.output.answer(.array(objects), lines.joined(separator: "\n"))
        guard let first = failures.first else { return }
        throw Failure(
            failures.map(\.description).joined(separator: "\n"),
            code: first.code,
            followsAnswer: true
        )
    }

    /// What a peer tells of the channel that was asked for, or of all.
    private func channels(of target: PrivateDataTarget) async throws -> [PrivateDataReport.Channel] {
        let channels = try await target.report().channels
        let wanted = channels.filter { self.channel == nil || $0.channel == self.channel }
        if let channel, wanted.isEmpty {
            throw Failure(
                "\(target.name) has not joined channel \(channel); it has "
                    + (channels.isEmpty ? "none" : channels.map(\.channel).joined(separator: ", "))
            )
        }
        return wanted
    }

    private func targets() throws -> [PrivateDataTarget] {
        if let operations {
            let tls = try self.tlsRoot.map {
                try OsnadminTLS(
                    authorities: $0,
                    certificate: self.tlsCertificate ?? "",
                    key: self.tlsKey ?? ""
                )
            }
            return [PrivateDataTarget(name: operations, address: operations, tls: tls)]
        }
        let description = try NetworkDescription(folder: self.network)
        let nodes = try self.peer.map { [try description.node($0)] } ?? description.peers
        return try nodes.map { node in
            guard node.role == .peer, let operations = node.operations else {
                throw Failure(
                    "\(node.name) in \(description.folder) is no peer with an operations service",
                    code: .usage
                )
            }
            return PrivateDataTarget(name: node.name, address: operations)
        }
    }
}
