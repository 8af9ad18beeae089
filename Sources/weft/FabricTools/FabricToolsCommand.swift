import ArgumentParser

/// `weft fabric`: names the programs of Fabric that `weft` stands in for; `scripts/link-fabric-tools` asks.
///
/// `weft fabric NAME …` never gets here: ``FabricTool/called(by:)`` takes it before.
struct FabricToolsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: FabricTool.door,
        abstract: "Name the programs of Fabric that weft stands in for, one a line.",
        discussion: "weft fabric NAME ... runs one of them, as a link of that name does.",
        shouldDisplay: false
    )

    func run() {
        for tool in FabricTool.allCases { print(tool.rawValue) }
    }
}
