import Foundation
import WeftContract

/// A contract that does one thing of each kind.
struct ProbeContract: Contract {
    enum Color: String, Codable, CaseIterable, Sendable { case red, green }

    struct Item: Codable, Equatable, Sendable {
        var id: String
        var color: Color
        var owner: String
        var note: String?
        var tags: [String] = []
    }

    struct Description: Codable, Equatable, Sendable {
        var organization: String
        var name: String
        var units: [String]
        var attributes: [String: String]
        var id: String
        var time: Date
        var channel: String
    }

    let items = Assets<String, Item>("item", key: \.id)
        .indexed("color-owner", by: \.color.rawValue, \.owner)

    var transactions: [Transaction] {
        Evaluate("Echo", "text", "number", "flag", "color", "item", run: self.echo)
        Evaluate("WhoAmI", run: self.whoAmI)
        Submit("Put", "key", "value", run: { try await $0.state.put($1 as String, $2 as String) })
        Submit("PutMany", "prefix", Parameter("count", "how many"), run: self.putMany)
        Evaluate("Get", "key", run: { try await $0.state.get($1, as: String.self) })
        Evaluate("GetMany", "keys", run: self.getMany)
        Evaluate("Range", "from", "to", run: self.range)
        Evaluate("Page", "size", "bookmark", run: self.page)
        Evaluate("WriteInQuery", run: self.writeInQuery)
        Submit("CountRange", "from", "to", "into", run: self.countRange)
        Submit("SaveItem", "item", run: { try await self.items.in($0).put($1) })
        Submit("RecolorTwice", "id", run: self.recolorTwice)
        Submit("RemoveItem", "id", run: { _ = try await self.items.in($0).delete($1) })
        Evaluate("ItemsOf", "color", "owner", run: self.itemsOf)
        Submit("SaveSecret", "key", run: self.saveSecret)
        Evaluate("Secret", "key", run: { try await $0.privateData("secrets").get($1, as: String.self) })
        Evaluate("SecretHash", "key", run: { try await $0.privateData("secrets").hash(of: $1) ?? Data() })
        Submit("Protect", "key", "organizations", run: self.protect)
        Evaluate("Policy", "key", run: { try await $0.state.endorsementPolicy(of: $1)?.description })
        Submit("AuditorsOnly", run: { try $0.creator.require(attribute: "role", "auditor") })
        Evaluate("CallOther", "function", "argument", run: self.callOther)
        Evaluate("Concurrently", "keys", run: self.concurrently)
        Submit("Random", run: { try await $0.state.put("random", UUID().uuidString) })
    }

    func echo(
        _ context: TransactionContext,
        text: String,
        number: Int,
        flag: Bool,
        color: Color,
        item: Item?
    ) -> [String] {
        [text, "\(number)", "\(flag)", color.rawValue, item?.id ?? "none"]
    }

    func whoAmI(_ context: TransactionContext) -> Description {
        Description(
            organization: context.creator.mspID,
            name: context.creator.commonName,
            units: context.creator.organizationalUnits,
            attributes: context.creator.attributes,
            id: context.creator.id,
            time: context.timestamp,
            channel: context.channel
        )
    }

    func putMany(_ context: TransactionContext, prefix: String, count: Int) async throws {
        for number in 0..<count {
            try await context.state.put("\(prefix)\(1_000 + number)", "v\(number)")
        }
    }

    func getMany(_ context: TransactionContext, keys: [String]) async throws -> [String?] {
        try await context.state.get(keys).map { $0.map { String(decoding: $0, as: UTF8.self) } }
    }

    func range(_ context: TransactionContext, from: String, to: String) async throws -> [String] {
        var keys: [String] = []
        for try await row in context.state.rows(from: from, to: to) { keys.append(row.key) }
        return keys
    }

    func page(_ context: TransactionContext, size: Int, bookmark: String) async throws -> [String] {
        let page = try await context.state.page(size: size, bookmark: bookmark)
        return page.rows.map(\.key) + [page.bookmark]
    }

    func writeInQuery(_ context: TransactionContext) async throws -> String {
        try await context.state.put("a", "b")
        return "written"
    }

    func countRange(_ context: TransactionContext, from: String, to: String, into key: String) async throws {
        let count = try await context.state.rows(from: from, to: to).collected().count
        try await context.state.put(key, count)
    }

    /// Changes an item twice: the second change must know of the first.
    func recolorTwice(_ context: TransactionContext, id: String) async throws -> Item {
        let items = self.items.in(context)
        try await items.update(id) { $0.color = .green }
        return try await items.update(id) { $0.owner += "!" }
    }

    func itemsOf(_ context: TransactionContext, color: Color, owner: String) async throws -> [String] {
        let found = self.items.in(context)
        let rows =
            owner.isEmpty
            ? found.all(by: "color-owner", color.rawValue)
            : found.all(by: "color-owner", color.rawValue, owner)
        return try await rows.collected().map(\.id)
    }

    func saveSecret(_ context: TransactionContext, key: String) async throws {
        try await context.privateData("secrets").put(key, try context.transient("secret", as: String.self))
    }

    func protect(_ context: TransactionContext, key: String, organizations: [String]) async throws {
        let policy = organizations.isEmpty ? nil : try EndorsementPolicy.all(of: organizations)
        try await context.state.setEndorsementPolicy(of: key, policy)
    }

    func callOther(_ context: TransactionContext, function: String, argument: String) async throws -> String {
        String(decoding: try await context.invoke("other", function, argument), as: UTF8.self)
    }

    /// Asks for several keys at the same time, which the stream can't do.
    func concurrently(_ context: TransactionContext, keys: [String]) async throws -> Int {
        try await withThrowingTaskGroup(of: Int.self) { group in
            for key in keys { group.addTask { try await context.state.get(key)?.count ?? 0 } }
            return try await group.reduce(0, +)
        }
    }
}
