internal import FoundationEssentials
internal import Glibc

/// A folder that appears under its name only when it is complete.
///
/// Everything is written into a folder beside it, synced, and then renamed; what is not published is removed.
struct StagedFolder: ~Copyable {
    let target: String
    private let staging: String
    private var isPublished = false

    /// - Throws: ``AuthorityError`` with code `exists` if there is something at `target` already.
    init(target: String) throws(AuthorityError) {
        guard !Files.exists(target) else {
            throw AuthorityError(
                .exists,
                "\(target) exists and is not overwritten; choose another name, or move it away"
            )
        }
        try self.init(replacing: target)
    }

    /// Prepares a folder that will take the place of the one at `target`.
    init(replacing target: String) throws(AuthorityError) {
        self.target = target
        self.staging = "\(target).incomplete-\(getpid())"
        try Files.removeTree(self.staging)
        try Files.makeFolder(self.staging)
    }

    deinit {
        guard !self.isPublished else { return }
        try? Files.removeTree(self.staging)
    }

    /// Writes a file, and the folders above it.
    func write(_ data: Data, to path: String) throws(AuthorityError) {
        try self.makeFolder(above: path, mode: 0o755)
        try Files.writeNew(data, to: "\(self.staging)/\(path)", mode: 0o644)
    }

    /// Writes a private key that only its owner can read.
    func writeKey(_ pem: Data, to path: String) throws(AuthorityError) {
        try self.makeFolder(above: path, mode: path.contains("keystore/") ? 0o700 : 0o755)
        try Files.writeNew(pem, to: "\(self.staging)/\(path)", mode: 0o600)
    }

    private func makeFolder(above path: String, mode: mode_t) throws(AuthorityError) {
        guard let slash = path.lastIndex(of: "/") else { return }
        try Files.makeFolder("\(self.staging)/\(path[..<slash])", mode: mode)
    }

    /// Gives the folder its name.
    consuming func publish() throws(AuthorityError) {
        try Files.rename(self.staging, to: self.target)
        self.isPublished = true
    }

    /// Gives the folder its name, after moving the folder of that name to `archive`.
    consuming func publish(movingOldTo archive: String) throws(AuthorityError) {
        try Files.makeFolder(Files.parent(of: archive), mode: 0o700)
        try Files.rename(self.target, to: archive)
        do throws(AuthorityError) {
            try Files.rename(self.staging, to: self.target)
        } catch {
            try? Files.rename(archive, to: self.target)
            throw error
        }
        self.isPublished = true
    }
}

/// The few file operations that this module needs, with errors that name the file.
enum Files {
    static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    static func failure(_ what: String, _ path: String) -> AuthorityError {
        let reason = String(cString: strerror(errno))
        return AuthorityError(
            errno == ENOENT ? .missing : .inputOutput,
            "cannot \(what) \(path): \(reason); check the path, its permissions and the space on the disk"
        )
    }

    /// Makes a folder and those above it; one that exists is left as it is.
    static func makeFolder(_ path: String, mode: mode_t = 0o755) throws(AuthorityError) {
        if path.isEmpty || Self.exists(path) { return }
        let parent = Self.parent(of: path)
        if parent != path { try Self.makeFolder(parent) }
        guard mkdir(path, mode) == 0 || errno == EEXIST else { throw Self.failure("make the folder", path) }
    }

    /// Writes a file that must not exist yet, and waits until it is on the disk.
    static func writeNew(_ data: Data, to path: String, mode: mode_t) throws(AuthorityError) {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard file >= 0 else {
            if errno == EEXIST {
                throw AuthorityError(.exists, "\(path) exists and is not overwritten; move it away")
            }
            throw Self.failure("create", path)
        }
        defer { close(file) }
        // The mode given to `open` is cut by the umask, and a key's must not depend on it.
        guard fchmod(file, mode) == 0 else { throw Self.failure("protect", path) }
        let isWritten = data.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Glibc.write(file, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return false }
                rest = rest.dropFirst(count)
            }
            return true
        }
        guard isWritten, fsync(file) == 0 else { throw Self.failure("write", path) }
    }

    /// Replaces a file as a whole: a reader sees the old contents or the new, never a part.
    static func replace(_ path: String, with data: Data, mode: mode_t = 0o644) throws(AuthorityError) {
        let temporary = "\(path).incomplete-\(getpid())"
        unlink(temporary)
        try Self.writeNew(data, to: temporary, mode: mode)
        try Self.rename(temporary, to: path)
    }

    static func rename(_ path: String, to target: String) throws(AuthorityError) {
        guard Glibc.rename(path, target) == 0 else {
            if errno == EEXIST || errno == ENOTEMPTY {
                throw AuthorityError(.exists, "\(target) exists and is not overwritten")
            }
            throw Self.failure("rename \(path) to", target)
        }
        let folder = open(Self.parent(of: target), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { return }
        fsync(folder)
        close(folder)
    }

    static func removeTree(_ path: String) throws(AuthorityError) {
        guard Self.exists(path) else { return }
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            throw AuthorityError(.inputOutput, "cannot remove \(path): \(error)")
        }
    }

    /// The contents of a file.
    static func read(_ path: String) throws(AuthorityError) -> Data {
        do {
            return try Data(contentsOf: URL(filePath: path))
        } catch {
            if Self.exists(path) {
                throw AuthorityError(.inputOutput, "cannot read \(path); check its permissions")
            }
            throw AuthorityError(.missing, "\(path) does not exist")
        }
    }

    /// The names of the files (not folders) in a folder, sorted; `nil` if there is no such folder.
    static func names(in folder: String) -> [String]? {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else { return nil }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.filter { name in
            var status = stat()
            return stat("\(folder)/\(name)", &status) == 0 && status.st_mode & S_IFMT != S_IFDIR
        }
    }
}

/// Keeps other processes out of a folder for as long as it lives.
struct FolderLock: ~Copyable {
    private let file: Int32

    init(_ folder: String) throws(AuthorityError) {
        let path = "\(folder)/.lock"
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Files.failure("open", path) }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            close(file)
            throw AuthorityError(
                .busy,
                "another process is at work in \(folder); wait for it to finish, then try again"
            )
        }
        // Set last: once it is set, an error thrown from here runs `deinit`, which would close it a second time.
        self.file = file
    }

    deinit { close(self.file) }
}
