internal import Foundation

/// A program that executes contracts: with `@main` before the type, it is what the package compiles to.
///
/// ```swift
/// @main
/// struct AssetTransfer: Contract, ContractService { … }
/// ```
/// For several contracts, a type of its own lists them in ``contracts``; the first answers calls that name none.
///
/// | variable or argument | meaning |
/// |---|---|
/// | `CHAINCODE_ID` | the identifier of the installed package; also `CORE_CHAINCODE_ID_NAME` |
/// | `CHAINCODE_SERVER_ADDRESS` | where peers connect to, such as `0.0.0.0:9999` |
/// | `CHAINCODE_TLS_KEY`, `CHAINCODE_TLS_CERT` | files in PEM; without them, plaintext |
/// | `CHAINCODE_CLIENT_CA_CERT` | a file in PEM: peers must show a certificate that leads there |
/// | `-peer.address HOST:PORT` | connects to the peer that has started it, with `CORE_PEER_TLS_ENABLED`, `CORE_PEER_TLS_ROOTCERT_FILE`, `CORE_TLS_CLIENT_KEY_FILE` and `CORE_TLS_CLIENT_CERT_FILE` |
/// | `--metadata` | prints what the contracts can do, and ends |
public protocol ContractService {
    /// Makes the program.
    init()

    /// What it executes.
    static var contracts: [any Contract] { get }
}

extension ContractService where Self: Contract {
    /// The contract itself.
    public static var contracts: [any Contract] { [Self()] }
}

extension ContractService {
    /// Runs the program until it is stopped.
    public static func main() async {
        do {
            let contracts = try ContractSet(self.contracts)
            let arguments = Array(CommandLine.arguments.dropFirst())
            guard !arguments.contains("--metadata") else {
                try FileHandle.standardOutput.write(
                    contentsOf: MetadataContract(self.contracts).json() + Data("\n".utf8)
                )
                return
            }
            let configuration = try ServiceConfiguration(
                environment: ProcessInfo.processInfo.environment,
                arguments: arguments
            )
            let process = ContractProcess(packageID: configuration.packageID, contracts: contracts) {
                say($0)
            }
            try await process.run(configuration.meeting)
        } catch {
            say("\(error)")
            exit(1)
        }
    }
}

/// Writes a line to standard error.
private func say(_ text: String) {
    // Nobody listens any more if it fails, and that is no reason to stop.
    try? FileHandle.standardError.write(contentsOf: Data("\(text)\n".utf8))
}
