import FabricProtos

/// Takes a contract's packages off the peers whose administrators are at hand.
///
/// A definition that a channel has can't be taken away: it is part of the ledger that all organizations share.
struct ContractRemoval: Sendable {
    /// What became of a peer's packages.
    struct Place: Sendable {
        var peer: String
        var removed: [String] = []
        /// Packages that stay, since other chaincodes run them: each with who does.
        var kept: [(package: String, users: [String])] = []
    }

    /// The contract's name.
    let name: String
    let channel: String
    /// The number of the channel's definition; `nil` if it has none.
    let sequence: Int64?

    /// Removes from one peer what its organization has approved for the contract, and unused packages with its name as label.
    ///
    /// - Throws: What the peer refuses with.
    func run(at seat: ContractSeat) async throws -> Place {
        var place = Place(peer: seat.name)
        let approved = try await self.approvedPackages(seat)
        for package in try await seat.installed() {
            let users = self.otherUsers(of: package)
            guard approved.contains(package.packageID) || (package.label == self.name && users.isEmpty) else {
                continue
            }
            // Built into the peer: there is no package to remove.
            guard !package.packageID.hasSuffix(":builtin") else { continue }
            guard users.isEmpty else {
                place.kept.append((package.packageID, users))
                continue
            }
            try await seat.uninstall(package.packageID)
            place.removed.append(package.packageID)
        }
        return place
    }

    /// The packages that the organization has approved for the contract, for this definition and earlier ones.
    private func approvedPackages(_ seat: ContractSeat) async throws -> Set<String> {
        // An organization may have approved the next definition before the channel has it.
        let last = (self.sequence ?? 0) + 1
        var packages: Set<String> = []
        for sequence in ContractSeat.definitions(through: last) {
            if let package = try await seat.approvedPackage(self.name, sequence: sequence), !package.isEmpty {
                packages.insert(package)
            }
        }
        return packages
    }

    /// The chaincodes that run a package, other than this contract: as `name on channel`.
    private func otherUsers(
        of package: Lifecycle_QueryInstalledChaincodesResult.InstalledChaincode
    ) -> [String] {
        package.references.flatMap { channel, references in
            references.chaincodes.filter { channel != self.channel || $0.name != self.name }
                .map { "\($0.name) on channel \(channel)" }
        }.sorted()
    }
}
