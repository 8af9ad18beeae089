import Foundation

/// What tells whether files have changed: names, sizes and times, of files and of everything in folders.
struct FileStamps: Equatable {
    private struct Stamp: Equatable {
        var path: String
        var seconds: Int
        var nanoseconds: Int
        var size: Int64
        var inode: UInt64
    }

    private var stamps: [Stamp] = []

    /// Looks at `paths`; a folder counts with the files in it, and what isn't there counts as not being there.
    init(_ paths: [String]) {
        for path in paths {
            self.add(path)
            let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
            for name in names.sorted() { self.add("\(path)/\(name)") }
        }
    }

    private mutating func add(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        self.stamps.append(
            Stamp(
                path: path,
                seconds: Int(status.st_mtim.tv_sec),
                nanoseconds: Int(status.st_mtim.tv_nsec),
                size: Int64(status.st_size),
                inode: UInt64(status.st_ino)
            )
        )
    }
}
