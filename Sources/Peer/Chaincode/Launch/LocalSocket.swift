internal import Channel
internal import Cryptography
internal import Foundation
internal import Glibc

/// A socket of this machine at which a contract listens, in a folder of its own under `/tmp`.
///
/// The data folder's path may be longer than the 107 bytes that a socket's may have.
struct LocalSocket: Sendable {
    private static let scheme = "unix:"
    private let folder: URL

    /// - Parameter contract: the contract's folder, which tells it apart from others.
    init(for contract: URL) {
        let name = Digest.sha256(Data(contract.path.utf8)).hexadecimal.prefix(32)
        self.folder = URL(fileURLWithPath: "/tmp/weft-contract-\(name)")
    }

    /// As gRPC writes it.
    var address: String { Self.scheme + self.folder.appendingPathComponent("socket").path }

    /// Makes the folder, which nobody but the peer and the contract can enter.
    func prepare(user: String?) throws(ContractError) {
        try ContractFolder.remove(self.folder)
        // Fails if somebody else has made a folder of that name meanwhile.
        guard mkdir(self.folder.path, 0o700) == 0 else {
            throw ContractError("can't make \(self.folder.path): \(String(cString: strerror(errno)))")
        }
        try FileOwner.give(self.folder, to: user, mode: 0o700)
    }

    func remove() { try? FileManager.default.removeItem(at: self.folder) }

    /// Whether somebody listens at a socket's address.
    static func isListening(_ address: String) -> Bool {
        guard address.hasPrefix(self.scheme) else { return false }
        let path = Array(address.dropFirst(self.scheme.count).utf8)
        var name = sockaddr_un()
        guard path.count < MemoryLayout.size(ofValue: name.sun_path) else { return false }
        name.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }
}
