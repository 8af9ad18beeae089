package import GRPCCore

/// A unary method whose calls the server transport answers itself.
///
/// GRPCCore serves such a call as two streams of one message each, through a dozen asynchronous closures: that takes
/// about as much processor time as all that C core does on the server's side (`scripts/bench rpc`, docs/benchmarks.md).
/// A transport that knows the method's ``answer`` calls it at once. What is lost: `ServerContext`, metadata and
/// interceptors.
///
/// The task is cancelled when the client cancels, the deadline passes or the connection is lost.
package struct DirectMethod: Sendable {
    package let descriptor: MethodDescriptor
    /// Turns the request into the response; what it throws becomes the call's status, as with GRPCCore.
    package let answer: @Sendable (MessageBytes) async throws -> MessageBytes

    package init(
        _ descriptor: MethodDescriptor,
        answer: @escaping @Sendable (MessageBytes) async throws -> MessageBytes
    ) {
        self.descriptor = descriptor
        self.answer = answer
    }

    /// A method whose messages are decoded and encoded like GRPCCore's.
    package init<Input, Output>(
        _ descriptor: MethodDescriptor,
        deserializer: some MessageDeserializer<Input>,
        serializer: some MessageSerializer<Output>,
        answer: @escaping @Sendable (Input) async throws -> Output
    ) {
        self.init(descriptor) { request in
            try await serializer.serialize(answer(deserializer.deserialize(request)))
        }
    }
}

extension RPCError {
    /// What a client is told of an error that a service has thrown.
    package init(thrownByService error: any Error) {
        self =
            switch error {
            case let error as RPCError: error
            case let error as any RPCErrorConvertible: RPCError(error)
            default: RPCError(code: .unknown, message: "Service method threw an unknown error.", cause: error)
            }
    }
}
