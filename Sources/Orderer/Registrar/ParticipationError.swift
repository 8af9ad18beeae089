package import Channel

/// Why an administrator's request about a channel is refused.
///
/// What kind it is decides the code of the HTTP answer; the texts of ``description`` are what is answered.
package enum ParticipationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The block can't begin a channel of any node.
    case invalidBlock(String)
    /// The envelope is no configuration update.
    case invalidUpdate(String)
    case channelExists(ChannelID, note: String?)
    case channelUnknown(String)
    /// The channel is being removed.
    case removalPending(ChannelID)
    /// The channel is removed, but its folder can't be deleted.
    case removalFailed(ChannelID, String)
    case blockUnknown(String)
    /// This node only follows the channel.
    case notConsenter(ChannelID)
    /// This node, or the channel's rules, say no.
    case refused(String)

    package var description: String {
        switch self {
        case .invalidBlock(let reason): "invalid join block: \(reason)"
        case .invalidUpdate(let reason): "invalid config update envelope: \(reason)"
        case .channelExists(let channel, let note):
            "channel already exists: this node has channel \(channel)\(note.map { ", \($0)" } ?? "")"
        case .channelUnknown(let name): "channel does not exist: this node has no channel \(name)"
        case .removalPending(let channel):
            "channel pending removal: \(channel) is being removed from this node; try again in a moment"
        case .removalFailed(let channel, let reason):
            "channel removal failure: \(channel) could not be deleted: \(reason); then remove it again"
        case .notConsenter(let channel):
            "this node follows channel \(channel), it is no consenter of it: send to a consenter"
        case .blockUnknown(let reason), .refused(let reason): reason
        }
    }
}
