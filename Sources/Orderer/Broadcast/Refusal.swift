internal import FabricProtos

/// Why an envelope is not ordered, or a request for blocks not answered: what the client is told.
struct Refusal: Error, Equatable, Sendable, CustomStringConvertible {
    var status: Common_Status
    /// What is wrong, and what the sender can do about it.
    var info: String

    var description: String { "\(self.status): \(self.info)" }

    static func badRequest(_ info: String) -> Self { Self(status: .badRequest, info: info) }
    static func forbidden(_ info: String) -> Self { Self(status: .forbidden, info: info) }
    static func unavailable(_ info: String) -> Self { Self(status: .serviceUnavailable, info: info) }

    /// The disk or the chain failed while the envelope was on its way into a block.
    static func outcomeUnknown(_ reason: String) -> Self {
        .unavailable("outcome unknown, safe to resubmit: \(reason)")
    }

    /// The envelope was accepted for ordering but is in no block and will be in none.
    static func notOrdered(_ reason: String) -> Self {
        .unavailable("not ordered, safe to resubmit: \(reason)")
    }

    var response: Orderer_BroadcastResponse {
        var response = Orderer_BroadcastResponse()
        response.status = self.status
        response.info = self.info
        return response
    }
}

extension Orderer_BroadcastResponse {
    /// The envelope is in a durable block, or, where the node answers on receipt, accepted for ordering.
    static var accepted: Orderer_BroadcastResponse {
        var response = Orderer_BroadcastResponse()
        response.status = .success
        return response
    }
}
