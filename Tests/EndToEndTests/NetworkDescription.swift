import Foundation

/// What `network.json` says of a network of `weft network up`.
struct NetworkDescription: Decodable {
    struct Node: Decodable {
        var name, role, endpoint, tlsRoots, folder: String
        var operations: String?
        /// Where an orderer is administered.
        var administration: String?
    }

    struct Identity: Decodable { var name, mspID, msp, tlsCertificate, tlsKey: String }

    var channel: String
    var nodes: [Node]
    var identities: [Identity]

    init(_ folder: String) throws {
        let file = URL(fileURLWithPath: folder + "/network.json")
        self = try JSONDecoder().decode(Self.self, from: Data(contentsOf: file))
    }
}
