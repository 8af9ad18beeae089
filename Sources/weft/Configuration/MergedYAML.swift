import Yams

/// YAML whose merge keys (`<<: *Defaults`) are carried out, as Fabric's `configtx.yaml` needs.
enum MergedYAML {
    /// The most nodes that a file may amount to after merging; one that refers to itself many times over could
    /// otherwise fill the memory.
    static let maximumNodes = 200_000

    /// Carries out the merges below a node.
    ///
    /// - Throws: ``ConfigurationError`` when a merge doesn't name mappings, or the file grows beyond all measure.
    static func resolve(_ node: Node, file: String) throws(ConfigurationError) -> Node {
        var budget = Self.maximumNodes
        return try Self.resolve(node, file, &budget)
    }

    private static func resolve(
        _ node: Node,
        _ file: String,
        _ budget: inout Int
    ) throws(ConfigurationError) -> Node {
        budget -= 1
        guard budget > 0 else {
            throw ConfigurationError(
                file: file,
                line: node.mark?.line,
                key: "",
                problem: "refers to itself so often that it amounts to more than \(Self.maximumNodes) nodes"
            )
        }
        switch node {
        case .mapping(let mapping):
            return .mapping(try Self.resolve(mapping, file, &budget))
        case .sequence(var sequence):
            for index in sequence.indices {
                sequence[index] = try Self.resolve(sequence[index], file, &budget)
            }
            return .sequence(sequence)
        default:
            return node
        }
    }

    private static func resolve(
        _ mapping: Node.Mapping,
        _ file: String,
        _ budget: inout Int
    ) throws(ConfigurationError) -> Node.Mapping {
        var result = Node.Mapping([], mapping.tag, mapping.style, mapping.mark)
        var sources: [Node] = []
        for (key, value) in mapping {
            let value = try Self.resolve(value, file, &budget)
            guard key.string == "<<" else {
                result[key] = value
                continue
            }
            sources += value.sequence.map { Array($0) } ?? [value]
        }
        // Keys written out win over merged ones, and earlier sources over later ones.
        for source in sources {
            guard let merged = source.mapping else {
                throw ConfigurationError(
                    file: file,
                    line: mapping.mark?.line,
                    key: "<<",
                    problem: "must name a mapping, such as *ChannelDefaults"
                )
            }
            for (key, value) in merged where result[key] == nil { result[key] = value }
        }
        return result
    }
}
