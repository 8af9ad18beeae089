// Module RPC: gRPC for the whole node, on gRPC C core.
//
// ``CoreServerTransport`` and ``CoreClientTransport`` implement `GRPCCore`'s transports, so services, stubs
// and interceptors are those of grpc-swift-2:
//
//     let pollers = PollerGroup()
//     let transport = try CoreServerTransport(listeningOn: "127.0.0.1:7051", tls: tls, pollers: pollers)
//     let server = GRPCServer(transport: transport, services: [endorser, deliver])
//
//     let client = GRPCClient(transport: try CoreClientTransport(target: "peer0:7051", tls: tls, pollers: pollers))
//
// How it works, from the bottom:
// - A ``PollerGroup`` owns completion queues of C core, each with a thread that waits on it.
// - What core has begun and not finished is a batch; its tag is a retained ``CompletionTarget`` (`Call`,
//   `ListeningServer`) and the ``Operation`` in the low bits of the address.
// - A `Call` owns one `grpc_call`, the memory core writes into and the state of both directions; `ClientCall`
//   and `ServerCall` add the order of things on their side.
// - Readers and writers suspend in a `WaitList`. The thread of the completion queue wakes them, and is an executor
//   too: between completions it runs the tasks that prefer it, as handlers do by default (``PollerGroup``).
