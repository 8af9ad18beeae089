import Foundation
import Testing
import WeftContract

/// JSON of whole numbers, whose values have one encoding each.
@Suite struct JSONValueTests {
    @Test func jsonHasOneEncoding() throws {
        let text = #" {"b" : [1, -2, true, null], "a": "\u00e9\n\ud83d\ude42\/", "": {} } "#
        let value = try JSONValue(parsing: Data(text.utf8))
        let expected = "{\"\":{},\"a\":\"\u{e9}\\n\u{1F642}/\",\"b\":[1,-2,true,null]}"
        #expect(String(decoding: value.encoded, as: UTF8.self) == expected)
        #expect(try JSONValue(parsing: value.encoded) == value)
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\":1,\"a\":2}", "1.0", "1e3", "01", "-", "\"\\x\"", "\"\\ud800\"", "nul", "1 2",
        "\"\n\"",
        "99999999999999999999", "{\"a\" 1}", "\"", String(repeating: "[", count: 40),
    ])
    func whatIsNoJSONOfWholeNumbersIsRefused(text: String) {
        #expect(throws: ContractError.self) { try JSONValue(parsing: Data(text.utf8)) }
    }
}
