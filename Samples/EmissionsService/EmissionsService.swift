import Emissions
import WeftContract

/// The contract that Weft's peers have built in, as a service: for peers of Fabric, which haven't.
///
/// The same rules, answers and keys, so that peers of both kinds endorse together.
@main struct EmissionsService: ContractService {
    static var contracts: [any Contract] { [EmissionsContract()] }
}
