internal import Channel
internal import FabricProtos
internal import Synchronization

/// The layouts that were worked out under the configuration in force of each channel.
///
/// Nearly all proposals ask for the same few policies, and working one out walks the channel's configuration.
final class EndorsementLayoutCache: Sendable {
    private struct Known {
        var configuration: ChannelConfiguration
        var layouts: [[Protos_ApplicationPolicy]: [EndorsementLayout]] = [:]
    }

    /// The most sets of policies kept for one channel; when there are more, all are forgotten.
    private static let limit = 1_000

    private let channels = Mutex<[ChannelID: Known]>([:])

    /// What ``EndorsementLayouts/layouts(satisfying:)`` gives under `configuration`.
    func layouts(
        satisfying policies: [Protos_ApplicationPolicy],
        under configuration: ChannelConfiguration
    ) -> [EndorsementLayout] {
        let known = self.channels.withLock { channels -> [EndorsementLayout]? in
            guard let known = channels[configuration.channelID], known.configuration === configuration else {
                return nil
            }
            return known.layouts[policies]
        }
        if let known { return known }
        let layouts = EndorsementLayouts(root: configuration.config.channelGroup)
            .layouts(satisfying: policies)
        self.channels.withLock { channels in
            var known = channels[configuration.channelID] ?? Known(configuration: configuration)
            if known.configuration !== configuration || known.layouts.count >= Self.limit {
                known = Known(configuration: configuration)
            }
            known.layouts[policies] = layouts
            channels[configuration.channelID] = known
        }
        return layouts
    }
}
