import Foundation

extension Duration {
    /// Reads a number with a unit, such as `250ms`, `2s`, `1m30s` or `1.5h`, as Fabric's files write them.
    init?(configured text: String) {
        let units: [(String, Double)] = [("ms", 0.001), ("us", 0.000_001), ("h", 3600), ("m", 60), ("s", 1)]
        var rest = Substring(text.trimmingCharacters(in: .whitespaces))
        guard !rest.isEmpty else { return nil }
        var seconds = 0.0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(digits.count)
            guard let number = Double(digits), let unit = units.first(where: { rest.hasPrefix($0.0) }) else {
                return nil
            }
            rest = rest.dropFirst(unit.0.count)
            seconds += number * unit.1
        }
        guard seconds.isFinite, seconds < 1e9 else { return nil }
        self = .microseconds(Int64((seconds * 1_000_000).rounded()))
    }
}

/// A number of bytes as people write it: `512 KB`, `10 MB`, `2097152`.
struct ByteCount {
    var bytes: UInt32

    /// Reads a count; units are powers of 1024, as in Fabric's files.
    init?(configured text: String) {
        let units: [(String, Double)] = [
            ("kb", 1024), ("mb", 1_048_576), ("gb", 1_073_741_824), ("k", 1024), ("m", 1_048_576),
            ("g", 1_073_741_824), ("b", 1),
        ]
        let text = text.trimmingCharacters(in: .whitespaces).lowercased()
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = text.dropFirst(digits.count).trimmingCharacters(in: .whitespaces)
        guard let number = Double(digits) else { return nil }
        guard let factor = unit.isEmpty ? 1 : units.first(where: { $0.0 == unit })?.1 else { return nil }
        let count = (number * factor).rounded()
        guard count >= 0, count <= Double(UInt32.max) else { return nil }
        self.bytes = UInt32(count)
    }
}

/// Reads `true` or `false`.
func configuredFlag(_ text: String) -> Bool? {
    switch text.lowercased() {
    case "true", "yes": true
    case "false", "no": false
    default: nil
    }
}

/// Makes a path of a configuration file absolute: relative ones are meant from the file's own folder.
func configuredPath(_ path: String, from file: String) -> String {
    if path.hasPrefix("/") { return path }
    let folder = URL(fileURLWithPath: file).deletingLastPathComponent()
    return folder.appendingPathComponent(path).standardizedFileURL.path
}
