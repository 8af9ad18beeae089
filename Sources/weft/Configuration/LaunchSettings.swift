import Channel
import Foundation
import Peer

/// How a peer builds and starts contracts: the section `contracts` of `peer.yaml`.
///
/// ```yaml
/// contracts:
///   executeTimeout: 30s                # how long a contract may take for a transaction
///   startTimeout: 300s                 # from its start until it has registered
///   installTimeout: 300s               # how long building a package may take
///   listen: 127.0.0.1:0                # where launched contracts register; port 0 takes any that is free
///   address: 127.0.0.1:7052            # how they reach that; the listen address when left out
///   user: weft-contracts               # whom they run as, if the peer runs as root; as the peer when left out
///   limits: { addressSpace: 4 GB, openFiles: 4096, processes: 500 }
///   python: { program: python3, index: https://pypi.example/simple }
///   builders:                          # asked in this order, before those that Weft has
///     - { name: go, path: builders/go, propagateEnvironment: [GOPROXY] }
/// ```
extension PeerConfiguration {
    mutating func readContracts(_ section: ConfigurationSection) throws(ConfigurationError) {
        try section.allow(keys: [
            "executeTimeout", "startTimeout", "installTimeout", "listen", "address", "user", "limits",
            "python",
            "builders",
        ])
        func timeout(_ key: String, atLeast least: Int) throws(ConfigurationError) -> Duration? {
            try section.optionalValue(key, expected: "a duration of at least \(least)s, such as 30s") {
                GoDuration.parse($0).flatMap { $0 >= .seconds(least) ? $0 : nil }
            }
        }
        self.contracts.executeTimeout =
            try timeout("executeTimeout", atLeast: 1) ?? self.contracts.executeTimeout
        self.launching.startTimeout = try timeout("startTimeout", atLeast: 5) ?? self.launching.startTimeout
        self.launching.buildTimeout = try timeout("installTimeout", atLeast: 1) ?? self.launching.buildTimeout
        self.launching.listenAddress =
            try section.optionalValue("listen", expected: "host:port", configuredAddress)
            ?? self.launching.listenAddress
        self.launching.address = try section.optionalValue(
            "address",
            expected: "host:port",
            configuredAddress
        )
        let text: (String) -> String? = { $0.isEmpty ? nil : $0 }
        self.launching.limits.user = try section.optionalValue(
            "user",
            expected: "a user of this machine",
            text
        )
        if let limits = try section.optionalSection("limits") {
            try self.launching.limits.read(limits)
        }
        if let python = try section.optionalSection("python") {
            try python.allow(keys: ["program", "index"])
            self.launching.python.program =
                try python.optionalValue("program", expected: "a program", text) ?? "python3"
            self.launching.python.index = try python.optionalValue("index", expected: "a URL", text)
        }
        self.launching.builders = try section.sections("builders").map { builder throws(ConfigurationError) in
            try builder.allow(keys: ["name", "path", "propagateEnvironment"])
            return ExternalBuilder(
                name: try builder.value("name", expected: "a name", text),
                path: try builder.value("path", expected: "a folder") {
                    $0.isEmpty ? nil : configuredPath($0, from: builder.file)
                },
                propagatedEnvironment: try builder.texts("propagateEnvironment")
            )
        }
    }
}

extension ProcessLimits {
    fileprivate mutating func read(_ section: ConfigurationSection) throws(ConfigurationError) {
        try section.allow(keys: ["addressSpace", "openFiles", "processes"])
        let count: (String) -> Int? = { Int($0).flatMap { $0 > 0 ? $0 : nil } }
        self.addressSpace = try section.optionalValue("addressSpace", expected: "bytes, such as 4 GB") {
            byteCount($0)
        }
        self.openFiles =
            try section.optionalValue("openFiles", expected: "a number above zero", count) ?? self.openFiles
        self.processes = try section.optionalValue("processes", expected: "a number above zero", count)
    }
}

/// A number of bytes that may be more than ``ByteCount`` holds.
private func byteCount(_ text: String) -> Int? {
    if let bytes = Int(text) { return bytes > 0 ? bytes : nil }
    // Whole units of GB; smaller ones fit into the other type.
    let words = text.lowercased().replacing("gb", with: "").trimmingCharacters(in: .whitespaces)
    if text.lowercased().hasSuffix("gb"), let count = Int(words), (1..<1 << 20).contains(count) {
        return count << 30
    }
    return ByteCount(configured: text).flatMap { $0.bytes > 0 ? Int($0.bytes) : nil }
}

extension LaunchOptions {
    /// What `core.yaml` says of contracts that the peer builds and starts.
    ///
    /// - Source: Fabric v3.1, packages `core/peer` and `core/chaincode`, configuration.
    init(_ settings: FabricSettings) throws(ConfigurationError) {
        self.init()
        let listen = try settings.value(
            "peer.chaincodeListenAddress",
            expected: "host:port",
            configuredAddress
        )
        self.listenAddress = listen ?? self.listenAddress
        self.address = try settings.value("peer.chaincodeAddress", expected: "host:port", configuredAddress)
        // Fabric takes its defaults for what is too little.
        if let timeout = try settings.duration("chaincode.startuptimeout"), timeout >= .seconds(5) {
            self.startTimeout = timeout
        }
        if let timeout = try settings.duration("chaincode.installTimeout"), timeout > .zero {
            self.buildTimeout = timeout
        }
        let key = "chaincode.externalBuilders"
        self.builders = try settings.sections(key).map { section throws(ConfigurationError) in
            guard let path = section["path"], !path.isEmpty else {
                throw settings.error(
                    key,
                    "invalid external builder configuration, path attribute missing in one or more builders"
                )
            }
            guard let name = section["name"], !name.isEmpty else {
                throw settings.error(key, "external builder at path \(path) has no name attribute")
            }
            return ExternalBuilder(
                name: name,
                path: configuredPath(path, from: settings.file),
                // The list's entries, one on each line.
                propagatedEnvironment: (section["propagateenvironment"] ?? "")
                    .split(whereSeparator: \.isWhitespace).map(String.init)
            )
        }
    }
}
