import Emissions
import WeftContract

/// The contract that Weft's peers have built in, as a service: for peers of Fabric, which haven't.
///
/// The same rules, answers and keys, so that peers of both kinds endorse together; except for a creator whose certificate is
/// signed with a high S: a peer of Weft hands its own contracts the certificate with a low one, and its hash is in the answer.
@main struct EmissionsService: ContractService {
    static var contracts: [any Contract] { [EmissionsContract()] }
}
