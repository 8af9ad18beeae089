// Benchmarks of parts that `weft bench` doesn't see. Built and run by scripts/bench.
import Foundation

switch CommandLine.arguments.dropFirst().first {
case "rpc":
    var benchmark = RPCBenchmark()
    let named = CommandLine.arguments.dropFirst(2)
    if !named.isEmpty { benchmark.variants = named.compactMap(RPCBenchmark.Variant.init(rawValue:)) }
    guard named.isEmpty || benchmark.variants.count == named.count else { exit(64) }
    try await benchmark.run()
case "rpc-server" where CommandLine.arguments.count == 4:
    guard let variant = RPCBenchmark.Variant(rawValue: CommandLine.arguments[2]) else { exit(64) }
    try await ServerProcess.serve(variant, TLSFolder(path: CommandLine.arguments[3]))
case "rpc-soak":
    let seconds = CommandLine.arguments.dropFirst(2).first.flatMap(Int.init) ?? 60
    let soak = RPCSoak(duration: .seconds(seconds), names: Array(CommandLine.arguments.dropFirst(3)))
    exit(try await soak.run() ? 0 : 1)
default:
    print("usage: Benchmarks rpc [raw|core|pinned|direct|nio ...] | rpc-soak [SECONDS]")
    exit(64)
}
