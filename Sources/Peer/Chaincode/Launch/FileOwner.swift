internal import Foundation
internal import Glibc

/// Who owns the files that contracts read.
enum FileOwner {
    /// Sets the mode of a file, and gives it to the user that contracts run as.
    static func give(_ file: URL, to user: String?, mode: mode_t) throws(ContractError) {
        guard chmod(file.path, mode) == 0 else { throw self.failure(file) }
        guard let user else { return }
        guard let (owner, group) = Self.account(user) else {
            throw ContractError("there is no user \(user) for contracts to run as; name one that exists")
        }
        guard chown(file.path, owner, group) == 0 else { throw self.failure(file) }
    }

    private static func failure(_ file: URL) -> ContractError {
        ContractError("can't change the owner of \(file.path): \(String(cString: strerror(errno)))")
    }

    private static func account(_ user: String) -> (uid_t, gid_t)? {
        if let number = uid_t(user) { return (number, gid_t(number)) }
        var (entry, buffer) = (passwd(), [CChar](repeating: 0, count: 16_384))
        var found: UnsafeMutablePointer<passwd>?
        guard getpwnam_r(user, &entry, &buffer, buffer.count, &found) == 0, let found else { return nil }
        return (found.pointee.pw_uid, found.pointee.pw_gid)
    }
}
