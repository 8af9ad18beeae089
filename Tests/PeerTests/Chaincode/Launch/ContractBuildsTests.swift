import Archive
import Foundation
import Logging
import Testing

@testable import Peer

/// What becomes of packages before they run.
@Suite struct ContractBuildsTests {
    private let folder: TemporaryFolder

    init() throws { self.folder = try TemporaryFolder() }

    private func package(
        _ type: String,
        _ files: [(String, String)],
        programs: Set<String> = []
    ) throws -> ChaincodePackage {
        let code = try Gzip.pack(
            Tar.archive(files.map { ($0.0, Data($0.1.utf8)) }, programs: programs)
        )
        let metadata = Data(#"{"path":"","type":"\#(type)","label":"cc"}"#.utf8)
        return try ChaincodePackage(
            Gzip.pack(Tar.archive([("metadata.json", metadata), ("code.tar.gz", code)]))
        )
    }

    private func builds(_ builders: [ExternalBuilder] = []) -> ContractBuilds {
        var options = LaunchOptions()
        options.builders = builders
        options.environment = ["PATH": "/usr/bin:/bin", "SECRET": "s", "SHARED": "yes"]
        return ContractBuilds(options, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func place(_ package: ChaincodePackage) -> ContractFolder {
        ContractFolder(dataFolder: self.folder.path, packageID: package.id)
    }

    private func plan(_ result: BuiltContract) throws -> LaunchPlan {
        guard case .program(let plan) = result else { throw ContractError("it runs elsewhere") }
        return plan
    }

    @Test func anExecutableIsRunAsItIs() async throws {
        let package = try self.package("executable", [("trade", "#!/bin/sh\n")])
        let plan = try self.plan(await self.builds().result(of: package, self.place(package)))
        #expect(plan.connection == .client && plan.arguments.isEmpty)
        #expect(plan.path.hasSuffix("/source/trade"))
        #expect(FileManager.default.isExecutableFile(atPath: plan.path))
    }

    @Test func aPackageSaysWhichProgramRunsAndHow() async throws {
        let package = try self.package(
            "binary",
            [
                ("contract.json", #"{"program": "bin/x", "arguments": ["-v"], "connection": "server"}"#),
                ("bin/x", ""), ("bin/y", ""),
            ]
        )
        let plan = try self.plan(await self.builds().result(of: package, self.place(package)))
        #expect(plan.connection == .server && plan.arguments == ["-v"] && plan.path.hasSuffix("/bin/x"))
    }

    @Test(arguments: [
        (#"{"program": "../x"}"#, "leads out"), (#"{"program": "none"}"#, "no file \"none\""),
        (#"{"program": "a", "connection": "tcp"}"#, "server, socket or client"), ("[]", "JSON object"),
        ("{}", "which of its files"),
    ])
    func unusableDescriptionsAreRefused(json: String, reason: String) async throws {
        let package = try self.package("executable", [("contract.json", json), ("a", ""), ("b", "")])
        let error = await #expect(throws: ContractError.self) {
            try await self.builds().result(of: package, self.place(package))
        }
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
    }

    @Test func aTypeThatNobodyBuildsIsRefused() async throws {
        let package = try self.package("golang", [("src/main.go", "")])
        let error = await #expect(throws: ContractError.self) {
            try await self.builds().result(of: package, self.place(package))
        }
        #expect(error?.description.contains("type \"golang\"") == true)
    }

    // MARK: External builders

    /// A builder of shell lines; those that are left out have no program.
    private func builder(_ programs: [String: String]) throws -> ExternalBuilder {
        for (name, lines) in programs {
            try self.folder.write("#!/bin/sh\n\(lines)\n", to: "builder/bin/\(name)", isProgram: true)
        }
        return ExternalBuilder(
            name: "shell",
            path: self.folder.path + "/builder",
            propagatedEnvironment: ["SHARED"]
        )
    }

    @Test func anExternalBuilderGetsItsFoldersAndEnvironment() async throws {
        let builder = try self.builder([
            "detect": #"grep -q '"type":"golang"' "$2/metadata.json""#,
            "build": #"cp "$1/src/main.go" "$3/program"; env > "$3/environment"; test -f "$2/metadata.json""#,
            "release": #"test -f "$1/program" && touch "$2/released""#,
            "run": "exit 0",
        ])
        let package = try self.package("golang", [("src/main.go", "package main")])
        let place = self.place(package)
        let plan = try self.plan(await self.builds([builder]).result(of: package, place))
        #expect(plan.connection == .external && plan.limits == nil)
        #expect(plan.path == builder.path + "/bin/run" && plan.arguments == [place.build.path + "/bld"])
        let environment = try String(
            contentsOf: place.build.appendingPathComponent("bld/environment"),
            encoding: .utf8
        )
        #expect(environment.contains("SHARED=yes") && !environment.contains("SECRET"))
        #expect(FileManager.default.fileExists(atPath: place.build.path + "/release/released"))

        // What is built isn't built again, but needs its builder.
        try self.folder.write("#!/bin/sh\nexit 1\n", to: "builder/bin/build", isProgram: true)
        _ = try await self.builds([builder]).result(of: package, place)
        let gone = await #expect(throws: ContractError.self) {
            try await self.builds().result(of: package, place)
        }
        #expect(gone?.description.contains("isn't configured any more") == true)
    }

    @Test func aBuilderMayReleaseTheAddressOfAService() async throws {
        let connection = #"{"address": "cc.example:9999"}"#
        let builder = try self.builder([
            "detect": "exit 0", "build": "exit 0",
            "release":
                #"mkdir -p "$2/chaincode/server" && echo '\#(connection)' > "$2/chaincode/server/connection.json""#,
        ])
        let package = try self.package("golang", [("src/main.go", "")])
        let result = try await self.builds([builder]).result(of: package, self.place(package))
        guard case .service(let address) = result else {
            Issue.record("it runs here")
            return
        }
        #expect(address.address == "cc.example:9999")
    }

    @Test func aBuildThatFailsIsToldWithWhatItPrinted() async throws {
        let builder = try self.builder([
            "detect": "exit 0", "build": "echo 'main.go:7: no such thing' >&2; exit 2",
        ])
        let package = try self.package("golang", [("src/main.go", "")])
        for _ in 0..<2 {
            let error = await #expect(throws: ContractError.self) {
                try await self.builds([builder]).result(of: package, self.place(package))
            }
            let text = error?.description ?? ""
            #expect(text.contains("external builder 'shell' failed") && text.contains("exited with status 2"))
            #expect(text.contains("main.go:7: no such thing") && text.contains("build.log"))
        }
    }

    @Test func aBuildThatTakesTooLongIsEnded() async throws {
        let build = BuildFolder(
            root: self.folder.url,
            packageID: "cc:00",
            mark: ProcessMark(dataFolder: self.folder.path).launch("cc"),
            log: ContractLog(file: self.folder.url.appendingPathComponent("build.log")),
            timeout: .milliseconds(100)
        )
        let plan = LaunchPlan(
            path: "/bin/sh",
            arguments: ["-c", "exec sleep 1000"],
            folder: self.folder.path,
            connection: .external
        )
        let error = await #expect(throws: ContractError.self) { try await build.require(plan) }
        #expect(error?.description.contains("took longer than") == true, "\(error?.description ?? "")")
    }

    @Test func aBuilderThatDoesNotDetectIsPassedOver() async throws {
        let builder = try self.builder(["detect": "exit 1"])
        let package = try self.package("executable", [("a", "")])
        let plan = try self.plan(await self.builds([builder]).result(of: package, self.place(package)))
        #expect(plan.connection == .client)
    }
}
