internal import CZlib
package import Foundation

/// gzip, in memory.
///
/// - Source: RFC 1952.
package enum Gzip {
    /// How many bytes are worked on at a time.
    private static let step = 64 * 1024

    /// Unpacks `data`, which may consist of several members.
    ///
    /// - Parameters:
    ///   - data: the file's bytes.
    ///   - limit: the most bytes that may come out; a small file can stand for a very large one.
    /// - Returns: what was packed.
    /// - Throws: ``ArchiveError`` if it is damaged, cut short, or holds more than `limit`.
    package static func unpack(_ data: Data, limit: Int) throws(ArchiveError) -> Data {
        var input = [UInt8](data)
        var stream = z_stream()
        guard weft_zlib_begin_gunzip(&stream) == Z_OK else { throw ArchiveError("zlib can't begin") }
        defer { inflateEnd(&stream) }
        var output = Data()
        var chunk = [UInt8](repeating: 0, count: Self.step)
        var position = 0
        while true {
            let taken = min(Self.step, input.count - position)
            let (status, read, written) = input.withUnsafeMutableBufferPointer { source in
                chunk.withUnsafeMutableBufferPointer { target -> (Int32, Int, Int) in
                    stream.next_in = source.baseAddress.map { $0 + position }
                    stream.avail_in = UInt32(taken)
                    stream.next_out = target.baseAddress
                    stream.avail_out = UInt32(target.count)
                    let status = inflate(&stream, Z_NO_FLUSH)
                    return (status, taken - Int(stream.avail_in), target.count - Int(stream.avail_out))
                }
            }
            position += read
            guard output.count + written <= limit else {
                throw ArchiveError("it unpacks to more than \(limit) bytes")
            }
            output.append(contentsOf: chunk[..<written])
            switch status {
            case Z_STREAM_END:
                guard position < input.count else { return output }
                guard inflateReset(&stream) == Z_OK else { throw ArchiveError("zlib can't go on") }
            case Z_OK: continue
            case Z_BUF_ERROR where position < input.count || written > 0: continue
            case Z_BUF_ERROR: throw ArchiveError("the gzip file is cut short")
            default: throw ArchiveError("it is no gzip file, or damaged")
            }
        }
    }

    /// Packs `data`; the same bytes always give the same file.
    package static func pack(_ data: Data) throws(ArchiveError) -> Data {
        var input = [UInt8](data)
        guard let length = UInt32(exactly: input.count) else { throw ArchiveError("more than 4 GiB") }
        var stream = z_stream()
        guard weft_zlib_begin_gzip(&stream) == Z_OK else { throw ArchiveError("zlib can't begin") }
        defer { deflateEnd(&stream) }
        var output = [UInt8](repeating: 0, count: Int(deflateBound(&stream, uLong(length))))
        let (status, rest) = input.withUnsafeMutableBufferPointer { source in
            output.withUnsafeMutableBufferPointer { target -> (Int32, Int) in
                stream.next_in = source.baseAddress
                stream.avail_in = length
                stream.next_out = target.baseAddress
                stream.avail_out = UInt32(clamping: target.count)
                return (deflate(&stream, Z_FINISH), Int(stream.avail_out))
            }
        }
        guard status == Z_STREAM_END else { throw ArchiveError("zlib could not pack \(length) bytes") }
        return Data(output[..<(output.count - rest)])
    }
}
