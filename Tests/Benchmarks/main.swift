// Benchmarks of parts that `weft bench` doesn't see. Built and run by scripts/bench.
import Foundation

switch CommandLine.arguments.dropFirst().first {
case "rpc":
    try await RPCBenchmark().run()
case "rpc-server" where CommandLine.arguments.count == 4:
    guard let variant = RPCBenchmark.Variant(rawValue: CommandLine.arguments[2]) else { exit(64) }
    try await ServerProcess.serve(variant, TLSFolder(path: CommandLine.arguments[3]))
default:
    print("usage: Benchmarks rpc")
    exit(64)
}
