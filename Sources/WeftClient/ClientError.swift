internal import FabricProtos
internal import GRPCCore
internal import GRPCProtobuf
internal import SwiftProtobuf

/// Why a call to the network did not succeed.
///
/// Programs switch on ``code``; people read ``description``, which names the nodes that refused and their reasons.
public struct ClientError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure it was; new kinds may be added.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The name of the kind, in words joined by hyphens.
        public let description: String

        /// What was passed in can't be used.
        public static let invalidArgument = Self(description: "invalid-argument")
        /// The node did not answer, or not in time; a submitted transaction may still commit.
        public static let unavailable = Self(description: "unavailable")
        /// The node answered that this identity may not.
        public static let permissionDenied = Self(description: "permission-denied")
        /// The contract or an endorser refused; nothing was submitted.
        public static let refused = Self(description: "refused")
        /// The transaction is in the ledger, marked as invalid.
        public static let invalidated = Self(description: "invalidated")
        /// What was asked for does not exist.
        public static let notFound = Self(description: "not-found")
        /// Anything else.
        public static let failed = Self(description: "failed")
    }

    /// What one node of the network said.
    public struct Detail: Equatable, Sendable {
        /// The node's address.
        public var address: String
        /// The MSP identifier of the node's organization.
        public var mspID: String
        /// The node's reason.
        public var message: String

        /// Which node it is, for people.
        fileprivate var node: String {
            [self.mspID, self.address].filter { !$0.isEmpty }.joined(separator: " at ")
        }
    }

    /// What kind of failure it was.
    public var code: Code
    /// What happened, without the details.
    public var message: String
    /// What single nodes said; empty when no node said anything of its own.
    public var details: [Detail]
    /// The transaction that this is about, where there is one.
    public var transactionID: String?

    init(_ code: Code, _ message: String, details: [Detail] = [], transactionID: String? = nil) {
        self.code = code
        self.message = message
        self.details = details
        self.transactionID = transactionID
    }

    /// The message, with each node's reason on a line of its own.
    public var description: String {
        if self.details.count == 1, self.details[0].message == self.message {
            return "\(self.details[0].node): \(self.message)"
        }
        let lines = self.details.map { detail in
            "\n  \(detail.node): \(detail.message)"
        }
        return self.message + lines.joined()
    }
}

extension ClientError {
    /// Translates what a call threw.
    ///
    /// - Parameters:
    ///   - error: The error.
    ///   - endpoint: The node that was called.
    ///   - transactionID: The transaction that the call was about.
    /// - Returns: The error with the gateway's details, where it sent some.
    static func from(_ error: any Error, at endpoint: Endpoint, transactionID: String? = nil) -> ClientError {
        if let error = error as? ClientError { return error }
        guard let error = error as? RPCError else {
            let code: Code = error is CancellationError ? .unavailable : .failed
            return ClientError(code, "\(endpoint): \(error)", transactionID: transactionID)
        }
        var details: [Detail] = []
        if let status = try? error.unpackGoogleRPCStatus() {
            for packed in status.details {
                guard let any = packed.any, any.isA(Gateway_ErrorDetail.self) else { continue }
                guard let detail = try? Gateway_ErrorDetail(unpackingAny: any) else { continue }
                details.append(Detail(address: detail.address, mspID: detail.mspID, message: detail.message))
            }
        }
        let code: Code =
            switch error.code {
            case .invalidArgument: .invalidArgument
            case .unavailable, .deadlineExceeded, .cancelled: .unavailable
            case .permissionDenied, .unauthenticated: .permissionDenied
            case .aborted, .failedPrecondition: .refused
            case .notFound: .notFound
            default: .failed
            }
        let message =
            switch error.code {
            case .deadlineExceeded: "\(endpoint) did not answer in time"
            case .unavailable where details.isEmpty: "\(endpoint) is not available: \(error.message)"
            default: error.message.isEmpty ? "\(endpoint) answered \(error.code)" : error.message
            }
        return ClientError(code, message, details: details, transactionID: transactionID)
    }
}
