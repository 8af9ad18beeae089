/// Why a transaction is refused, in words for whoever submitted it.
///
/// Any error that a contract throws refuses the transaction with status 500 and the error's text; this one can say
/// another status.
public struct ContractError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What the client is told.
    public var description: String
    /// 400 or above: peers endorse nothing with such a status.
    public var status: Int

    /// Makes an error with what the client is told, and a status of 400 or above.
    public init(_ description: String, status: Int = 500) {
        self.description = description
        self.status = max(400, status)
    }
}

/// What the peer answered instead of doing what the contract asked for.
public struct PeerRefusal: Error, Equatable, Sendable, CustomStringConvertible {
    /// The peer's words.
    public var description: String
}
