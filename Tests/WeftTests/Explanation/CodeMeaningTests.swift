import FabricProtos
import Testing

@testable import weft

@Suite struct CodeMeaningTests {
    @Test(arguments: Protos_TxValidationCode.allCases)
    func everyCodeHasWordsOfItsOwn(_ code: Protos_TxValidationCode) {
        let meaning = CodeMeaning(code)
        #expect(!meaning.meaning.isEmpty)
        #expect(!meaning.advice.isEmpty)
        #expect(meaning != CodeMeaning(.UNRECOGNIZED(99)))
    }

    @Test func anUnknownCodeIsToldAsSuch() {
        #expect(CodeMeaning(.UNRECOGNIZED(99)).meaning.contains("doesn't know"))
    }
}
