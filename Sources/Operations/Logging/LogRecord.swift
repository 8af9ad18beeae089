internal import Foundation
internal import Logging

/// One line of a log, before it has a format.
struct LogRecord {
    var time: Date
    var severity: LogSeverity
    var logger: String
    var message: String
    /// In order of their keys.
    var fields: [(key: String, value: String)]
    var file: String
    var line: UInt
    var function: String
    var sequence: Int

    /// `File.swift:12`.
    var caller: String { "\(self.file.split(separator: "/").last ?? ""):\(self.line)" }

    /// The function without its parameters.
    var shortFunction: String { String(self.function.prefix { $0 != "(" }) }
}

extension LogRecord {
    /// The fields as `key=value`, with quotes where a value needs them.
    var fieldText: String {
        self.fields.map { "\($0.key)=\(Self.logfmt($0.value))" }.joined(separator: " ")
    }

    /// All of the record as `key=value`.
    var logfmtLine: String {
        var line = "ts=\(self.timestamp) level=\(self.severity.name) name=\(Self.logfmt(self.logger))"
        line += " caller=\(self.caller) msg=\(Self.logfmt(self.message))"
        return self.fields.isEmpty ? line : line + " " + self.fieldText
    }

    /// The record as one JSON object.
    ///
    /// - Source: Fabric v3.1, package `flogging`: zap's production encoder, with `name` as the key of the logger.
    var jsonLine: String {
        var line =
            #"{"level":"\#(self.severity.name)","ts":\#(self.timestamp),"name":\#(jsonText(self.logger))"#
        line += #","caller":\#(jsonText(self.caller)),"msg":\#(jsonText(self.message))"#
        for field in self.fields { line += ",\(jsonText(field.key)):\(jsonText(field.value))" }
        return line + "}"
    }

    private var timestamp: String {
        let microseconds = Int64((self.time.timeIntervalSince1970 * 1_000_000).rounded())
        let fraction = String(microseconds % 1_000_000)
        return "\(microseconds / 1_000_000)." + String(repeating: "0", count: max(0, 6 - fraction.count))
            + fraction
    }

    private static func logfmt(_ value: String) -> String {
        let isPlain = value.unicodeScalars.allSatisfy {
            $0.value > 0x20 && $0 != "\"" && $0 != "=" && $0.value != 0x7F
        }
        return isPlain && !value.isEmpty ? value : jsonText(value)
    }
}

/// A text as a JSON string, quotes included; line breaks and control characters are escaped.
package func jsonText(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case _ where scalar.value < 0x20 || scalar.value == 0x7F:
            let hex = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}
