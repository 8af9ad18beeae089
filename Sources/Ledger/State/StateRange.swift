internal import Channel
package import Foundation
internal import KeyValueStore

/// The keys of one namespace from a start up to an end, in the order of their bytes.
///
/// Belongs to one task at a time.
package final class StateRange {
    private let cursor: any KeyValueCursor
    private let namespace: Bytes
    private let start: Data
    private let end: Data
    private var hasStarted = false

    /// `start` is included, `end` is not; an empty `end` is the end of the namespace.
    init(_ reader: StateReader, namespace: Bytes, start: Bytes, end: Bytes) {
        self.cursor = reader.store.makeCursor()
        self.namespace = namespace
        self.start = DerivedKey.state(namespace, start)
        self.end = end.isEmpty ? DerivedKey.endOfState(namespace) : DerivedKey.state(namespace, end)
    }

    /// Returns the next key and its value, or `nil` at the end.
    package func next() throws -> (key: Data, value: VersionedValue)? {
        if self.hasStarted {
            try self.cursor.next()
        } else {
            try self.cursor.seek(to: self.start)
            self.hasStarted = true
        }
        guard self.cursor.isValid else { return nil }
        let key = self.cursor.key
        guard key.precedes(self.end) else { return nil }
        let value = try StateReader.decode(self.cursor.value, self.namespace)
        return (key.dropFirst(DerivedKey.statePrefixCount(self.namespace)), value)
    }
}
