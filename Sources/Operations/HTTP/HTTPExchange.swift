package import Foundation

/// A request as a route sees it, with its whole body.
package struct HTTPExchangeRequest: Sendable {
    /// The method in capitals, such as `GET`.
    package var method: String
    /// The path as sent, still percent-encoded, without the query.
    package var path: String
    /// What stands behind the question mark; `nil` when there is none.
    package var query: String?
    package var fields: HTTPFieldList
    package var body: Data
    /// The DER of the client's certificate, which has been verified; `nil` when none was presented or there is no TLS.
    package var clientCertificate: Data?
    /// Where the request came from, for logs.
    package var remoteAddress: String

    package init(
        method: String,
        path: String,
        query: String? = nil,
        fields: HTTPFieldList = HTTPFieldList(),
        body: Data = Data(),
        clientCertificate: Data? = nil,
        remoteAddress: String = ""
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.fields = fields
        self.body = body
        self.clientCertificate = clientCertificate
        self.remoteAddress = remoteAddress
    }
}

/// What a route answers.
package struct HTTPExchangeResponse: Sendable {
    /// The status code; anything outside 200...599 is sent as 500.
    package var status: Int
    package var fields: HTTPFieldList
    package var body: Data

    package init(status: Int, fields: HTTPFieldList = HTTPFieldList(), body: Data = Data()) {
        self.status = status
        self.fields = fields
        self.body = body
    }

    /// An answer with a JSON body.
    package static func json(_ status: Int, _ text: String) -> Self {
        Self(status: status, fields: [("Content-Type", "application/json")], body: Data(text.utf8))
    }

    /// An answer with a text for people.
    package static func text(_ status: Int, _ text: String) -> Self {
        Self(status: status, fields: [("Content-Type", "text/plain; charset=utf-8")], body: Data(text.utf8))
    }
}

/// Header fields in the order sent; names compare without regard to case.
package struct HTTPFieldList: Sendable, ExpressibleByArrayLiteral {
    package private(set) var all: [(name: String, value: String)] = []

    package init() {}

    package init(arrayLiteral elements: (String, String)...) {
        for (name, value) in elements { self.append(name, value) }
    }

    /// The first value of a field; setting replaces all of them.
    package subscript(name: String) -> String? {
        get { self.values(name).first }
        set {
            self.all.removeAll { $0.name.lowercased() == name.lowercased() }
            if let newValue { self.append(name, newValue) }
        }
    }

    /// All values of a field.
    package func values(_ name: String) -> [String] {
        let name = name.lowercased()
        return self.all.filter { $0.name.lowercased() == name }.map(\.value)
    }

    package mutating func append(_ name: String, _ value: String) { self.all.append((name, value)) }
}
