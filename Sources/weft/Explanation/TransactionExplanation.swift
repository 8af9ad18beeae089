import Channel
import FabricProtos
import Foundation

/// Why a transaction was judged as it was, for people and scripts.
struct TransactionExplanation {
    /// One cause: a sentence, and its facts.
    struct Cause {
        var text: String
        /// Lines below the sentence.
        var details: [String] = []
        var json: JSONValue
    }

    /// Another transaction of the same identifier.
    struct Copy {
        var version: Version
        var code: Protos_TxValidationCode
    }

    var place: Version
    var code: Protos_TxValidationCode
    var picture: TransactionPicture
    var causes: [Cause] = []
    /// What the explanation doesn't cover, and how to have it cover that.
    var notes: [String] = []
    var copies: [Copy] = []

    var json: JSONValue {
        let meaning = CodeMeaning(self.code)
        return .object([
            "transaction": .string(self.picture.transactionID),
            "block": .unsigned(self.place.block),
            "index": .unsigned(self.place.transaction),
            "code": .string(self.code.name),
            "codeNumber": .integer(Int64(self.code.rawValue)),
            "valid": .boolean(self.code == .valid),
            "meaning": .string(meaning.meaning),
            "causes": .array(
                self.causes.map { cause in
                    .object([
                        "text": .string(cause.text),
                        "details": .array(cause.details.map { .string($0) }),
                        "facts": cause.json,
                    ])
                }
            ),
            "advice": .string(meaning.advice),
            "notes": .array(self.notes.map { .string($0) }),
            "copies": .array(
                self.copies.map { copy in
                    .object([
                        "block": .unsigned(copy.version.block), "index": .unsigned(copy.version.transaction),
                        "code": .string(copy.code.name),
                    ])
                }
            ),
        ])
    }

    var text: String {
        let meaning = CodeMeaning(self.code)
        let id = self.picture.transactionID.isEmpty ? "without an identifier" : self.picture.transactionID
        var lines = ["transaction \(id)"]
        func add(_ name: String, _ value: String) {
            guard !value.isEmpty else { return }
            lines.append("  " + name.padding(toLength: 9, withPad: " ", startingAt: 0) + value)
        }
        add("place", "block \(self.place.block), position \(self.place.transaction) (counted from 0)")
        add("judged", "\(self.code.name) (\(self.code.rawValue))")
        add("call", self.call)
        add("creator", self.picture.creator)
        add("meaning", meaning.meaning)
        for cause in self.causes {
            add("because", cause.text)
            for detail in cause.details { lines.append("             \(detail)") }
        }
        for copy in self.copies {
            add(
                "again",
                """
                in block \(copy.version.block), position \(copy.version.transaction), judged \(copy.code.name): \
                tell more with --block \(copy.version.block)
                """
            )
        }
        for note in self.notes { add("note", note) }
        if self.code != .valid { add("to do", meaning.advice) }
        return lines.joined(separator: "\n")
    }

    private var call: String {
        guard !self.picture.contract.isEmpty else { return "" }
        return TransactionPicture.shortened(
            ([self.picture.contract] + self.picture.arguments).joined(separator: " ")
        )
    }
}
