import Testing

@testable import weft

@Suite struct ConfigurationSectionTests {
    private func section(_ yaml: String) throws -> ConfigurationSection {
        try ConfigurationSection(yaml: yaml, file: "some.yaml")
    }

    private func message(_ body: () throws -> Void) -> String {
        do {
            try body()
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test func valuesAreRead() throws {
        let root = try self.section("a: 5\nb: { c: text }\nlist: [x, 'y', 3]\n")
        #expect(try root.value("a", expected: "a number") { Int($0) } == 5)
        #expect(try root.section("b").value("c", expected: "a text") { $0 } == "text")
        #expect(try root.texts("list") == ["x", "y", "3"])
        #expect(root.keys == ["a", "b", "list"])
    }

    @Test func whatIsLeftOutIsNil() throws {
        let root = try self.section("a:\nb: ~\n")
        for key in ["a", "b", "c"] {
            #expect(!root.contains(key))
            #expect(try root.optionalValue(key, expected: "a text") { $0 } == nil)
            #expect(try root.optionalSection(key) == nil)
            #expect(try root.texts(key).isEmpty)
            #expect(try root.sections(key).isEmpty)
        }
    }

    @Test func anEmptyFileHasNoKeys() throws {
        #expect(try self.section("").keys.isEmpty)
        #expect(try self.section("# nothing\n").keys.isEmpty)
    }

    @Test(arguments: ["just a text", "- a\n- b\n", "a: [", "a: b: c", "\t- x"])
    func whatHasNoKeysAndValuesIsRefused(_ yaml: String) {
        #expect(throws: ConfigurationError.self) { try self.section(yaml) }
    }

    @Test func errorsNameFileLineKeyAndWhatWasExpected() throws {
        let root = try self.section("first: 1\nsecond:\n  third: x\n")
        let wrong = self.message {
            _ = try root.section("second").value("third", expected: "a number") { Int($0) }
        }
        #expect(wrong == "some.yaml:3: second.third: \"x\" is not valid; expected a number")
        let missing = self.message { _ = try root.value("fourth", expected: "a number") { Int($0) } }
        #expect(missing.hasSuffix("fourth: missing; expected a number"))
        let list = self.message { _ = try root.value("second", expected: "a number") { Int($0) } }
        #expect(list.contains("found keys below it"))
    }

    @Test func unknownKeysAreRefusedWithTheKnownOnes() throws {
        let root = try self.section("listen: a\nlisten_: b\n")
        let text = self.message { try root.allow(keys: ["listen", "data"]) }
        #expect(text == "some.yaml:2: listen_: unknown key; known here: data, listen")
    }

    @Test func aFileThatIsNotThereIsNamed() {
        let text = self.message { _ = try ConfigurationSection(file: "/nowhere/x.yaml") }
        #expect(text == "/nowhere/x.yaml: no such file")
    }
}

@Suite struct MergedYAMLTests {
    private func merged(_ yaml: String) throws -> ConfigurationSection {
        try ConfigurationSection(yaml: yaml, file: "some.yaml").merged()
    }

    @Test func mergedKeysAreThereAndOwnKeysWin() throws {
        let root = try self.merged(
            """
            Defaults: &d { a: 1, b: 2 }
            Use:
              <<: *d
              b: 3
            """
        )
        let use = try root.section("Use")
        #expect(try use.value("a", expected: "") { $0 } == "1")
        #expect(try use.value("b", expected: "") { $0 } == "3")
        #expect(!use.contains("<<"))
    }

    @Test func ofSeveralSourcesTheFirstWins() throws {
        let root = try self.merged(
            "One: &one { a: 1 }\nTwo: &two { a: 2, b: 2 }\nUse: { <<: [*one, *two] }\n"
        )
        #expect(try root.section("Use").value("a", expected: "") { $0 } == "1")
        #expect(try root.section("Use").value("b", expected: "") { $0 } == "2")
    }

    @Test func mergesInsideOfMergedSectionsAndListsAreCarriedOut() throws {
        let root = try self.merged(
            """
            Policies: &p { Readers: { Rule: r }, Admins: { Rule: a } }
            Org: &org { Name: o, Policies: { <<: *p } }
            Profile:
              Organizations:
                - <<: *org
                  Policies: { <<: *p, Admins: { Rule: other } }
            """
        )
        let organization = try #require(try root.section("Profile").sections("Organizations").first)
        let policies = try organization.section("Policies")
        #expect(try policies.section("Admins").value("Rule", expected: "") { $0 } == "other")
        #expect(try policies.section("Readers").value("Rule", expected: "") { $0 } == "r")
        #expect(try organization.value("Name", expected: "") { $0 } == "o")
    }

    @Test func mergingWhatIsNoMappingIsRefused() {
        #expect(throws: ConfigurationError.self) { try self.merged("a: &a 5\nb: { <<: *a }\n") }
    }

    @Test func aFileThatGrowsBeyondMeasureIsRefused() {
        var yaml = "x0: &x0 [a, a, a, a, a, a, a, a, a, a]\n"
        for level in 1...8 {
            let name = "*x\(level - 1)"
            yaml +=
                "x\(level): &x\(level) [" + Array(repeating: name, count: 10).joined(separator: ", ") + "]\n"
        }
        #expect(throws: ConfigurationError.self) { try self.merged(yaml) }
    }
}

@Suite struct FabricYAMLTests {
    private func section(_ yaml: String) throws -> ConfigurationSection {
        try ConfigurationSection(yaml: yaml, file: "some.yaml")
    }

    @Test func keysAreTakenInAnyCase() throws {
        let root = try self.section("ordererendpoints: [a]\nNAME: n\n").spelled(["OrdererEndpoints", "Name"])
        #expect(try root.texts("OrdererEndpoints") == ["a"])
        #expect(try root.value("Name", expected: "") { $0 } == "n")
    }

    @Test func aKeyWithoutValueYieldsToTheSameOneInAnotherCase() throws {
        for yaml in ["Name:\nname: n\n", "name: n\nName:\n"] {
            #expect(try self.section(yaml).spelled(["Name"]).value("Name", expected: "") { $0 } == "n")
        }
    }

    @Test(arguments: ["Nmae: n\n", "Name: a\nname: b\n"])
    func unknownAndRepeatedKeysAreRefused(_ yaml: String) throws {
        let root = try self.section(yaml)
        #expect(throws: ConfigurationError.self) { try root.spelled(["Name"]) }
    }

    @Test func theEnvironmentWins() throws {
        let root = try self.section(
            "Orderer:\n  BatchTimeout: 2s\n  Addresses:\n  Other: 5\nList: [{ A: 1 }]\n"
        )
        let changed = root.overridden(
            by: [
                "CONFIGTX_ORDERER_BATCHTIMEOUT": "3s", "CONFIGTX_ORDERER_ADDRESSES": "[a:1, b:2]",
                "CONFIGTX_ORDERER_OTHER": "", "CONFIGTX_LIST_A": "2", "CONFIGTX_UNKNOWN": "x",
                "ORDERER_BATCHTIMEOUT": "9s",
            ],
            prefix: "CONFIGTX"
        )
        let orderer = try changed.section("Orderer")
        #expect(try orderer.value("BatchTimeout", expected: "") { $0 } == "3s")
        #expect(try orderer.list("Addresses") == ["a:1", "b:2"])
        #expect(try orderer.value("Other", expected: "") { $0 } == "5")
        #expect(try changed.sections("List").first?.value("A", expected: "") { $0 } == "1")
        #expect(changed.keys == ["Orderer", "List"])
    }

    @Test func aListMayBeWrittenAsText() throws {
        let root = try self.section("a: x\nb: '[x, y]'\nc: [x, y]\nd:\n")
        #expect(try root.list("a") == ["x"])
        #expect(try root.list("b") == ["x", "y"])
        #expect(try root.list("c") == ["x", "y"])
        #expect(try root.list("d").isEmpty)
    }
}
