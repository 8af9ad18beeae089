import FabricProtos
import Foundation
import GRPCCore

/// Messages in the forms in which Go's packages print them, which scripts read.
enum GoText {
    /// Reads a file.
    ///
    /// - Throws: ``Failure`` with Go's words when it can't be read: `open FILE: no such file or directory`.
    static func file(_ path: String) throws(Failure) -> Data {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            let reason = String(cString: strerror(errno))
            throw Failure("open \(path): \(reason.prefix(1).lowercased() + reason.dropFirst())")
        }
        close(descriptor)
        return try readBytes(path, as: "it")
    }

    // MARK: - Text

    /// A contract's answer: `status:200 message:"…" payload:"…"`, without the fields that are empty.
    ///
    /// - Source: `google.golang.org/protobuf/encoding/prototext`.
    static func text(_ response: Protos_Response) -> String {
        var fields: [String] = []
        if response.status != 0 { fields.append("status:\(response.status)") }
        if !response.message.isEmpty { fields.append("message:\(Self.quoted(Data(response.message.utf8)))") }
        if !response.payload.isEmpty { fields.append("payload:\(Self.quoted(response.payload))") }
        return fields.joined(separator: " ")
    }

    /// Bytes in double quotes; those that aren't text as octal numbers.
    private static func quoted(_ bytes: Data) -> String {
        guard let text = String(data: bytes, encoding: .utf8) else {
            return "\"" + bytes.map { Self.escaped(UnicodeScalar($0), asBytes: true) }.joined() + "\""
        }
        return "\"" + text.unicodeScalars.map { Self.escaped($0, asBytes: false) }.joined() + "\""
    }

    private static func escaped(_ scalar: UnicodeScalar, asBytes: Bool) -> String {
        switch scalar {
        case "\n": return "\\n"
        case "\r": return "\\r"
        case "\t": return "\\t"
        case "\"": return "\\\""
        case "\\": return "\\\\"
        default: break
        }
        if scalar.value < 0x20 || scalar.value == 0x7F || (asBytes && scalar.value > 0x7F) {
            let octal = String(scalar.value, radix: 8)
            return "\\" + String(repeating: "0", count: max(0, 3 - octal.count)) + octal
        }
        return String(scalar)
    }

    /// Bytes as a list of numbers: `[104 105]`.
    static func numbers(_ bytes: Data) -> String { "[" + bytes.map { "\($0)" }.joined(separator: " ") + "]" }

    /// A failed call: `rpc error: code = PermissionDenied desc = …`.
    static func text(_ error: RPCError) -> String {
        let name = "\(error.code)"
        return "rpc error: code = \(name.prefix(1).uppercased() + name.dropFirst()) desc = \(error.message)"
    }

    /// Any error, calls in Go's form.
    static func text(_ error: any Error) -> String {
        (error as? RPCError).map { Self.text($0) } ?? "\(error)"
    }
}

extension JSONValue {
    /// The value without any blanks.
    var compactText: String {
        switch self {
        case .array(let values): "[" + values.map(\.compactText).joined(separator: ",") + "]"
        case .members(let members):
            "{"
                + members.map { JSONValue.string($0.0).goText + ":" + $0.1.compactText }.joined(
                    separator: ","
                ) + "}"
        default: self.goText
        }
    }

    /// The value over several lines, indented by a tab a level.
    func tabbed(by depth: Int = 0) -> String {
        let inner = String(repeating: "\t", count: depth + 1)
        let outer = String(repeating: "\t", count: depth)
        switch self {
        case .array(let values) where !values.isEmpty:
            return "[\n" + values.map { inner + $0.tabbed(by: depth + 1) }.joined(separator: ",\n")
                + "\n\(outer)]"
        case .members(let members) where !members.isEmpty:
            let lines = members.map {
                inner + JSONValue.string($0.0).goText + ": " + $0.1.tabbed(by: depth + 1)
            }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(outer)}"
        default:
            return self.goText
        }
    }

    /// A single value; Go writes the characters that mean something in HTML as numbers.
    private var goText: String {
        guard case .string = self else { return self.text }
        return self.text.replacingOccurrences(of: "<", with: "\\u003c")
            .replacingOccurrences(of: ">", with: "\\u003e").replacingOccurrences(of: "&", with: "\\u0026")
    }
}
