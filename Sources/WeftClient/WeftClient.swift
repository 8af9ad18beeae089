/// The client library: submit transactions, ask questions and follow blocks and events of a Fabric-compatible network.
///
/// ```swift
/// let identity = try ClientIdentity(mspID: "UtilityMSP", certificate: certificatePEM, privateKey: keyPEM)
/// try await withConnection(to: Endpoint("127.0.0.1:7051"), security: security) { connection in
///     let gateway = connection.gateway(channel: "emissions", as: identity)
///     let done = try await gateway.submit(Invocation("emissions", "CreateAccount", ["acme", "CA"]))
///     print("committed in block \(done.block)")
/// }
/// ```
///
/// What it promises: a transaction whose submission returns is committed and valid on the peer that it was submitted
/// through; an error says what is known about the outcome, which organization refused, and why.
public enum WeftClient {}
