/// A JSON document in memory, as the tools of Fabric read and write it.
///
/// Numbers keep their digits, since 64-bit ones don't fit a `Double`. Members keep their order until they are written.
package enum JSONTree: Equatable, Sendable {
    case null
    case bool(Bool)
    /// The digits as written.
    case number(String)
    case string(String)
    case array([JSONTree])
    case object([Member])

    /// A name and its value in an object.
    package struct Member: Equatable, Sendable {
        package var name: String
        package var value: JSONTree

        package init(_ name: String, _ value: JSONTree) {
            self.name = name
            self.value = value
        }
    }

    /// The value of the member with this name; `nil` if there is none or the value is no object.
    package subscript(name: String) -> JSONTree? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.name == name }?.value
    }

    /// What kind of value it is, for messages.
    package var kind: String {
        switch self {
        case .null: "null"
        case .bool: "true or false"
        case .number: "a number"
        case .string: "a text"
        case .array: "a list"
        case .object: "an object"
        }
    }
}

/// Why JSON and a message can't be turned into each other.
package struct TranslationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Where, as names and indexes from the outermost message inwards.
    package var path: [String]
    /// What was found and what was expected.
    package var reason: String

    package init(_ reason: String, at path: [String] = []) {
        self.path = path
        self.reason = reason
    }

    package var description: String {
        self.path.isEmpty ? self.reason : "\(self.path.joined(separator: ".")): \(self.reason)"
    }

    /// The same, one level further out.
    func inside(_ name: String) -> Self { Self(self.reason, at: [name] + self.path) }
}

/// Carries out `body`, and adds `name` to the place of an error that comes out.
func placing<Value>(
    _ name: @autoclosure () -> String,
    _ body: () throws(TranslationError) -> Value
) throws(TranslationError) -> Value {
    do {
        return try body()
    } catch {
        throw error.inside(name())
    }
}
