import Testing

@testable import weft

/// Whether a command line is meant for `weft` or for one of Fabric's programs.
struct FabricToolTests {
    @Test(arguments: FabricTool.allCases)
    func aLinkByAToolsNameRunsThatTool(_ tool: FabricTool) throws {
        let called = try #require(FabricTool.called(by: ["/usr/local/bin/\(tool.rawValue)", "--help"]))
        #expect(called.tool == tool)
        #expect(called.arguments == ["--help"])
    }

    @Test func theWordFabricDoesTheSameWithoutALink() throws {
        let called = try #require(FabricTool.called(by: ["/opt/weft", "fabric", "peer", "channel", "list"]))
        #expect(called.tool == .peer)
        #expect(called.arguments == ["channel", "list"])
    }

    @Test(arguments: [
        ["weft", "peer", "start"], ["weft"], ["weft", "fabric"], ["weft", "fabric", "--help"],
        ["weft-1.0", "fabric"],
        [],
    ])
    func anythingElseIsForWeftItself(_ line: [String]) {
        #expect(FabricTool.called(by: line) == nil)
    }
}
