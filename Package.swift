// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

/// A module of Weft. `imports` is the whole list of what it may import.
func module(_ name: String, imports: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: imports, swiftSettings: settings)
}

/// The tests of one module, in the same folders as the module itself.
func tests(_ name: String, of module: Target.Dependency, and others: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: name,
        dependencies: [module, "TestSupport"] + others,
        exclude: exclusions[name] ?? [],
        swiftSettings: settings
    )
}

/// A sample contract.
func sample(_ name: String) -> Target {
    .executableTarget(
        name: name,
        dependencies: ["WeftContract"],
        path: "Samples/\(name)",
        swiftSettings: settings
    )
}

/// Files that tests read from disk and that are no part of any target.
let exclusions: [String: [String]] = [
    "RPCInteropTests": ["Python"],
    "ConformanceTests": ["Vectors", "compare_descriptors.py"],
    "EndToEndTests": ["client.py", "fabric.py", "chaincode"],
]

// Libraries.
let protobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")
let grpc: Target.Dependency = .product(name: "GRPCCore", package: "grpc-swift-2")
let grpcProtobuf: Target.Dependency = .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf")
let grpcInProcess: Target.Dependency = .product(name: "GRPCInProcessTransport", package: "grpc-swift-2")
let grpcNIO: Target.Dependency = .product(name: "GRPCNIOTransportHTTP2", package: "grpc-swift-nio-transport")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let asn1: Target.Dependency = .product(name: "SwiftASN1", package: "swift-asn1")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let http: [Target.Dependency] = [
    .product(name: "HummingbirdCore", package: "hummingbird"),
    .product(name: "HTTPTypes", package: "swift-http-types"),
    nioCore,
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOSSL", package: "swift-nio-ssl"),
]
let httpClient: [Target.Dependency] = [
    .product(name: "AsyncHTTPClient", package: "async-http-client"),
    nioCore,
    .product(name: "NIOHTTP1", package: "swift-nio"),
    .product(name: "NIOSSL", package: "swift-nio-ssl"),
]
let histogram: Target.Dependency = .product(name: "Histogram", package: "hdrhistogram-swift")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let metrics: Target.Dependency = .product(name: "CoreMetrics", package: "swift-metrics")
let subprocess: Target.Dependency = .product(name: "Subprocess", package: "swift-subprocess")
let yaml: Target.Dependency = .product(name: "Yams", package: "Yams")

/// The rules of a channel and the two modules whose types they are written in.
let channel: [Target.Dependency] = ["Channel", "Cryptography", "FabricProtos"]

