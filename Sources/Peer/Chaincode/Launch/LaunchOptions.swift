/// How this peer builds and starts contracts.
package struct LaunchOptions: Equatable, Sendable {
    /// How long a contract may take from its start until it has registered (`chaincode.startuptimeout`).
    package var startTimeout = Duration.seconds(300)
    /// How long building may take (`chaincode.installTimeout`).
    package var buildTimeout = Duration.seconds(300)
    /// Where contracts register that connect to the peer, as `host:port` (`peer.chaincodeListenAddress`).
    package var listenAddress = "127.0.0.1:0"
    /// How they reach that place; `nil` for the listen address (`peer.chaincodeAddress`).
    package var address: String?
    package var limits = ProcessLimits()
    /// Asked in this order, before the builders that this peer has of its own.
    package var builders: [ExternalBuilder] = []
    package var python = Python()
    /// The peer's own environment, of which builders get some variables.
    package var environment: [String: String] = [:]

    /// How contracts in Python are built.
    package struct Python: Equatable, Sendable {
        /// The interpreter that makes virtual environments.
        package var program = "python3"
        /// Where `pip` takes packages from; `nil` for its own configuration.
        package var index: String?

        package init() {}
    }

    package init() {}
}

/// Programs that build and run contracts of some kind for this peer.
///
/// - Source: Fabric v3.1 documentation, "External Builders and Launchers".
package struct ExternalBuilder: Equatable, Sendable {
    package var name: String
    /// The folder that holds `bin/detect`, `bin/build`, `bin/release` and `bin/run`.
    package var path: String
    /// Variables of the peer's environment that its programs get.
    package var propagatedEnvironment: [String]

    package init(name: String, path: String, propagatedEnvironment: [String] = []) {
        self.name = name
        self.path = path
        self.propagatedEnvironment = propagatedEnvironment
    }
}
