/// How long a node that takes blocks from BFT orderers waits for what.
///
/// - Source: Fabric v3.1, package `common/deliverclient/blocksprovider`, timeout configuration, and the sample
///   `core.yaml`, `peer.deliveryclient`.
package struct BFTDeliveryTimeouts: Equatable, Sendable {
    /// How long the source of blocks may owe one that another orderer has shown the header of; above zero.
    package var censorship: Duration
    /// How long it may owe one and give nothing at all.
    ///
    /// Doubles, up to ``censorship``, each time that a source is
    /// left for it, and goes down again with each block, so that large blocks on slow lines come in the end.
    package var silence: Duration
    /// The pause before another source of blocks is asked; doubles after each round of all of them that failed.
    package var firstPause: Duration
    /// The pause before an orderer whose headers failed is asked for them again; doubles each time.
    package var firstHeaderPause: Duration
    /// The longest pause of either kind.
    package var longestPause: Duration

    package init(
        censorship: Duration = .seconds(30),
        silence: Duration = .seconds(2),
        firstPause: Duration = .milliseconds(100),
        firstHeaderPause: Duration = .milliseconds(50),
        longestPause: Duration = .seconds(10)
    ) {
        self.censorship = max(censorship, .milliseconds(1))
        self.silence = min(max(silence, .milliseconds(1)), self.censorship)
        self.firstPause = max(firstPause, .milliseconds(1))
        self.firstHeaderPause = max(firstHeaderPause, .milliseconds(1))
        self.longestPause = max(longestPause, self.firstPause, self.firstHeaderPause)
    }

    /// A pause that was doubled `doublings` times, but never gets longer than the longest.
    func pause(_ first: Duration, doublings: Int) -> Duration {
        min(first * (1 << min(max(doublings, 0), 20)), self.longestPause)
    }
}
