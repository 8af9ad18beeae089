package import Channel
internal import Ledger
internal import Synchronization

/// The contracts that this peer can run on its channels: what it tells others in its state info messages.
///
/// - Source: Fabric v3.1, package `core/chaincode/lifecycle`, chaincodes that are both approved and installed.
package final class InstalledDefinitions: Sendable {
    /// A definition that the organization approved, and the package that it named for it.
    private struct Approved {
        var chaincode: ChannelMember.Chaincode
        var packageID: String?
    }

    private struct Known {
        var height: BlockNumber
        var approved: [Approved]
    }

    /// Under which sequence peers list `_lifecycle`, which every one of them has.
    package static let lifecycle = ChannelMember.Chaincode(name: ChaincodeName.lifecycle, sequence: "1")

    private let organization: MSPID
    private let installed: InstalledContracts?
    private let builtIn: Set<String>
    private let known = Mutex<[ChannelID: Known]>([:])

    /// - Parameters:
    ///   - organization: the peer's own organization, whose approvals count.
    ///   - installed: contracts whose packages are installed; `nil` where none can be.
    ///   - builtIn: names of contracts that need no package.
    package init(organization: MSPID, installed: InstalledContracts?, builtIn: [String]) {
        self.organization = organization
        self.installed = installed
        self.builtIn = Set(builtIn)
    }

    /// What this peer can run on `channel` as its last committed block left it; read once a block.
    ///
    /// - Throws: the ledger's error, or ``MalformedLifecycleState``.
    package func chaincodes(on channel: PeerChannel) throws -> [ChannelMember.Chaincode] {
        let runnable = try self.approved(on: channel).filter { approved in
            if let package = approved.packageID, self.installed?.contract(packageID: package) != nil {
                return true
            }
            return self.builtIn.contains(approved.chaincode.name)
        }
        return runnable.map(\.chaincode) + [Self.lifecycle]
    }

    private func approved(on channel: PeerChannel) throws -> [Approved] {
        let snapshot = channel.ledger.snapshot()
        let known = self.known.withLock { $0[channel.id] }
        if let known, known.height == snapshot.height { return known.approved }
        var approved: [Approved] = []
        for name in try LifecycleState.definedChaincodes(in: snapshot) {
            guard let definition = try LifecycleState.definition(of: name, in: snapshot),
                try definition.isApproved(of: name, by: self.organization, in: snapshot)
            else { continue }
            approved.append(
                Approved(
                    chaincode: .init(name: name, sequence: "\(definition.sequence)"),
                    packageID: try definition.packageID(
                        of: name,
                        approvedBy: self.organization,
                        in: snapshot
                    )
                )
            )
        }
        let found = Known(height: snapshot.height, approved: approved)
        self.known.withLock { known in
            if let other = known[channel.id], other.height > found.height { return }
            known[channel.id] = found
        }
        return approved
    }
}
