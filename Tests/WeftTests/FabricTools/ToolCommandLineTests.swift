import Testing

@testable import weft

/// The grammar of Fabric's tools, where it differs from the argument parser's.
struct ToolCommandLineTests {
    private static let tool = ToolCommand(
        "tool",
        "A tool.",
        commands: [
            ToolCommand(
                "channel",
                "Operate a channel.",
                sharedFlags: [
                    ToolFlag("orderer", "o", "an orderer"), ToolFlag("tls", nil, .flag, "over TLS"),
                ],
                commands: [
                    ToolCommand(
                        "fetch",
                        operands: "<number>",
                        "Fetch a block.",
                        flags: [
                            ToolFlag("channelID", "c", "a channel"), ToolFlag("raw", "r", .flag, "raw"),
                            ToolFlag("hex", "x", .flag, "hex"), ToolFlag("peer", nil, .texts, "peers"),
                            ToolFlag("count", nil, .integer, "a number"),
                            ToolFlag("wait", nil, .flag, standard: "true", "wait"),
                            ToolFlag("timeout", nil, .duration, standard: "30s", "time"),
                        ]
                    ) { _ in }
                ]
            )
        ]
    )

    private func call(_ words: String...) throws -> ToolCommand.Call {
        try ToolCommandLine(Self.tool, words).call()
    }

    private func refusal(_ words: String...) -> ToolFailure? {
        do {
            _ = try ToolCommandLine(Self.tool, words).call()
            return nil
        } catch {
            return error
        }
    }

    @Test func sharedFlagsMayStandAnywhere() throws {
        for words in [
            ["channel", "fetch", "newest", "-o", "a:1", "--tls"],
            ["channel", "-o", "a:1", "fetch", "--tls", "newest"],
            ["-o", "a:1", "channel", "--tls", "fetch", "newest"],
        ] {
            let call = try ToolCommandLine(Self.tool, words).call()
            #expect(call.path == "tool channel fetch")
            #expect(call.flags.text("orderer") == "a:1")
            #expect(call.flags.flag("tls"))
            #expect(call.operands == ["newest"])
        }
    }

    @Test func valuesAreTakenInEveryForm() throws {
        for words in [["-c", "-x"], ["-c-x"], ["-c=-x"], ["--channelID", "-x"], ["--channelID=-x"]] {
            let call = try ToolCommandLine(Self.tool, ["channel", "fetch"] + words).call()
            #expect(call.flags.text("channelID") == "-x", "\(words)")
            #expect(!call.flags.flag("hex"))
        }
    }

    @Test func flagsThatAreTrueOrFalseTakeAValueOnlyWithAnEqualsSign() throws {
        let call = try self.call("channel", "fetch", "--tls=false", "--wait=false", "-rx=F", "newest")
        #expect(!call.flags.flag("tls"))
        #expect(!call.flags.flag("wait"))
        #expect(call.flags.flag("raw"))
        #expect(!call.flags.flag("hex"))
        #expect(try self.call("channel", "fetch", "--tls", "false").operands == ["false"])
    }

    @Test func repeatedFlagsKeepAllValuesOrTheLast() throws {
        let call = try self.call("channel", "fetch", "--peer", "a,b", "--peer=c", "-c", "one", "-c", "two")
        #expect(call.flags.texts("peer") == ["a,b", "c"])
        #expect(call.flags.text("channelID") == "two")
    }

    @Test func flagsThatArentGivenHaveTheirStandard() throws {
        let call = try self.call("channel", "fetch")
        #expect(call.flags.flag("wait"))
        #expect(call.flags.duration("timeout") == .seconds(30))
        #expect(call.flags.integer("count") == 0)
        #expect(call.flags.texts("peer").isEmpty)
    }

    @Test func wordsBehindTwoHyphensAreOperands() throws {
        #expect(try self.call("channel", "fetch", "--", "-c", "--tls").operands == ["-c", "--tls"])
    }

    /// The texts that Fabric v3.1.5's `peer` prints.
    @Test func refusalsAreInTheWordsOfFabricsTools() {
        #expect(self.refusal("chanel")?.description == "unknown command \"chanel\" for \"tool\"")
        #expect(
            self.refusal("channel", "create")?.description
                == "unknown command \"create\" for \"tool channel\""
        )
        #expect(self.refusal("channel", "fetch", "--foo")?.description == "unknown flag: --foo")
        #expect(self.refusal("channel", "fetch", "-z")?.description == "unknown shorthand flag: 'z' in -z")
        #expect(self.refusal("channel", "fetch", "-c")?.description == "flag needs an argument: 'c' in -c")
        #expect(
            self.refusal("channel", "fetch", "--channelID")?.description
                == "flag needs an argument: --channelID"
        )
        #expect(
            self.refusal("channel", "fetch", "--tls=xx")?.description
                == "invalid argument \"xx\" for \"--tls\" flag: strconv.ParseBool: parsing \"xx\": invalid syntax"
        )
        #expect(
            self.refusal("channel", "fetch", "--count", "x")?.description
                == "invalid argument \"x\" for \"--count\" flag: strconv.ParseInt: parsing \"x\": invalid syntax"
        )
        #expect(
            self.refusal("channel", "fetch", "--timeout", "3")?.description
                == "invalid argument \"3\" for \"--timeout\" flag: time: missing unit in duration \"3\""
        )
        #expect(
            self.refusal("channel", "fetch", "-r=2")?.description
                == "invalid argument \"2\" for \"-r, --raw\" flag: strconv.ParseBool: parsing \"2\": invalid syntax"
        )
    }

    @Test func helpIsLaidOutAsThatOfFabricsTools() throws {
        let fetch = try ToolCommandLine(Self.tool, ["channel", "fetch"])
        #expect(
            ToolHelp(fetch).text == """
                Fetch a block.

                Usage:
                  tool channel fetch <number> [flags]

                Flags:
                  -c, --channelID string   a channel
                      --count int          a number
                  -h, --help               show this text
                  -x, --hex                hex
                      --peer stringArray   peers
                  -r, --raw                raw
                      --timeout duration   time (default 30s)
                      --wait               wait (default true)

                Global Flags:
                  -o, --orderer string   an orderer
                      --tls              over TLS
                """
        )
        let channel = try ToolCommandLine(Self.tool, ["channel"])
        #expect(
            ToolHelp(channel).text == """
                Operate a channel.

                Usage:
                  tool channel [command]

                Available Commands:
                  fetch       Fetch a block.

                Flags:
                  -h, --help             show this text
                  -o, --orderer string   an orderer
                      --tls              over TLS

                Use "tool channel [command] --help" for more information about a command.
                """
        )
    }

    @Test func theWholeOfPeerHasNoFlagTwice() throws {
        func check(_ command: ToolCommand, _ inherited: [ToolFlag]) {
            let flags = command.flags + command.sharedFlags + inherited + [.help]
            #expect(Set(flags.map(\.name)).count == flags.count, "\(command.name)")
            let shorts = flags.compactMap(\.short)
            #expect(Set(shorts).count == shorts.count, "\(command.name)")
            for child in command.commands { check(child, inherited + command.sharedFlags) }
        }
        check(PeerTool.tool, [])
    }

    @Test func numbersAreReadAsGoReadsThem() {
        #expect(goInteger("0x1f") == 31)
        #expect(goInteger("-7") == -7)
        #expect(goInteger("--7") == nil)
        #expect(goInteger("") == nil)
        #expect(goInteger("1.5") == nil)
        #expect(goInteger("99999999999999999999") == nil)
        #expect(goInteger("0x") == nil)
    }
}
