import FabricProtos
import Logging
import Synchronization

@testable import Peer

/// A contract behind a chaincode stream whose other end is a ``ScriptShim`` in this process.
///
/// Each chaincode gets a stream of its own: a contract that calls another one runs the same transaction twice.
final class LoopbackContract: Contract {
    static let packageID = "script:00"
    private static let names = ["scriptcc", "othercc", "initcc"]

    private let streams: [String: ChaincodeStream]
    private let ready: AsyncStream<Void>

    init(_ options: ChaincodeStreamRules.Options = .init()) {
        let (ready, isReady) = AsyncStream.makeStream(of: Void.self)
        self.ready = ready
        var streams: [String: ChaincodeStream] = [:]
        for name in Self.names {
            streams[name] = ChaincodeStream(
                packageID: Self.packageID,
                options: options,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                whenReady: { _ in isReady.yield() }
            )
        }
        self.streams = streams
    }

    /// Runs until the task is cancelled.
    func serve() async {
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                for stream in self.streams.values {
                    group.addTask {
                        let shim = ScriptShim(packageID: Self.packageID, send: stream.received)
                        try? await shim.run(stream.outbound)
                    }
                }
            }
        } onCancel: {
            for stream in self.streams.values { stream.end() }
        }
    }

    func waitUntilReady() async {
        var left = Self.names.count
        for await _ in self.ready {
            left -= 1
            if left == 0 { return }
        }
    }

    func invoke(_ stub: ContractStub) async throws -> Protos_Response {
        guard let stream = self.streams[stub.chaincodeName] else { throw ContractError("no such contract") }
        return try await stream.execute(stub)
    }
}
