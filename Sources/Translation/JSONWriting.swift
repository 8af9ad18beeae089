package import FoundationEssentials

extension JSONTree {
    /// The document as Fabric's tools print it: names in the order of their bytes, a tab a level, a line feed at the end.
    ///
    /// - Source: Fabric v3.1, `fabric-config/protolator`; Go, package `encoding/json`.
    package var document: Data {
        var output = Data()
        self.write(to: &output, depth: 0)
        output.append(UInt8(ascii: "\n"))
        return output
    }

    private func write(to output: inout Data, depth: Int) {
        switch self {
        case .null: output.append(contentsOf: "null".utf8)
        case .bool(let flag): output.append(contentsOf: (flag ? "true" : "false").utf8)
        case .number(let digits): output.append(contentsOf: digits.utf8)
        case .string(let text): Self.write(text, to: &output)
        case .array(let values):
            guard !values.isEmpty else { return output.append(contentsOf: "[]".utf8) }
            output.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                Self.beginLine(&output, isFirst: index == 0, depth: depth + 1)
                value.write(to: &output, depth: depth + 1)
            }
            Self.endLines(&output, depth: depth)
            output.append(UInt8(ascii: "]"))
        case .object(let members):
            guard !members.isEmpty else { return output.append(contentsOf: "{}".utf8) }
            let sorted = members.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
            output.append(UInt8(ascii: "{"))
            for (index, member) in sorted.enumerated() {
                Self.beginLine(&output, isFirst: index == 0, depth: depth + 1)
                Self.write(member.name, to: &output)
                output.append(contentsOf: ": ".utf8)
                member.value.write(to: &output, depth: depth + 1)
            }
            Self.endLines(&output, depth: depth)
            output.append(UInt8(ascii: "}"))
        }
    }

    private static func beginLine(_ output: inout Data, isFirst: Bool, depth: Int) {
        if !isFirst { output.append(UInt8(ascii: ",")) }
        self.endLines(&output, depth: depth)
    }

    private static func endLines(_ output: inout Data, depth: Int) {
        output.append(UInt8(ascii: "\n"))
        output.append(contentsOf: repeatElement(UInt8(ascii: "\t"), count: depth))
    }

    /// Writes a text in quotes; what is special in HTML is escaped, too, as Go does.
    private static func write(_ text: String, to output: inout Data) {
        let digits = Array("0123456789abcdef".utf8)
        output.append(UInt8(ascii: "\""))
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": output.append(contentsOf: #"\""#.utf8)
            case "\\": output.append(contentsOf: #"\\"#.utf8)
            case "\u{8}": output.append(contentsOf: #"\b"#.utf8)
            case "\u{c}": output.append(contentsOf: #"\f"#.utf8)
            case "\n": output.append(contentsOf: #"\n"#.utf8)
            case "\r": output.append(contentsOf: #"\r"#.utf8)
            case "\t": output.append(contentsOf: #"\t"#.utf8)
            case "\u{2028}": output.append(contentsOf: #"\u2028"#.utf8)
            case "\u{2029}": output.append(contentsOf: #"\u2029"#.utf8)
            case "<", ">", "&", "\0"..<" ":
                output.append(contentsOf: #"\u00"#.utf8)
                output.append(digits[Int(scalar.value >> 4) & 15])
                output.append(digits[Int(scalar.value) & 15])
            default: output.append(contentsOf: UTF8.encode(scalar).map(Array.init) ?? [])
            }
        }
        output.append(UInt8(ascii: "\""))
    }
}
