internal import Glibc
internal import NIOCore

/// Why an HTTP server can't start, or can't use new TLS files.
package struct HTTPServerError: Error, Equatable, CustomStringConvertible {
    package var description: String

    init(_ description: String) { self.description = description }

    /// What a failure to bind means to the operator.
    init(listeningOn address: String, failure: any Error) {
        guard let failure = failure as? IOError else {
            self.init(
                "can't serve HTTP on \(address): \(failure); give a host name or address of this machine"
            )
            return
        }
        let reason =
            switch failure.errnoCode {
            case EADDRINUSE:
                "the port is in use by another program; stop that program (`ss -ltnp` names it) or give another port"
            case EACCES:
                "no permission for this port; give one above 1023"
            case EADDRNOTAVAIL:
                "this machine doesn't have this address"
            case let code:
                String(cString: strerror(code))
            }
        self.init("can't serve HTTP on \(address): \(reason)")
    }
}
