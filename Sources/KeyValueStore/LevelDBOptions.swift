/// How a ``LevelDBStore`` uses memory and disk.
package struct LevelDBOptions: Sendable {
    /// Bytes of changes kept in memory before they become a file; LevelDB may hold twice as much.
    package var writeBufferBytes = 4 << 20
    /// Bytes of decompressed blocks kept for reading.
    package var cacheBytes = 8 << 20
    /// Bits for each key in the filter that saves disk reads for keys that are absent; 0 for no filter.
    package var filterBitsPerKey = 10
    /// Bytes of one block, the unit of reading and of checksums, before compression.
    package var blockBytes = 4 << 10
    /// Bytes after which a new file is begun.
    package var fileBytes = 2 << 20
    /// Files kept open.
    package var openFiles = 256
    /// Whether blocks are compressed.
    package var compresses = true
    /// Whether a folder that holds no database gets one; if not, opening it fails.
    package var createsIfMissing = true

    package init() {}
}
