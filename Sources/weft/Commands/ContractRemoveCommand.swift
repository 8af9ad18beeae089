import ArgumentParser
import Channel
import FabricProtos
import WeftClient

/// `weft contract remove`: takes a contract's packages off peers.
struct ContractRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract:
            "Remove a contract from peers: end it, and delete its package, what was built of it, and its logs.",
        discussion: """
            Acts at the peers whose administrators are at hand. The contract's definition and its state stay on the channel: \
            they belong to all of its organizations, and no ledger of Fabric's kind lets them be taken away.
            """
    )

    @Argument(help: "The contract's name.")
    var name: String

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func validate() throws { try ChaincodeName.validate(self.name) }

    func run() async throws {
        let targets = try self.connection.administeredPeers()
        let (sequence, channel, places) = try await ContractSeat.connecting(to: targets[...]) { seats in
            guard let first = seats.first else {
                throw Failure("the network has no peer", code: .configuration)
            }
            let committed = try await ContractDefinition(name: self.name).committed(first.gateway)
            let removal = ContractRemoval(
                name: self.name,
                channel: first.channel,
                sequence: committed?.sequence
            )
            var places: [ContractRemoval.Place] = []
            for seat in seats { places.append(try await removal.run(at: seat)) }
            return (committed?.sequence, first.channel, places)
        }
        guard sequence != nil || places.contains(where: { !$0.removed.isEmpty || !$0.kept.isEmpty }) else {
            throw Failure(
                "there is no contract \(self.name), neither on channel \(channel) nor at these peers; see: weft contract list"
            )
        }
        self.answer(sequence, channel, places)
    }

    private func answer(_ sequence: Int64?, _ channel: String, _ places: [ContractRemoval.Place]) {
        var lines: [String] = []
        for place in places {
            lines += place.removed.map { "\(place.peer): removed \($0)" }
            lines += place.kept.map {
                "\(place.peer): kept \($0.package), which \($0.users.joined(separator: ", ")) runs"
            }
            if place.removed.isEmpty, place.kept.isEmpty {
                lines.append("\(place.peer): has no package of \(self.name)")
            }
        }
        if let sequence {
            lines.append(
                """
                channel \(channel) keeps the definition of \(self.name), sequence \(sequence), and its state: a definition can't be \
                taken away. These peers answer calls of it with an error; peers of other organizations go on. To put it out of use \
                for all, let the organizations agree on a next definition whose policy nobody satisfies:
                  weft contract deploy --name \(self.name) --policy "AND('NobodyMSP.peer')"
                """
            )
        }
        self.output.answer(
            .object([
                "name": .string(self.name),
                "channel": .string(channel),
                "definition": sequence.map { .integer($0) } ?? .null,
                "peers": .array(
                    places.map { place in
                        .object([
                            "peer": .string(place.peer),
                            "removed": .array(place.removed.map { .string($0) }),
                            "kept": .array(
                                place.kept.map { kept in
                                    .object([
                                        "package": .string(kept.package),
                                        "usedBy": .array(kept.users.map { .string($0) }),
                                    ])
                                }
                            ),
                        ])
                    }
                ),
            ]),
            lines.joined(separator: "\n")
        )
    }
}
