internal import FoundationEssentials

/// Which names an authority may issue for.
///
/// - Source: RFC 5280, 4.2.1.10; Go `crypto/x509`, where the two differ.
extension NameConstraints {
    /// Whether `name` is in a permitted subtree of its kind, if there are any, and in no excluded one.
    ///
    /// A name that is none, such as a host with an empty label, is not allowed by any constraints.
    func allow(_ name: GeneralName) -> Bool {
        guard Self.isWellFormed(name) else { return false }
        let isExcluded = self.excluded.contains { Self.covers($0, name, isExclusion: true) == true }
        let verdicts = self.permitted.compactMap { Self.covers($0, name, isExclusion: false) }
        return !isExcluded && (verdicts.isEmpty || verdicts.contains(true))
    }

    private static func isWellFormed(_ name: GeneralName) -> Bool {
        switch name {
        case .dns(let host): Self.isDomain(host)
        case .uri(let uri):
            if case let host = Self.host(of: uri), !host.isEmpty { Self.isDomain(host) } else { false }
        case .email(let address):
            address.contains("@") && !address.hasPrefix("@") && Self.isDomain(Self.domain(of: address))
        case .address, .other: true
        }
    }

    /// Whether `text` is made of labels that are not empty and have visible characters only; nothing at all is, too.
    private static func isDomain(_ text: String) -> Bool {
        text.isEmpty
            || text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy {
                label in
                !label.isEmpty && label.allSatisfy { (33...126).contains($0) }
            }
    }

    /// Whether `subtree` covers `name`; `nil` if they are of different kinds.
    private static func covers(_ subtree: GeneralName, _ name: GeneralName, isExclusion: Bool) -> Bool? {
        switch (subtree, name) {
        case (.dns(let domain), .dns(let host)):
            Self.isHost(host, in: domain, isExclusion)
        case (.uri(let domain), .uri(let uri)):
            Self.isHost(Self.host(of: uri), in: domain, isExclusion)
        case (.email(let subtree), .email(let address)):
            if subtree.contains("@") {
                subtree.lowercased() == address.lowercased()
            } else {
                Self.isHost(Self.domain(of: address), in: subtree, isExclusion)
            }
        case (.address(let range), .address(let address)):
            Self.isAddress(address, in: range)
        default:
            nil
        }
    }

    /// Whether `host` is `domain` or below it; a leading dot allows only what is below.
    ///
    /// A wildcard could stand for any host beside it: it is excluded where one of these is.
    private static func isHost(_ host: String, in domain: String, _ isExclusion: Bool) -> Bool {
        if domain.isEmpty { return true }
        let host = host.lowercased()
        let domain = domain.lowercased()
        if isExclusion, host.hasPrefix("*"), let parent = Self.parent(of: host),
            parent == Self.parent(of: domain)
        {
            return true
        }
        if domain.hasPrefix(".") { return host.hasSuffix(domain) && host.utf8.count > domain.utf8.count }
        return host == domain || host.hasSuffix("." + domain)
    }

    /// What is behind the first label, with the dot.
    private static func parent(of host: String) -> Substring? {
        host.firstIndex(of: ".").map { host[$0...] }
    }

    private static func domain(of address: String) -> String {
        address.split(separator: "@").last.map(String.init) ?? ""
    }

    private static func host(of uri: String) -> String {
        guard let scheme = uri.firstRange(of: "://") else { return "" }
        let afterScheme = uri[scheme.upperBound...]
        let authority = afterScheme.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let host = authority.split(separator: "@").last ?? ""
        return String(host.prefix { $0 != ":" })
    }

    private static func isAddress(_ address: Data, in range: Data) -> Bool {
        guard range.count == 2 * address.count else { return false }
        let base = range.prefix(address.count)
        let mask = range.suffix(address.count)
        return zip(address, zip(base, mask)).allSatisfy { byte, pair in byte & pair.1 == pair.0 & pair.1 }
    }
}
