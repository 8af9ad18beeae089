import Channel
import Foundation
import Testing

@Suite struct NamesTests {
    @Test(arguments: ["a", "weft-emissions", "a.b-c9", String(repeating: "x", count: 249)])
    func channelNameOfTheGrammarIsTaken(text: String) throws {
        #expect(try ChannelID(text).description == text)
    }

    @Test(arguments: ["", "A", "9a", "-a", "a_b", "a b", "ä", String(repeating: "x", count: 250)])
    func channelNameOutsideTheGrammarIsRefusedWithTheGrammar(text: String) {
        #expect(throws: InvalidName.self) { try ChannelID(text) }
    }

    @Test(arguments: ["lscc", "a__b", "-a", "a b", ""])
    func reservedOrMisspeltChaincodeNameIsRefused(name: String) {
        #expect(throws: InvalidName.self) { try ChaincodeName.validate(name) }
    }

    @Test func emptyMSPNameIsRefused() {
        #expect(throws: InvalidName.self) { try MSPID("") }
    }

    @Test(
        arguments: zip(
            [0, 1, 255, 256, 65536, UInt64.max],
            ["00", "0101", "01ff", "020100", "03010000", "08ffffffffffffffff"]
        )
    )
    func numberIsWrittenInTheOrderPreservingForm(number: UInt64, hexadecimal: String) throws {
        var bytes = Data()
        bytes.appendOrderPreserving(number)
        #expect(bytes.hexadecimal == hexadecimal)
        #expect(Version(encoded: bytes + bytes) == Version(block: number, transaction: number))
    }

    @Test(arguments: ["", "01", "0101", "090101010101010101010100", "010000", "01010100", "00000a"])
    func malformedVersionIsNil(hexadecimal: String) throws {
        #expect(Version(encoded: try #require(Data(hexadecimal: hexadecimal))) == nil)
    }

    @Test func hexadecimalOfEitherCaseIsReadAndOddOrForeignTextIsNot() {
        #expect(Data(hexadecimal: "0aFf") == Data([10, 255]))
        #expect(Data(hexadecimal: "0a0") == nil)
        #expect(Data(hexadecimal: "zz") == nil)
    }
}
