/// Names of groups, values and policies in a configuration.
///
/// - Source: Fabric v3, package `common/configtx`, rules for configuration identifiers.
enum ConfigurationName {
    /// The longest name, in bytes.
    static let maximumLength = 249

    /// What is wrong with a name, as a clause; `nil` if nothing is.
    static func fault(of name: some StringProtocol) -> String? {
        if name.isEmpty { return "a name is empty" }
        if name.utf8.count > Self.maximumLength {
            return "a name is longer than \(Self.maximumLength) characters"
        }
        if name == "." || name == ".." { return "a name is \"\(name)\"" }
        let isPlain = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"): true
            default: false
            }
        }
        return isPlain
            ? nil : "the name \"\(name)\" holds other characters than letters, digits, \".\" and \"-\""
    }

    /// What is wrong with the path of a policy that guards an element, as a clause; `nil` if nothing is.
    static func fault(ofModificationPolicy path: String) -> String? {
        if path.isEmpty { return "mod_policy is not set" }
        let relative = path.hasPrefix("/") ? path.dropFirst() : path[...]
        for part in relative.split(separator: "/", omittingEmptySubsequences: false) {
            if let fault = Self.fault(of: part) { return "mod_policy \"\(path)\" is no path: \(fault)" }
        }
        return nil
    }
}
