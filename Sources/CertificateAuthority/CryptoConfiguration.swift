/// What Fabric's `crypto-config.yaml` says: which organizations, nodes and users to make identities for.
///
/// - Source: Fabric v3.1, `docs/source/commands/cryptogen.md` and the template it prints (`cryptogen showtemplate`).
package struct CryptoConfiguration: Sendable {
    package var ordererOrganizations: [OrganizationEntry]
    package var peerOrganizations: [OrganizationEntry]

    package init(
        ordererOrganizations: [OrganizationEntry] = [],
        peerOrganizations: [OrganizationEntry] = []
    ) {
        self.ordererOrganizations = ordererOrganizations
        self.peerOrganizations = peerOrganizations
    }

    /// An entry of `OrdererOrgs` or `PeerOrgs`.
    package struct OrganizationEntry: Sendable {
        package var name: String
        package var domain: String
        package var enableNodeOUs = false
        package var authority = NodeEntry(hostname: "ca")
        package var template = NodeTemplate()
        package var specs: [NodeEntry] = []
        package var userCount = 0
        package var userKeyKind = Organization.KeyKind.p256

        package init(name: String, domain: String) {
            self.name = name
            self.domain = domain
        }
    }

    /// `Template`: nodes made by counting.
    package struct NodeTemplate: Sendable {
        package var count = 0
        package var start = 0
        /// With `{{.Prefix}}`, `{{.Index}}` and `{{.Domain}}` to be filled in.
        package var hostname = ""
        package var alternativeNames: [String] = []
        package var keyKind = Organization.KeyKind.p256

        package init() {}
    }

    /// An entry of `Specs`, or `CA`.
    package struct NodeEntry: Sendable {
        package var hostname: String
        /// With `{{.Hostname}}` and `{{.Domain}}` to be filled in.
        package var commonName = ""
        /// With `{{.Hostname}}`, `{{.Domain}}` and `{{.CommonName}}` to be filled in.
        package var alternativeNames: [String] = []
        package var place = Organization.Place()
        package var keyKind = Organization.KeyKind.p256

        package init(hostname: String) { self.hostname = hostname }
    }
}

/// A node with its names filled in.
struct NamedNode: Equatable {
    var hostname: String
    var commonName: String
    var alternativeNames: [String]
    var keyKind: Organization.KeyKind
}

extension CryptoConfiguration.OrganizationEntry {
    /// All nodes: those specified, then those counted.
    ///
    /// - Parameter prefix: `peer` or `orderer`, for the counted ones.
    /// - Returns: the nodes with their names filled in.
    /// - Throws: ``AuthorityError`` if a count is out of bounds or a placeholder unknown.
    func nodes(prefix: String) throws(AuthorityError) -> [NamedNode] {
        var entries = self.specs
        guard (0...10_000).contains(self.template.count), (0...1_000_000).contains(self.template.start) else {
            throw AuthorityError(
                .invalidRequest,
                """
                \(self.name): Template.Count is \(self.template.count) and Start \(self.template.start); \
                expected 0 to 10000 and 0 to 1000000
                """
            )
        }
        for index in 0..<self.template.count {
            let hostname = self.template.hostname.isEmpty ? "{{.Prefix}}{{.Index}}" : self.template.hostname
            let fields = [
                "Prefix": prefix, "Index": String(index + self.template.start), "Domain": self.domain,
            ]
            var entry = CryptoConfiguration.NodeEntry(hostname: try filled(hostname, fields))
            entry.alternativeNames = self.template.alternativeNames
            entry.keyKind = self.template.keyKind
            entries.append(entry)
        }
        var nodes: [NamedNode] = []
        for entry in entries { nodes.append(try self.named(entry)) }
        return nodes
    }

    func named(_ entry: CryptoConfiguration.NodeEntry) throws(AuthorityError) -> NamedNode {
        var fields = ["Hostname": entry.hostname, "Domain": self.domain]
        let pattern = entry.commonName.isEmpty ? "{{.Hostname}}.{{.Domain}}" : entry.commonName
        let commonName = try filled(pattern, fields)
        fields["CommonName"] = commonName
        var names: [String] = []
        for name in entry.alternativeNames { names.append(try filled(name, fields)) }
        return NamedNode(
            hostname: entry.hostname,
            commonName: commonName,
            alternativeNames: names,
            keyKind: entry.keyKind
        )
    }
}

/// Fills `{{.Field}}` places in.
private func filled(_ pattern: String, _ fields: [String: String]) throws(AuthorityError) -> String {
    var result = ""
    var rest = pattern[...]
    while let start = rest.firstRange(of: "{{") {
        result += rest[..<start.lowerBound]
        guard let end = rest[start.upperBound...].firstRange(of: "}}") else {
            throw AuthorityError(.malformed, "\"\(pattern)\": \"{{\" without \"}}\"")
        }
        let inner = rest[start.upperBound..<end.lowerBound].filter { $0 != " " }
        guard inner.hasPrefix("."), let value = fields[String(inner.dropFirst())] else {
            let known = fields.keys.sorted().map { "{{.\($0)}}" }.joined(separator: ", ")
            throw AuthorityError(
                .malformed,
                "\"\(pattern)\": \"{{\(inner)}}\" is not known; known here: \(known)"
            )
        }
        result += value
        rest = rest[end.upperBound...]
    }
    return result + rest
}
