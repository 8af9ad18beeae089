import ArgumentParser
import CertificateAuthority
import Channel
import Cryptography
import Foundation

/// `weft certs`: the certificates that nodes use and trust.
struct CertificatesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certs",
        abstract: "Look after the certificates that nodes use and trust.",
        subcommands: [CertificatesStatusCommand.self]
    )
}

/// `weft certs status`: what expires when.
struct CertificatesStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "List every certificate that a node uses or trusts, with the days left and what renews it.",
        discussion: """
            Its own enrollment and TLS certificates, its organization's authorities and administrators, TLS roots, and \
            those in the configuration of its channels. --config takes peer.yaml and orderer.yaml of Weft, and core.yaml \
            and orderer.yaml of Fabric with the variables of the environment that override them. Without --config and --block, all nodes of the network in \
            --network. The newest configuration of a channel is in the block that `weft channel fetch config` or \
            `peer channel fetch config` writes; without --block the genesis blocks that the node's file names are read.

            Ends with code 2 if one has expired or expires within --within days.
            """
    )

    @Option(
        help: ArgumentHelp("A node's configuration file; may be repeated.", valueName: "file")
    )
    var config: [String] = []

    @Option(help: ArgumentHelp("A config block of a channel; may be repeated.", valueName: "file"))
    var block: [String] = []

    @Option(help: ArgumentHelp("The folder of a network made by `weft network up`.", valueName: "folder"))
    var network = NetworkDescription.defaultFolder

    @Option(help: "How many days ahead expiry is worth a warning.")
    var within = 30

    @OptionGroup var output: OutputOptions

    func run() throws {
        let now = Date()
        var inventory = CertificateInventory()
        var blocks = self.block
        var files = self.config
        if files.isEmpty, blocks.isEmpty { files = try self.filesOfNetwork() }
        for file in files {
            let node = try NodeCertificateFiles(
                file: file,
                environment: ProcessInfo.processInfo.environment
            )
            inventory.merge(try node.certificates.inventory())
            if self.block.isEmpty { blocks += node.channels.filter { !blocks.contains($0) } }
        }
        for path in blocks {
            inventory.add(try ChannelConfiguration(configBlock: readGenesisBlock(path)))
        }
        let certificates = inventory.certificates
        let expiring = certificates.filter { $0.secondsLeft(at: now) < Double(self.within) * 86_400 }
        self.output.answer(
            .object([
                "certificates": .array(certificates.map { $0.json(now: now) }),
                "expiring": .integer(Int64(expiring.count)),
            ]),
            Self.text(certificates, expiring: expiring, now: now)
        )
        guard !expiring.isEmpty else { return }
        standardError(
            "weft: \(expiring.count) of \(certificates.count) certificates expire within \(self.within) days"
        )
        throw ExitCode(Failure.Code.wrong.rawValue)
    }

    private func filesOfNetwork() throws -> [String] {
        try NetworkDescription(folder: self.network).nodes.map { node in
            let folder = URL(
                fileURLWithPath: node.folder,
                relativeTo: URL(fileURLWithPath: self.network + "/")
            )
            return folder.appendingPathComponent(node.role == .peer ? "peer.yaml" : "orderer.yaml").path
        }
    }

    private static func text(
        _ certificates: [TrackedCertificate],
        expiring: [TrackedCertificate],
        now: Date
    ) -> String {
        let rows = certificates.map { certificate in
            let days = certificate.daysLeft(at: now)
            return [
                days < 0 ? "expired" : "\(days) days",
                String(CivilTime(certificate.certificate.notAfter).description.prefix(10)),
                certificate.owner, certificate.use.rawValue,
                certificate.certificate.subject.commonName ?? "\(certificate.certificate.subject)",
                certificate.sources.joined(separator: ", "),
            ]
        }
        let widths = (0..<5).map { column in rows.map { $0[column].count }.max() ?? 0 }
        let table = rows.map { row in
            zip(row, widths).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }.joined(
                separator: "  "
            )
                + "  " + row[5]
        }
        let advice = expiring.map { certificate in
            "Renew \(certificate.certificate.subject.commonName ?? "it") (\(certificate.use.rawValue)): \(certificate.renewal)"
        }
        return (table + advice).joined(separator: "\n")
    }
}

extension TrackedCertificate {
    fileprivate func json(now: Date) -> JSONValue {
        .object([
            "use": .string(self.use.rawValue), "owner": .string(self.owner),
            "subject": .string(self.certificate.subject.description),
            "serialNumber": .string(hexadecimal(self.certificate.serialNumber)),
            "notBefore": .string(CivilTime(self.certificate.notBefore).description),
            "notAfter": .string(CivilTime(self.certificate.notAfter).description),
            "daysLeft": .integer(Int64(self.daysLeft(at: now))),
            "sources": .array(self.sources.map { .string($0) }), "renew": .string(self.renewal),
        ])
    }
}
