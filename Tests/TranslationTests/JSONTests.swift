import Foundation
import Testing
import Translation

@Suite struct JSONTests {
    private func read(_ text: String) throws -> JSONTree { try JSONTree(document: Data(text.utf8)) }

    private func written(_ tree: JSONTree) -> String { String(decoding: tree.document, as: UTF8.self) }

    @Test func namesAreWrittenInTheOrderOfTheirBytesWithTabs() throws {
        let tree = try self.read(#" {"b": [1, {"x": null}], "a_": {}, "a": [], "B": true} "#)
        #expect(
            self.written(tree) == """
                {
                \t"B": true,
                \t"a": [],
                \t"a_": {},
                \t"b": [
                \t\t1,
                \t\t{
                \t\t\t"x": null
                \t\t}
                \t]
                }

                """
        )
    }

    @Test func textsAreEscapedAsGoEscapesThem() {
        let text = "<a href=\"&\">\u{1}\u{8}\u{c}\n\r\t\\\u{2028}\u{2029}\u{7f}é\u{1f642}"
        let expected =
            #""\u003ca href=\"\u0026\"\u003e\u0001\b\f\n\r\t\\\u2028\u2029"# + "\u{7f}é\u{1f642}\"\n"
        #expect(self.written(.string(text)) == expected)
    }

    @Test func escapesAreRead() throws {
        #expect(try self.read(#""\u0041\u00e9\ud83d\ude42\/\b""#) == .string("Aé\u{1f642}/\u{8}"))
    }

    @Test func halfACharacterIsReadAsTheReplacementCharacter() throws {
        #expect(try self.read(#""\ud83dx""#) == .string("\u{fffd}x"))
        #expect(try self.read(#""\ud83d\u0041""#) == .string("\u{fffd}A"))
        #expect(try self.read(#""\udc00""#) == .string("\u{fffd}"))
        #expect(try JSONTree(document: Data([0x22, 0xff, 0x22])) == .string("\u{fffd}"))
    }

    @Test(arguments: [
        "0", "-0", "18446744073709551615", "1.50", "1e10", "-2.5E-3", "12345678901234567890123",
    ])
    func numbersKeepTheirDigits(_ digits: String) throws {
        #expect(try self.read(digits) == .number(digits))
        #expect(self.written(.number(digits)) == digits + "\n")
    }

    @Test func theLastOfTwoMembersOfOneNameCounts() throws {
        #expect(
            try self.read(#"{"a": 1, "b": 2, "a": 3}"#)
                == .object([.init("a", .number("3")), .init("b", .number("2"))])
        )
    }

    @Test func whatFollowsTheFirstValueIsNotLookedAt() throws {
        #expect(try self.read("{} garbage") == .object([]))
    }

    @Test(
        arguments: [
            "", " ", "{", "[", "[1", "[1,", "[1,]", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}", "{a:1}",
            "\"", "\"\\x\"",
            "\"\\u12\"", "\"\\u+123\"", "\"\n\"", "tru", "nul", "01", "1.", "-", "1e", ".5", "+1", "'a'", "]",
        ]
    )
    func whatIsNoJSONIsRefused(_ text: String) {
        #expect(throws: TranslationError.self) { try self.read(text) }
    }

    @Test func nestingIsBounded() throws {
        let deepest = JSONTree.maximumDepth
        let allowed = String(repeating: "[", count: deepest) + String(repeating: "]", count: deepest)
        _ = try self.read(allowed)
        #expect(throws: TranslationError.self) { try self.read(String(repeating: "[", count: 1_000_000)) }
        #expect(throws: TranslationError.self) {
            try self.read(String(repeating: "{\"a\":", count: 1_000_000))
        }
    }

    @Test func anErrorNamesTheLine() {
        #expect {
            try self.read("{\n\"a\":\n?}")
        } throws: { error in
            "\(error)".contains("line 3")
        }
    }
}
