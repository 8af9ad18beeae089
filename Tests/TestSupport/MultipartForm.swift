package import Foundation

/// A form with the boundary "limit"; a part without a file name is a value.
package func form(_ parts: [(name: String, file: String?, content: Data)]) -> Data {
    var body = Data()
    for part in parts {
        let file = part.file.map { "; filename=\"\($0)\"" } ?? ""
        body += Data("--limit\r\nContent-Disposition: form-data; name=\"\(part.name)\"\(file)\r\n".utf8)
        body += Data("Content-Type: application/octet-stream\r\n\r\n".utf8) + part.content + Data("\r\n".utf8)
    }
    return body + Data("--limit--\r\n".utf8)
}
