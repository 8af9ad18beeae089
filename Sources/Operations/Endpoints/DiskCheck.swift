internal import Glibc

/// Says when the disk of a folder has hardly any room left.
package struct DiskCheck: Sendable {
    /// With fewer bytes than this free, a node soon can't write blocks.
    package static let least: UInt64 = 64 * 1024 * 1024

    private let folder: String
    private let least: UInt64

    package init(folder: String, least: UInt64 = Self.least) {
        self.folder = folder
        self.least = least
    }

    /// - Throws: ``Unhealthy``
    package func run() throws {
        var status = statvfs()
        guard statvfs(self.folder, &status) == 0 else {
            throw Unhealthy("can't look at \(self.folder): \(String(cString: strerror(errno)))")
        }
        let free = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        guard free.overflow || free.partialValue >= self.least else {
            throw Unhealthy(
                "the disk of \(self.folder) has \(free.partialValue >> 20) MiB left; free some, or move the folder"
            )
        }
    }
}
