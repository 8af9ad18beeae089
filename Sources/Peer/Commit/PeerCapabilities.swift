internal import Channel

extension ChannelConfiguration {
    /// Checks that this peer can do all that the channel requires of peers.
    ///
    /// - Throws: ``ValidationHalted`` that names what it can't do.
    /// - Source: Fabric v3, package `common/capabilities`; a real peer process stops.
    func checkPeerCanFollow() throws(ValidationHalted) {
        for level in [Capabilities.Level.channel, .application] {
            let unknown = self.capabilities.unsupported(at: level)
            guard unknown.isEmpty else {
                throw ValidationHalted(
                    "the configuration requires \(level.rawValue) capability \(unknown.joined(separator: ", ")), "
                        + "which this version of Weft doesn't have; install one that has it"
                )
            }
        }
        guard self.application == nil || self.capabilities.hasContractLifecycle else {
            throw ValidationHalted(
                "the configuration doesn't require Application capability V2_0, and the rules of older channels "
                    + "are not supported; update the channel's capabilities"
            )
        }
    }
}
