internal import Channel
internal import RPC
internal import ServiceLifecycle

/// Lets the organizations of the peer's channels connect, as configurations come and go.
struct ClientRootsUpdates: Service {
    let channels: ChannelRegistry
    let roots: ClientRoots

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                for await channel in self.channels.joined() {
                    group.addTask {
                        for await configuration in channel.configurations() {
                            self.roots.trust(configuration)
                        }
                    }
                }
                group.cancelAll()
            }
        }
    }
}

extension ClientRoots {
    /// Trusts the organizations of a configuration.
    func trust(_ configuration: ChannelConfiguration) {
        // The MSPs were checked with their configuration: their certificates are PEM.
        try? self.set(configuration.tlsRootsPEM, of: configuration.channelID.description)
    }
}
