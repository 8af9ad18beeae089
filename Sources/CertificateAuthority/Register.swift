package import FoundationEssentials

/// One certificate that an authority made.
package struct RegisterEntry: Sendable, Codable, Hashable {
    package enum Purpose: String, Sendable, Codable {
        case authority, enrollment, tls
    }

    package enum Status: String, Sendable, Codable {
        /// In use.
        case issued
        /// Replaced by a renewal; it stays valid until it expires.
        case superseded
        case revoked
    }

    /// The common name, such as `peer0.utility.example.com`.
    package var name: String
    /// `peer`, `orderer`, `client`, `admin`, or `authority`.
    package var role: String
    package var purpose: Purpose
    /// Lower-case hex.
    package var serialNumber: String
    package var notBefore: Date
    package var notAfter: Date
    package var status: Status
    package var revokedAt: Date?
    /// Where the certificate lies, relative to the organization's folder.
    package var file: String

    /// Whole days until it expires at `now`, rounded down, give or take a minute; negative once it has.
    package func daysLeft(at now: Date) -> Int {
        let days = ((self.notAfter.timeIntervalSince(now) + 60) / 86_400).rounded(.down)
        return Int(max(-1_000_000, min(days, 1_000_000)))
    }
}

/// Everything that an organization's authorities issued, oldest first.
struct Register: Codable {
    var entries: [RegisterEntry] = []
    /// The number of the latest revocation list; 0 if there is none.
    var revocationListNumber: UInt32 = 0

    private static let file = "register.json"

    static func load(_ folder: String) throws(AuthorityError) -> Register {
        let path = "\(folder)/\(Self.file)"
        guard Files.exists(path) else { return Register() }
        return try JSONFile.decode(Register.self, path)
    }

    func save(_ folder: String) throws(AuthorityError) {
        try Files.replace("\(folder)/\(Self.file)", with: JSONFile.encode(self))
    }

    func encoded() throws(AuthorityError) -> (path: String, data: Data) {
        (Self.file, try JSONFile.encode(self))
    }
}

/// JSON that people can read: indented, keys sorted, dates as RFC 3339.
enum JSONFile {
    static func encode(_ value: some Encodable) throws(AuthorityError) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        do {
            return try encoder.encode(value) + Data("\n".utf8)
        } catch {
            throw AuthorityError(.malformed, "cannot write JSON: \(error)")
        }
    }

    static func decode<Value: Decodable>(_ type: Value.Type, _ path: String) throws(AuthorityError) -> Value {
        let data = try Files.read(path)
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        do {
            return try decoder.decode(type, from: data)
        } catch {
            throw AuthorityError(
                .malformed,
                "\(path) was changed or damaged: \(error); restore it from a copy"
            )
        }
    }
}
