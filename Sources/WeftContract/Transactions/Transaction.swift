public import Foundation

/// A transaction of a contract: made by ``Submit`` or ``Evaluate``.
public struct Transaction: Sendable {
    /// The name that clients call.
    public let name: String
    /// Whether it only reads.
    public let isReadOnly: Bool

    /// `nil` if the method takes the arguments as they came.
    let parameters: [TransactionParameter]?
    /// The result's type; `nil` if there is none.
    let result: (any (Encodable & Sendable).Type)?
    /// Decodes the arguments, runs the method, encodes the result.
    let run: UntypedMethod

    /// Refuses a call with another number of arguments than there are parameters.
    func check(_ arguments: [Data]) throws(ContractError) {
        guard let parameters = self.parameters else { return }
        guard arguments.count == parameters.count else {
            let names = parameters.map(\.name).joined(separator: ", ")
            let count = parameters.count == 1 ? "1 argument" : "\(parameters.count) arguments"
            throw ContractError(
                "\(self.name) takes \(count)\(names.isEmpty ? "" : " (\(names))"), but \(arguments.count) came"
            )
        }
    }
}

/// A method that takes the arguments as they came, after the transaction's name, and answers with the result's bytes.
public typealias UntypedMethod = @Sendable (TransactionContext, [Data]) async throws -> Data

/// What is known of one parameter of a transaction.
struct TransactionParameter: Sendable {
    var name: String
    var description: String?
    var type: any (Decodable & Sendable).Type
}

/// The name of a transaction's parameter, for error messages and metadata: written as a plain text, or with what it
/// means.
public struct Parameter<Argument: Codable & Sendable>: Sendable, ExpressibleByStringLiteral {
    let parameter: TransactionParameter

    /// A parameter of that name.
    public init(stringLiteral name: String) {
        self.init(name)
    }

    /// A parameter of that name, and what it means.
    public init(_ name: String, _ description: String? = nil) {
        self.parameter = TransactionParameter(name: name, description: description, type: Argument.self)
    }
}

/// A transaction that writes: clients submit it, and it is ordered and committed.
public struct Submit: Sendable {
    let transaction: Transaction

    /// A transaction that answers with a result.
    ///
    /// - Parameters:
    ///   - name: What clients call.
    ///   - parameters: The parameters' names, in order.
    ///   - method: What runs.
    public init<each Argument: Codable & Sendable, Result: Encodable & Sendable>(
        _ name: String,
        _ parameters: repeat Parameter<each Argument>,
        run method: @escaping @Sendable (TransactionContext, repeat each Argument) async throws -> Result
    ) {
        self.transaction = Transaction(name, isReadOnly: false, repeat each parameters, run: method)
    }

    /// A transaction without a result.
    ///
    /// - Parameters:
    ///   - name: What clients call.
    ///   - parameters: The parameters' names, in order.
    ///   - method: What runs.
    public init<each Argument: Codable & Sendable>(
        _ name: String,
        _ parameters: repeat Parameter<each Argument>,
        run method: @escaping @Sendable (TransactionContext, repeat each Argument) async throws -> Void
    ) {
        self.transaction = Transaction(name, isReadOnly: false, repeat each parameters, run: method)
    }

    /// A transaction whose method reads its arguments itself, any number of them.
    ///
    /// - Parameters:
    ///   - name: What clients call.
    ///   - method: What runs.
    public init(_ name: String, untyped method: @escaping UntypedMethod) {
        self.transaction = Transaction(
            name: name,
            isReadOnly: false,
            parameters: nil,
            result: nil,
            run: method
        )
    }
}

/// A transaction that only reads: clients evaluate it on one peer; an attempt to write fails.
public struct Evaluate: Sendable {
    let transaction: Transaction

    /// A question.
    ///
    /// - Parameters:
    ///   - name: What clients call.
    ///   - parameters: The parameters' names, in order.
    ///   - method: What answers.
    public init<each Argument: Codable & Sendable, Result: Encodable & Sendable>(
        _ name: String,
        _ parameters: repeat Parameter<each Argument>,
        run method: @escaping @Sendable (TransactionContext, repeat each Argument) async throws -> Result
    ) {
        self.transaction = Transaction(name, isReadOnly: true, repeat each parameters, run: method)
    }

    /// A question whose method reads its arguments itself, any number of them.
    ///
    /// - Parameters:
    ///   - name: What clients call.
    ///   - method: What answers.
    public init(_ name: String, untyped method: @escaping UntypedMethod) {
        self.transaction = Transaction(
            name: name,
            isReadOnly: true,
            parameters: nil,
            result: nil,
            run: method
        )
    }
}

/// Collects the transactions of a contract, line by line.
@resultBuilder
public enum TransactionsBuilder {
    /// A transaction that writes.
    public static func buildExpression(_ submit: Submit) -> [Transaction] { [submit.transaction] }

    /// A transaction that reads.
    public static func buildExpression(_ evaluate: Evaluate) -> [Transaction] { [evaluate.transaction] }

    /// Transactions that were collected elsewhere.
    public static func buildExpression(_ transactions: [Transaction]) -> [Transaction] { transactions }

    /// All lines in their order.
    public static func buildBlock(_ lines: [Transaction]...) -> [Transaction] { lines.flatMap(\.self) }

    /// The lines of an `if` that does not hold are left out.
    public static func buildOptional(_ lines: [Transaction]?) -> [Transaction] { lines ?? [] }
}

extension Transaction {
    fileprivate init<each Argument: Codable & Sendable, Result: Encodable & Sendable>(
        _ name: String,
        isReadOnly: Bool,
        _ parameters: repeat Parameter<each Argument>,
        run method: @escaping @Sendable (TransactionContext, repeat each Argument) async throws -> Result
    ) {
        var list: [TransactionParameter] = []
        repeat list.append((each parameters).parameter)
        self.init(name: name, isReadOnly: isReadOnly, parameters: list, result: Result.self) {
            [list] context, data in
            var arguments = ArgumentReader(list, data)
            let values = (repeat try arguments.next((each Argument).self))
            return try ContractValue.encode(try await method(context, repeat each values))
        }
    }

    fileprivate init<each Argument: Codable & Sendable>(
        _ name: String,
        isReadOnly: Bool,
        _ parameters: repeat Parameter<each Argument>,
        run method: @escaping @Sendable (TransactionContext, repeat each Argument) async throws -> Void
    ) {
        var list: [TransactionParameter] = []
        repeat list.append((each parameters).parameter)
        self.init(name: name, isReadOnly: isReadOnly, parameters: list, result: nil) { [list] context, data in
            var arguments = ArgumentReader(list, data)
            let values = (repeat try arguments.next((each Argument).self))
            try await method(context, repeat each values)
            return Data()
        }
    }
}

/// Takes a call's arguments one after the other.
private struct ArgumentReader {
    private let parameters: [TransactionParameter]
    private let arguments: [Data]
    private var index = 0

    init(_ parameters: [TransactionParameter], _ arguments: [Data]) {
        self.parameters = parameters
        self.arguments = arguments
    }

    mutating func next<Argument: Decodable>(_ type: Argument.Type) throws -> Argument {
        guard self.index < self.arguments.count, self.index < self.parameters.count else {
            throw ContractError("an argument is missing")
        }
        defer { self.index += 1 }
        do {
            return try ContractValue.decode(type, from: self.arguments[self.index])
        } catch let error as UnreadableValue {
            throw ContractError("argument \(self.parameters[self.index].name): \(error)", status: 400)
        }
    }
}
