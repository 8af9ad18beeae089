import Channel
import Foundation
import Testing

@Suite struct KeyTextTests {
    @Test func plainKeysStandInQuotes() {
        #expect(KeyText.key("greeting") == "\"greeting\"")
        #expect(KeyText.key("") == "\"\"")
        #expect(KeyText.key("a\"b\n\u{1b}[1m") == "\"a\\\"b\\u{a}\\u{1b}[1m\"")
    }

    @Test func compositeKeysShowTheirParts() {
        #expect(KeyText.key("\u{0}asset\u{0}A-17\u{0}2024\u{0}") == "asset(\"A-17\", \"2024\")")
        #expect(KeyText.key("\u{0}asset\u{0}") == "asset()")
        #expect(KeyText.key("\u{0}asset\u{0}\u{0}") == "asset(\"\")")
        // The key under which a contract notes that it has been initialized isn't one.
        #expect(KeyText.key("\u{0}\u{10FFFF}initialized") == "\"\\u{0}\\u{10ffff}initialized\"")
    }

    @Test func longKeysAndValuesAreCut() {
        #expect(KeyText.key(String(repeating: "k", count: 5_000)).count == KeyText.keyLimit + 1)
        let value = KeyText.value(Data(repeating: UInt8(ascii: "v"), count: 5_000))
        #expect(value.hasSuffix("… (5000 bytes)"))
        #expect(value.count < KeyText.valueLimit + 30)
    }

    @Test func bytesThatAreNoTextAreShownAsDigits() {
        #expect(KeyText.value(Data([0xff, 0x01])) == "0xff01")
        #expect(KeyText.value(Data()) == "nothing")
    }
}
