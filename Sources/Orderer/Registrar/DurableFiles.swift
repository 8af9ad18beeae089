internal import Foundation
internal import Glibc

/// Changes of folders that outlive a loss of power once they return.
enum DurableFiles {
    /// Makes a folder and those above it; one that exists is left as it is.
    static func makeFolder(_ path: String) throws(OrdererError) {
        if mkdir(path, 0o755) != 0 {
            switch errno {
            case EEXIST: break
            case ENOENT:
                try Self.makeFolder(Self.parent(of: path))
                guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw Self.failure(path) }
            default: throw Self.failure(path)
            }
        }
        try Self.sync(folder: path)
        try Self.sync(folder: Self.parent(of: path))
    }

    /// Writes a file; one that exists is replaced.
    static func write(_ bytes: Data, to path: String) throws(OrdererError) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw Self.failure(path) }
        defer { close(file) }
        let isWritten = bytes.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Glibc.write(file, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return false }
                rest = rest.dropFirst(count)
            }
            return true
        }
        guard isWritten, fsync(file) == 0 else { throw Self.failure(path) }
        try Self.sync(folder: Self.parent(of: path))
    }

    /// Gives a file or folder another name, which must be free.
    static func rename(_ path: String, to target: String) throws(OrdererError) {
        guard Glibc.rename(path, target) == 0 else { throw Self.failure(target) }
        try Self.sync(folder: Self.parent(of: target))
        try Self.sync(folder: Self.parent(of: path))
    }

    /// Removes a file, or a folder with all that it holds; what is not there needs no removing.
    static func remove(_ path: String) throws(OrdererError) {
        var information = stat()
        guard lstat(path, &information) == 0 else {
            guard errno == ENOENT else { throw Self.failure(path) }
            return
        }
        // Says why in the system's own words, which Foundation does not.
        guard access(Self.parent(of: path), W_OK) == 0 else { throw Self.failure(path) }
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            throw .unreadableFolder(path, error.localizedDescription)
        }
        try Self.sync(folder: Self.parent(of: path))
    }

    private static func sync(folder: String) throws(OrdererError) {
        let file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard file >= 0 else { throw Self.failure(folder) }
        defer { close(file) }
        guard fsync(file) == 0 else { throw Self.failure(folder) }
    }

    private static func parent(of path: String) -> String {
        let folder = URL(filePath: path).deletingLastPathComponent().path
        return folder.isEmpty ? "." : folder
    }

    private static func failure(_ path: String) -> OrdererError {
        .unreadableFolder(path, String(cString: strerror(errno)))
    }
}
