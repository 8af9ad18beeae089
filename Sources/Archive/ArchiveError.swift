/// An archive that can't be read, and why.
package struct ArchiveError: Error, Equatable, Sendable, CustomStringConvertible {
    package var description: String

    package init(_ description: String) { self.description = description }
}