let package = Package(
    name: "weft",
    products: [
        .executable(name: "weft", targets: ["weft"]),
        .library(name: "WeftClient", targets: ["WeftClient"]),
        .library(name: "WeftContract", targets: ["WeftContract"]),
        .library(name: "WeftContractTesting", targets: ["WeftContractTesting"]),
    ],
    dependencies: [
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift.git", from: "0.2.0"),
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1.git", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics.git", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-protobuf.git", from: "1.39.0"),
        .package(url: "https://github.com/grpc/grpc-swift-2.git", from: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport.git", from: "2.9.2"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf.git", from: "2.4.1"),
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.1", traits: []),
        .package(url: "https://github.com/jpsim/Yams.git", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client.git", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess.git", from: "1.0.2"),
    ],
    targets: [
        // System libraries: a module map and a shim header each.
        .systemLibrary(name: "CGRPC"),
        .systemLibrary(name: "CLevelDB"),
        .systemLibrary(name: "CMalloc"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl"),
        .systemLibrary(name: "CPKCS11", pkgConfig: "p11-kit-1"),
        .systemLibrary(name: "CProcess"),
        .systemLibrary(name: "CZlib"),

        // Foundations: each knows one outside thing and nothing of the others.
        module("FabricProtos", imports: [protobuf, grpc, grpcProtobuf]),
        module("Cryptography", imports: ["COpenSSL", "CPKCS11", asn1]),
        module("KeyValueStore", imports: ["CLevelDB"]),
        module("RPC", imports: ["CGRPC", grpc]),
        module("Archive", imports: ["CZlib"]),

        // Rules: pure. No files, sockets, clocks, tasks or logging.
        module("Consensus"),
        module("Channel", imports: ["FabricProtos", "Cryptography", protobuf, asn1]),
        module("Translation", imports: ["FabricProtos", protobuf]),

        // Subsystems: rules plus storage.
        module("Ledger", imports: channel + ["KeyValueStore", protobuf, log]),

        // How peers find, feed and heal each other: pure, like Consensus.
        module("Gossip", imports: channel + [protobuf]),

        // What every node shows its operator: HTTP, metrics, logs, health.
        module("Operations", imports: ["RPC", grpc, log, metrics, lifecycle] + http),

        // Roles: one module for each thing a process can be.
        module("CertificateAuthority", imports: channel + [protobuf, yaml]),
        module(
            "Orderer",
            imports: channel + [
                "Consensus", "KeyValueStore", "Ledger", "Operations", "RPC", grpc, grpcProtobuf, protobuf,
                log, lifecycle, deque,
            ]
        ),
        module(
            "Peer",
            imports: channel + [
                "Archive", "CProcess", "Emissions", "Gossip", "KeyValueStore", "Ledger", "Operations", "RPC",
                "WeftContract", grpc, grpcProtobuf, protobuf, log, lifecycle, deque,
            ]
        ),

        // For applications and contracts: the only modules with `public` declarations.
        module("WeftClient", imports: channel + ["RPC", grpc, grpcProtobuf, protobuf]),
        module("WeftContract", imports: channel + ["RPC", grpc, grpcProtobuf, protobuf]),
        // The contract `emissions`: built into peers, and a service (Samples/EmissionsService).
        module("Emissions", imports: ["Channel", "Cryptography", "WeftContract"]),
        // Tests of contracts: a channel in memory with the peers' own endorsement and validation.
        module("WeftContractTesting", imports: channel + ["Ledger", "Peer", "WeftContract", protobuf, log]),

        // The command line, configuration files and wiring.
        .executableTarget(
            name: "weft",
            dependencies: channel + [
                "CMalloc", "CertificateAuthority", "Gossip", "KeyValueStore", "Ledger", "Operations",
                "Orderer", "Peer", "RPC", "Translation", "WeftClient", "WeftContract",
                arguments, grpc, protobuf, histogram, lifecycle, log, subprocess, yaml,
            ] + httpClient,
            swiftSettings: settings
        ),

        // Tests.
        .target(name: "TestSupport", dependencies: [log], path: "Tests/TestSupport", swiftSettings: settings),
        tests("CryptographyTests", of: "Cryptography"),
        tests("ArchiveTests", of: "Archive"),
        tests("KeyValueStoreTests", of: "KeyValueStore"),
        .target(
            name: "RPCTestService",
            dependencies: ["RPC", "TestSupport", grpc],
            path: "Tests/RPCTestService",
            swiftSettings: settings
        ),
        tests("RPCTests", of: "RPC", and: ["CGRPC", "RPCTestService", grpc]),
        // Apart from RPCTests, since SwiftNIO is much to build and sanitizers have nothing to find in it.
        tests("RPCInteropTests", of: "RPC", and: ["RPCTestService", grpc, grpcNIO, nioCore]),
        tests(
            "OperationsTests",
            of: "Operations",
            and: ["RPC", "Cryptography", grpc, log, metrics, lifecycle] + http
        ),
        tests("ConsensusTests", of: "Consensus"),
        // Whole clusters under virtual time: see docs/operations/simulate.md.
        .target(
            name: "Simulation",
            dependencies: ["Consensus", "TestSupport"],
            path: "Tests/Simulation",
            exclude: ["Scenarios"],
            swiftSettings: settings
        ),
        // The same for the chains above the engines, which it reaches with @testable.
        .target(
            name: "ChainSimulation",
            dependencies: channel + [
                "Consensus", "KeyValueStore", "Ledger", "Orderer", "Simulation", protobuf, grpc, log,
            ],
            path: "Tests/ChainSimulation",
            swiftSettings: settings
        ),
        tests("SimulationTests", of: "Simulation", and: ["ChainSimulation", "Consensus"]),
        .executableTarget(
            name: "simulate",
            dependencies: ["ChainSimulation", "GossipSimulation", "Simulation", arguments],
            path: "Tests/Simulate",
            swiftSettings: settings
        ),
        tests("ChannelTests", of: "Channel", and: ["Cryptography", "FabricProtos", protobuf]),
        // Peers that gossip under virtual time; also what tests of Gossip are set up with.
        .target(
            name: "GossipSimulation",
            dependencies: channel + ["Gossip", "Simulation", "TestSupport", protobuf],
            path: "Tests/GossipSimulation",
            swiftSettings: settings
        ),
        tests("GossipTests", of: "Gossip", and: channel + ["GossipSimulation", "Simulation", protobuf]),
        tests("TranslationTests", of: "Translation", and: ["FabricProtos", protobuf]),
        tests("LedgerTests", of: "Ledger", and: channel + ["KeyValueStore", protobuf]),
        tests("CertificateAuthorityTests", of: "CertificateAuthority", and: channel + [protobuf]),
        tests(
            "OrdererTests",
            of: "Orderer",
            and: channel + [
                "Consensus", "KeyValueStore", "Ledger", "Operations", "RPC", grpc, grpcInProcess, protobuf,
                log, lifecycle,
            ]
        ),
        tests(
            "PeerTests",
            of: "Peer",
            and: channel + [
                "Archive", "Emissions", "KeyValueStore", "Ledger", "RPC", "WeftContract", grpc, grpcInProcess,
                protobuf, lifecycle, log,
            ]
        ),
        tests(
            "ConformanceTests",
            of: "Channel",
            and: ["Cryptography", "FabricProtos", "Ledger", "Peer", "Translation", protobuf, log]
        ),
        tests(
            "NetworkTests",
            of: "Peer",
            and: channel + [
                "CertificateAuthority", "Ledger", "Operations", "Orderer", "RPC", "WeftClient", grpc,
                lifecycle, log, protobuf,
            ] + httpClient
        ),
        // The command line's own parts; what needs running processes is in EndToEndTests.
        tests(
            "WeftTests",
            of: "weft",
            and: channel + [
                "CertificateAuthority", "Gossip", "Ledger", "Operations", "Orderer", "Peer", "RPC",
                "Translation", "WeftClient", "WeftContract", arguments, log, protobuf, yaml,
            ]
        ),
        tests("EndToEndTests", of: "WeftClient", and: ["weft"]),
        tests("EmissionsTests", of: "Emissions"),
        tests(
            "WeftContractTests",
            of: "WeftContract",
            and: channel + ["Peer", "RPC", "WeftContractTesting", grpc, log, protobuf]
        ),

        // Contracts to learn from, each a service, and their tests.
        sample("AssetTransfer"),
        sample("Custody"),
        sample("Trade"),
        .executableTarget(
            name: "EmissionsService",
            dependencies: ["Emissions", "WeftContract"],
            path: "Samples/EmissionsService",
            swiftSettings: settings
        ),
        .testTarget(
            name: "SampleTests",
            dependencies: ["AssetTransfer", "Custody", "Trade", "WeftContract", "WeftContractTesting"],
            path: "Samples/Tests",
            swiftSettings: settings
        ),
        // What contracts in every language do, in Swift; see scripts/contracts.
        .executableTarget(
            name: "BehaviourContract",
            dependencies: ["WeftContract"],
            path: "Tests/BehaviourContract",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "Benchmarks",
            dependencies: ["RPC", "CGRPC", "RPCTestService", "TestSupport", grpc, grpcNIO],
            path: "Tests/Benchmarks",
            swiftSettings: settings
        ),
    ]
)

// `WEFT_ONLY=RPCTests,ChannelTests swift build --build-tests` builds those targets and what they stand on,
// and nothing else: the way to a quick edit-and-test loop, and to sanitizer builds of one module's tests.
if let names = Context.environment["WEFT_ONLY"]?.split(separator: ",").map(String.init) {
    var wanted = Set(names)
    var pending = names
    while let name = pending.popLast() {
        guard let target = package.targets.first(where: { $0.name == name }) else { continue }
        for case .byNameItem(let dependency, _) in target.dependencies
        where wanted.insert(dependency).inserted {
            pending.append(dependency)
        }
    }
    package.targets.removeAll { !wanted.contains($0.name) }
    package.products.removeAll { product in
        guard let library = product as? Product.Library else { return !wanted.contains(product.name) }
        return !wanted.isSuperset(of: library.targets)
    }
}
