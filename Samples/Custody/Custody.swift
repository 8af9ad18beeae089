import Foundation
import WeftContract

/// A shipping container, and who answers for it.
struct Container: Codable, Equatable, Sendable {
    /// The number that is painted on it, such as `MSCU1234566`.
    var number: String
    var contents: String
    /// The MSP identifier of the organization that has it.
    var holder: String
    /// The organization that the holder wants to hand it to.
    var offeredTo: String?
    /// Where and when the present holder took it over.
    var place: String
    var since: Date
}

/// Containers change hands in two steps: the giver offers, the receiver accepts.
///
/// Both consent twice over. Each step is signed by a member of the organization that it commits. And each container has
/// an endorsement policy of its own: while it is held, the holder's peer must endorse every change; while it is offered,
/// the peers of giver and receiver must. So no third organization, nor one of the two alone, can record a hand-over,
/// whatever the contract's own policy says.
@main
struct Custody: Contract, ContractService {
    static let information = ContractInformation(
        title: "Custody",
        version: "1.0",
        description: "Containers that change hands when giver and receiver both consent."
    )

    let containers = Assets<String, Container>("container", key: \.number).indexed("holder", by: \.holder)

    var transactions: [Transaction] {
        Submit("Register", "number", "contents", "place", run: register)
        Submit("Offer", "number", Parameter("receiver", "MSP identifier of the organization"), run: offer)
        Submit("Withdraw", "number", run: withdraw)
        Submit("Accept", "number", Parameter("place", "where it changes hands"), run: accept)
        Evaluate("Read", "number", run: read)
        Evaluate("HeldBy", "holder", run: heldBy)
        Evaluate("History", "number", run: history)
    }

    /// The organization of whoever submits it becomes the first holder.
    func register(
        _ context: TransactionContext,
        number: String,
        contents: String,
        place: String
    ) async throws {
        try Self.check(number)
        let container = Container(
            number: number,
            contents: contents,
            holder: context.creator.mspID,
            place: place,
            since: context.timestamp
        )
        let containers = self.containers.in(context)
        try await containers.create(container)
        try await containers.setEndorsementPolicy(of: number, .all(of: [container.holder]))
        try context.emit("registered", container)
    }

    func offer(_ context: TransactionContext, number: String, receiver: String) async throws {
        let containers = self.containers.in(context)
        let container = try await containers.get(number)
        try context.creator.require(organization: container.holder)
        if let other = container.offeredTo {
            throw ContractError("\(number) is offered to \(other) already; withdraw that first", status: 409)
        }
        guard receiver != container.holder else {
            throw ContractError("\(receiver) holds \(number) already", status: 409)
        }
        try await containers.update(number) { $0.offeredTo = receiver }
        try await containers.setEndorsementPolicy(of: number, .all(of: [container.holder, receiver]))
        try context.emit("offered", Offer(number: number, giver: container.holder, receiver: receiver))
    }

    func withdraw(_ context: TransactionContext, number: String) async throws {
        let containers = self.containers.in(context)
        let container = try await containers.get(number)
        try context.creator.require(organization: container.holder)
        guard container.offeredTo != nil else { throw ContractError("\(number) is not offered", status: 409) }
        try await containers.update(number) { $0.offeredTo = nil }
        try await containers.setEndorsementPolicy(of: number, .all(of: [container.holder]))
    }

    func accept(_ context: TransactionContext, number: String, place: String) async throws -> Container {
        let containers = self.containers.in(context)
        let former = try await containers.get(number)
        guard let receiver = former.offeredTo else {
            throw ContractError("\(number) is not offered", status: 409)
        }
        try context.creator.require(organization: receiver)
        let container = try await containers.update(number) {
            $0.holder = receiver
            $0.offeredTo = nil
            $0.place = place
            $0.since = context.timestamp
        }
        try await containers.setEndorsementPolicy(of: number, .all(of: [receiver]))
        try context.emit("handed-over", Offer(number: number, giver: former.holder, receiver: receiver))
        return container
    }

    func read(_ context: TransactionContext, number: String) async throws -> Container {
        try await self.containers.in(context).get(number)
    }

    func heldBy(_ context: TransactionContext, holder: String) async throws -> [Container] {
        try await self.containers.in(context).all(by: "holder", holder).collected()
    }

    /// Everything that happened to a container, newest first.
    func history(_ context: TransactionContext, number: String) async throws -> [Container] {
        try await context.state.history(of: self.containers.stateKey(number)).collected()
            .compactMap { try $0.decoded(as: Container.self) }
    }

    /// Who hands what to whom: what the events tell.
    struct Offer: Codable, Equatable, Sendable {
        var number: String
        var giver: String
        var receiver: String
    }

    /// Owner, category, serial number and check digit, as ISO 6346 has them.
    private static func check(_ number: String) throws {
        guard number.wholeMatch(of: /[A-Z]{3}[UJZ][0-9]{7}/) != nil else {
            throw ContractError(
                "\"\(number.prefix(40))\" is no container number: write four letters, the last U, J or Z, and seven digits",
                status: 400
            )
        }
        // Letters count from 10 and leave out the multiples of 11.
        let values = number.utf8.prefix(10).map { byte -> Int in
            let value = Int(byte) - 48
            guard value > 9 else { return value }
            let letter = value - 17
            return 10 + letter + (letter + 9) / 10
        }
        let sum = values.enumerated().reduce(0) { $0 + $1.element << $1.offset }
        guard String(sum % 11 % 10) == number.suffix(1) else {
            throw ContractError(
                "\(number) has a wrong check digit; it should be \(sum % 11 % 10)",
                status: 400
            )
        }
    }
}
