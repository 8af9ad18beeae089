package import Foundation

/// A body of type `multipart/form-data`, taken apart.
///
/// Bounded: whoever calls it limits the body, and it takes ``maximumParts`` parts with headers of ``maximumHeaderBytes``
/// each. Parts are slices of the body, so nothing is copied.
///
/// Source: RFC 2046, section 5.1; RFC 7578.
package struct MultipartForm {
    /// More parts than any request has, so that one with too many can be told from garbage.
    package static let maximumParts = 8
    package static let maximumHeaderBytes = 4096

    package struct Part {
        /// Empty if the part has none.
        package var name: String
        /// `nil` for a part that is a value and no file.
        package var fileName: String?
        package var content: Data
    }

    package let parts: [Part]

    /// Takes a body apart; the header `Content-Type` carries the boundary.
    package init(_ body: Data, contentType: String) throws(MalformedForm) {
        let boundary = HeaderValue(contentType).parameters["boundary"] ?? ""
        guard (1...70).contains(boundary.utf8.count) else {
            throw MalformedForm("the Content-Type has no boundary of 1 to 70 characters")
        }
        let delimiter = Data("--\(boundary)".utf8)
        var rest = try Self.afterPreamble(body, delimiter)
        var parts: [Part] = []
        while let start = try Self.startOfPart(rest) {
            guard parts.count < Self.maximumParts else {
                throw MalformedForm("it has more than \(Self.maximumParts) parts")
            }
            let (headers, content) = try Self.headers(rest[start...])
            guard let end = content.firstRange(of: Data("\r\n".utf8) + delimiter) else {
                throw MalformedForm("unexpected end: part \(parts.count + 1) is not closed by the boundary")
            }
            let disposition = HeaderValue(headers["content-disposition"] ?? "")
            parts.append(
                Part(
                    name: disposition.parameters["name"] ?? "",
                    fileName: disposition.parameters["filename"],
                    content: content[content.startIndex..<end.lowerBound]
                )
            )
            rest = content[end.upperBound...]
        }
        self.parts = parts
    }

    /// What follows the first delimiter, which begins the body or a line of it.
    private static func afterPreamble(_ body: Data, _ delimiter: Data) throws(MalformedForm) -> Data {
        if body.starts(with: delimiter) { return body.dropFirst(delimiter.count) }
        guard let range = body.firstRange(of: Data("\r\n".utf8) + delimiter) else {
            throw MalformedForm("the boundary of its Content-Type does not occur in it")
        }
        return body[range.upperBound...]
    }

    /// Where the part behind a delimiter starts; `nil` behind the last one.
    private static func startOfPart(_ rest: Data) throws(MalformedForm) -> Data.Index? {
        if rest.starts(with: Data("--".utf8)) { return nil }
        let padding = rest.prefix { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        let line = rest.dropFirst(padding.count)
        guard line.starts(with: Data("\r\n".utf8)) else {
            throw MalformedForm("a boundary is not followed by the end of its line")
        }
        return line.startIndex + 2
    }

    private static func headers(_ part: Data) throws(MalformedForm) -> ([String: String], Data) {
        let line = Data("\r\n".utf8)
        var headers: [String: String] = [:]
        var rest = part
        while true {
            guard let end = rest.prefix(Self.maximumHeaderBytes + line.count).firstRange(of: line),
                rest.startIndex - part.startIndex <= Self.maximumHeaderBytes
            else {
                throw MalformedForm(
                    "the headers of a part have no end within \(Self.maximumHeaderBytes) bytes"
                )
            }
            let header = String(decoding: rest[rest.startIndex..<end.lowerBound], as: UTF8.self)
            rest = rest[end.upperBound...]
            if header.isEmpty { return (headers, rest) }
            guard let colon = header.firstIndex(of: ":") else {
                throw MalformedForm("a part has a header without a colon")
            }
            let value = header[header.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            headers[header[..<colon].lowercased()] = value
        }
    }
}

/// Why a body is no form.
package struct MalformedForm: Error, Equatable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// A header's value with parameters, such as `form-data; name="config-block"`.
///
/// Source: RFC 9110, section 5.6.6. What breaks the rules is left out.
package struct HeaderValue: Equatable {
    /// What comes before the parameters, in lower case.
    package let value: String
    /// By name in lower case; the first of a name counts.
    package let parameters: [String: String]

    package init(_ text: String) {
        var fields = Self.fields(text)[...]
        self.value = (fields.popFirst() ?? "").trimmingCharacters(in: .whitespaces).lowercased()
        var parameters: [String: String] = [:]
        for field in fields {
            guard let equals = field.firstIndex(of: "=") else { continue }
            let name = field[..<equals].trimmingCharacters(in: .whitespaces).lowercased()
            let value = field[field.index(after: equals)...].trimmingCharacters(in: .whitespaces)
            if parameters[name] == nil { parameters[name] = Self.unquoted(value) }
        }
        self.parameters = parameters
    }

    /// The text at its semicolons, except those in quotes.
    private static func fields(_ text: String) -> [String] {
        var fields = [""]
        var isQuoted = false
        var isEscaped = false
        for character in text {
            if isQuoted, isEscaped {
                isEscaped = false
            } else if isQuoted, character == "\\" {
                isEscaped = true
            } else if character == "\"" {
                isQuoted.toggle()
            } else if character == ";", !isQuoted {
                fields.append("")
                continue
            }
            fields[fields.count - 1].append(character)
        }
        return fields
    }

    private static func unquoted(_ text: String) -> String {
        guard text.count >= 2, text.hasPrefix("\""), text.hasSuffix("\"") else { return text }
        var result = ""
        var isEscaped = false
        for character in text.dropFirst().dropLast() {
            if !isEscaped, character == "\\" {
                isEscaped = true
            } else {
                result.append(character)
                isEscaped = false
            }
        }
        return result
    }
}
