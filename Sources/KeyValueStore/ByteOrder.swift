package import Foundation

extension Data {
    /// Whether these bytes come before `other` in the order of unsigned bytes, a prefix before its extensions.
    package func precedes(_ other: Data) -> Bool {
        self.withUnsafeBytes { left in
            other.withUnsafeBytes { right in
                let common = Swift.min(left.count, right.count)
                if common > 0, let leftStart = left.baseAddress, let rightStart = right.baseAddress {
                    let order = memcmp(leftStart, rightStart, common)
                    if order != 0 { return order < 0 }
                }
                return left.count < right.count
            }
        }
    }

    /// The first bytes, in order, that come after everything that starts with these; `nil` if nothing does.
    package var prefixEnd: Data? {
        var end = Data(self)
        while let last = end.last {
            if last < 0xff {
                end[end.index(before: end.endIndex)] = last &+ 1
                return end
            }
            end.removeLast()
        }
        return nil
    }
}
