internal import CGRPC
package import GRPCCore

extension CoreClientTransport {
    /// Makes a unary call without GRPCCore's client, whose streams, closures and tasks cost about as much as C core's
    /// whole part of the call; see ``DirectMethod`` for the server's side.
    ///
    /// The transport must run (`GRPCClient.runConnections()`). The call is cancelled with the task. Nothing is retried,
    /// and interceptors don't see it.
    ///
    /// - Parameters:
    ///   - request: the request.
    ///   - method: a unary method.
    ///   - serializer: encodes the request.
    ///   - deserializer: decodes the response.
    ///   - timeout: after which the call fails with `deadlineExceeded`; `nil` for none.
    /// - Returns: the response.
    /// - Throws: `RPCError` with the call's status; what the coders throw.
    package func unary<Input, Output>(
        _ request: Input,
        _ method: MethodDescriptor,
        serializer: some MessageSerializer<Input>,
        deserializer: some MessageDeserializer<Output>,
        timeout: Duration? = nil
    ) async throws -> Output {
        let bytes: MessageBytes = try serializer.serialize(request)
        let call = try self.makeCall(method, .defaults)
        defer { self.leave(call) }
        let response = try await withTaskCancellationHandler {
            try await call.exchange(
                bytes,
                deadline: timeout.map(deadline(after:)) ?? gpr_inf_future(GPR_CLOCK_MONOTONIC)
            )
        } onCancel: {
            call.cancelByCaller()
        }
        return try deserializer.deserialize(response)
    }
}

/// The moment when `timeout` is over.
private func deadline(after timeout: Duration) -> gpr_timespec {
    let (seconds, attoseconds) = timeout.components
    var span = gpr_time_from_seconds(seconds, GPR_TIMESPAN)
    span.tv_nsec = Int32(truncatingIfNeeded: attoseconds / 1_000_000_000)
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), span)
}
