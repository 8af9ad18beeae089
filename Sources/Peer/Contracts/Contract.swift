internal import Emissions
package import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// A smart contract, as the peer sees it.
///
/// One interface for the peer's own system contracts, the contracts built into Weft, and contracts that
/// run as processes of their own and speak the chaincode protocol.
///
/// `invoke` must be deterministic: from the same arguments and state every peer must reach the same
/// writes and the same response, or the endorsements don't match. No clock (use the transaction's
/// timestamp), no random numbers, no iteration over a `Dictionary` or `Set`, no floating point.
///
/// - Source: Fabric v3.1, `fabric-chaincode-go/shim`, interface `Chaincode`.
package protocol Contract: Sendable {
    /// Executes one transaction, the init call included (``ContractStub/isInit``).
    ///
    /// A status below 400 is endorsed; 400 and above is not.
    ///
    /// - Throws: if there is no response at all, as when a contract's process can't be reached.
    func invoke(_ stub: ContractStub) async throws -> Protos_Response

    /// Whether a call with these arguments takes well under 100 µs: it reads a few keys at most, waits for nothing
    /// and calls no other contract.
    ///
    /// Such a call runs on the thread that received it, and every other call of that thread waits for its end. All
    /// others run on threads for contracts, which costs two changes of threads.
    func isQuick(_ arguments: [Data]) -> Bool
}

extension Contract {
    package func isQuick(_ arguments: [Data]) -> Bool { false }
}

extension Protos_Response {
    /// Success: status 200 with `payload`.
    package static func success(_ payload: Data = Data()) -> Self {
        .with {
            $0.status = 200
            $0.payload = payload
        }
    }

    /// Failure: `status` with a message for the reader.
    package static func failure(_ message: String, status: Int32 = 500) -> Self {
        .with {
            $0.status = status
            $0.message = message
        }
    }
}

/// Why an operation of ``ContractStub`` failed, in words meant for the author of the contract.
package struct ContractError: Error, Equatable, Sendable, CustomStringConvertible {
    package var description: String

    package init(_ description: String) {
        self.description = description
    }
}

/// The contracts that this peer can run, by chaincode name.
///
/// A built-in contract needs no package: a definition of that name, committed on the channel and
/// approved by the peer's own organization, is enough for it to run.
package struct ContractCatalog: Sendable {
    /// Contracts that every channel has and that need no definition: `_lifecycle`, `qscc`, `cscc`.
    package var system: [String: any Contract]
    /// Contracts that a channel has once their definition is committed.
    package var builtIn: [String: any Contract]
    /// Contracts that were installed as packages; which one a name stands for is what the organization approved.
    package var installed: InstalledContracts?

    package init(
        system: [String: any Contract],
        builtIn: [String: any Contract],
        installed: InstalledContracts? = nil
    ) {
        self.system = system
        self.builtIn = builtIn
        self.installed = installed
    }

    /// The contracts built into Weft for channels' own use.
    package static let standardBuiltIns: [String: any Contract] = [
        EmissionsContract.name: LibraryContract(EmissionsContract()),
        KeyValueContract.name: KeyValueContract(),
    ]
}
