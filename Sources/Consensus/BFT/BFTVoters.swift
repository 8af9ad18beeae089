/// A period in which one node leads.
///
/// Views are counted per channel and go on from one block to the next, so that a
/// leader that works keeps leading.
package typealias BFTView = UInt64

/// Who votes on a block, and how many of them decide.
///
/// Of n nodes at most f = ⌊(n−1)/3⌋ may be Byzantine, and q = ⌈(n+f+1)/2⌉ votes decide. Both hold for every n, not only
/// for n = 3f+1:
/// - two quorums share at least 2q−n ≥ f+1 nodes, so at least one that is honest;
/// - q ≤ n−f, so the honest nodes alone are a quorum.
///
/// Source: Fabric v3.1, the policy `/Channel/Orderer/BlockValidation` of a BFT channel asks for the same q.
package struct BFTVoters: Hashable, Sendable {
    /// Ascending, each once.
    package let nodes: [NodeID]

    /// q, how many votes decide.
    package let quorum: Int

    package init(_ nodes: [NodeID]) {
        self.nodes = Array(Set(nodes)).sorted()
        self.quorum = (self.nodes.count + Self.faults(of: self.nodes.count) + 2) / 2
    }

    /// Another quorum than q, for tests that show that only q is safe.
    package init(_ nodes: [NodeID], quorum: Int) {
        self.nodes = Array(Set(nodes)).sorted()
        self.quorum = quorum
    }

    /// f, how many nodes may be Byzantine.
    package var faults: Int { Self.faults(of: self.nodes.count) }

    private static func faults(of count: Int) -> Int { max(0, count - 1) / 3 }

    package func contains(_ node: NodeID) -> Bool { self.nodes.contains(node) }

    /// The nodes lead in turn, in ascending order, as in Fabric without leader rotation.
    package func leader(of view: BFTView) -> NodeID? {
        guard !self.nodes.isEmpty else { return nil }
        return self.nodes[Int(view % UInt64(self.nodes.count))]
    }
}
