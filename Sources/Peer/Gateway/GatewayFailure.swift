internal import Channel
internal import FabricProtos
package import GRPCCore
internal import GRPCProtobuf
internal import SwiftProtobuf

/// Why the gateway could not do what it was asked, with what each node concerned said.
///
/// Clients read the details from the status: one `gateway.ErrorDetail` for each failing node.
///
/// - Source: Fabric v3, package `internal/pkg/gateway`, error details.
package struct GatewayFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// One node's part in the failure.
    package struct Detail: Equatable, Sendable {
        package var address: String
        package var mspID: String
        package var message: String

        package init(address: String, mspID: String, message: String) {
            self.address = address
            self.mspID = mspID
            self.message = message
        }
    }

    package var code: RPCError.Code
    package var message: String
    package var details: [Detail]

    package init(_ code: RPCError.Code, _ message: String, details: [Detail] = []) {
        self.code = code
        self.message = message
        self.details = details
    }

    package var description: String {
        let parts = self.details.map { "\($0.mspID) at \($0.address): \($0.message)" }
        return ([self.message] + parts).joined(separator: "; ")
    }
}

extension GatewayFailure: RPCErrorConvertible {
    package var rpcErrorCode: RPCError.Code { self.code }
    package var rpcErrorMessage: String { self.message }
    package var rpcErrorCause: (any Error)? { nil }
    package var rpcErrorMetadata: Metadata {
        let details = self.details.compactMap { detail -> ErrorDetails? in
            var message = Gateway_ErrorDetail()
            message.address = detail.address
            message.mspID = detail.mspID
            message.message = detail.message
            return (try? Google_Protobuf_Any(message: message)).map { ErrorDetails.any($0) }
        }
        return GoogleRPCStatus(code: self.code, message: self.message, details: details).rpcErrorMetadata
    }
}
