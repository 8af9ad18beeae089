import Channel
import Gossip
import Operations
import Peer
import RPC

extension PeerConfiguration {
    /// The configuration as a file that reads back to the same value, with absolute paths.
    var yaml: String {
        var lines = nodeLines(self.listen, self.data, self.identity, self.tls, self.channels)
        lines += operationsLines(self.operations, self.logging)
        if self.advertise != self.listen { lines.insert("advertise: \(quoted(self.advertise))", at: 1) }
        if !self.orderers.isEmpty {
            lines.append("orderers:")
            lines += self.orderers.sorted { $0.key < $1.key }.map {
                "  \(quoted($0.key)): \(quoted($0.value))"
            }
        }
        if self.delivery != ClusterDeliveryOptions() {
            let timeouts = self.delivery.timeouts
            lines += [
                "delivery:", "  policy: \(self.delivery.policy.rawValue)",
                "  blockCensorshipTimeout: \(GoDuration.text(timeouts.censorship))",
                "  minimalReconnectInterval: \(GoDuration.text(timeouts.firstPause))",
            ]
        }
        lines += gossipLines(self.gossip, address: self.advertise)
        if self.limits != ConcurrencyLimits() {
            lines += [
                "limits:", "  endorser: \(self.limits.endorser)", "  gateway: \(self.limits.gateway)",
            ]
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension OrdererConfiguration {
    /// The configuration as a file that reads back to the same value, with absolute paths.
    var yaml: String {
        var lines = nodeLines(self.listen, self.data, self.identity, self.tls, self.channels)
        lines += operationsLines(self.operations, self.logging)
        if let admin = self.admin {
            lines += ["admin:", "  listen: \(quoted(admin.listen))"]
            if let tls = admin.tls { lines += tlsLines(tls).map { "  \($0)" } }
            lines += ["  enabled: \(admin.isEnabled)", "  maxRequestBodySize: \(admin.maximumBodyBytes)"]
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

private func nodeLines(
    _ listen: String,
    _ data: String,
    _ identity: IdentityFiles,
    _ tls: TLSFiles?,
    _ channels: [String]
) -> [String] {
    var lines = [
        "listen: \(quoted(listen))",
        "data: \(quoted(data))",
        "identity:",
        "  mspID: \(quoted(identity.mspID))",
        "  folder: \(quoted(identity.folder))",
    ]
    if let tls { lines += tlsLines(tls) }
    if !channels.isEmpty {
        lines.append("channels:")
        lines += channels.map { "  - \(quoted($0))" }
    }
    return lines
}

private func tlsLines(_ tls: TLSFiles) -> [String] {
    ["tls:", "  certificate: \(quoted(tls.certificate))", "  key: \(quoted(tls.key))", "  roots:"]
        + tls.roots.map { "    - \(quoted($0))" } + ["  clients: \(tls.clients.name)"]
}

private func operationsLines(_ operations: OperationsFiles?, _ logging: LoggingSettings) -> [String] {
    var lines: [String] = []
    if let operations {
        lines.append("operations:")
        if let listen = operations.listen { lines.append("  listen: \(quoted(listen))") }
        lines += metricsLines(operations.metrics).map { "  " + $0 }
        lines += operations.tls.map(tlsLines)?.map { "  " + $0 } ?? []
    }
    if logging != LoggingSettings() {
        lines.append("logging:")
        if let specification = logging.specification { lines.append("  spec: \(quoted(specification))") }
        if let format = logging.format { lines.append("  format: \(quoted(format))") }
    }
    return lines
}

private func gossipLines(_ gossip: GossipSettings, address: String) -> [String] {
    var standard = GossipSettings()
    standard.endpoint = address
    standard.externalEndpoint = address
    guard gossip != standard else { return [] }
    var lines = ["gossip:"]
    if !gossip.options.bootstrap.isEmpty {
        lines.append("  bootstrap: [\(gossip.options.bootstrap.map(quoted).joined(separator: ", "))]")
    }
    if gossip.options.blockGossipEnabled { lines.append("  blockGossipEnabled: true") }
    if gossip.options.stateInfoRetention != standard.options.stateInfoRetention {
        let interval = gossip.options.publishStateInfoInterval * gossip.options.stateInfoRetention
        lines.append("  \(GossipKey.retention): \(GoDuration.text(interval))")
    }
    var entered: [String] = []
    // Keys of one section stand together.
    for key in GossipKey.all where key.text(gossip) != key.text(standard) {
        let path = key.name.split(separator: ".").map(String.init)
        let sections = Array(path.dropLast())
        let common = zip(entered, sections).prefix { $0 == $1 }.count
        for (depth, name) in sections.enumerated().dropFirst(common) {
            lines.append(String(repeating: "  ", count: depth + 1) + "\(name):")
        }
        entered = sections
        lines.append(
            String(repeating: "  ", count: path.count) + "\(path.last ?? ""): \(quoted(key.text(gossip)))"
        )
    }
    return lines
}

private func metricsLines(_ provider: OperationsEndpoints.MetricsProvider) -> [String] {
    switch provider {
    case .prometheus: ["metrics: prometheus"]
    case .disabled: ["metrics: disabled"]
    case .statsD(let sender):
        [
            "metrics: statsd", "statsd:", "  network: \(sender.network.rawValue)",
            "  address: \(quoted(sender.address))",
            "  interval: \(GoDuration.text(sender.interval))", "  prefix: \(quoted(sender.prefix))",
        ]
    }
}

/// A YAML text in double quotes, whose rules are JSON's.
private func quoted(_ text: String) -> String { JSONValue.string(text).text }

extension ClientCertificatePolicy {
    fileprivate var name: String {
        switch self {
        case .none: "none"
        case .requested: "requested"
        case .required: "required"
        }
    }
}
