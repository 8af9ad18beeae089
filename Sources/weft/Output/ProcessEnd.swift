import Foundation

/// Ends the process at once, with everything printed that was to be printed.
///
/// The usual exit would run the handlers in which OpenSSL and gRPC give back what their threads share, while
/// those threads may still be using it. Whatever must be on disk has been written by the time a command returns.
func endProcess(_ code: Int32) -> Never {
    fflush(nil)
    _exit(code)
}
