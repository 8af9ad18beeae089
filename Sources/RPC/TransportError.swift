/// Why a transport could not be made or started.
package struct TransportError: Error, CustomStringConvertible {
    /// What kind of thing is wrong.
    package enum Reason: Sendable {
        /// The address to listen on is malformed, taken or not this machine's.
        case address
        /// A certificate, key or root certificate can't be used.
        case tls
        /// The transport was used in a way that its state doesn't allow.
        case state
    }

    package var reason: Reason
    package var message: String

    init(_ reason: Reason, _ message: String) {
        self.reason = reason
        self.message = message
    }

    package var description: String { self.message }
}
