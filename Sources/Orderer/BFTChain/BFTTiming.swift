internal import Channel
internal import Consensus

/// How a channel's options become the times of ``BFT`` and its driver.
///
/// Fabric's options are made for SmartBFT, which hears from its leader all the time. Here the leader's time runs only
/// while something waits:
///
/// - A leader is given up after `leader_heartbeat_timeout`, or after `request_forward_timeout` and
///   `request_complain_timeout` if those are shorter, without a block although envelopes wait.
/// - It is given up, too, when one envelope waits for those two times although blocks are made with others that came
///   `request_forward_timeout` later, or when it waits three times as long.
/// - A consenter gives its clients' envelopes to the leader at once, and to all others after `request_forward_timeout`, or
///   after a tenth of the first time without any block. What they have from it they hold against the leader that much
///   earlier.
/// - What was missed is repeated after a fifth of the first time, `view_change_resend_interval` or a second, whichever is
///   shortest.
/// - A batch waits at most for half of the first time.
struct BFTTiming: Equatable {
    /// One unit of the engine's time.
    let tick: Duration
    let configuration: BFTConfiguration
    /// After this long an envelope is given to everybody.
    let forwarding: Duration
    /// After this long without any block everything that waits is given to everybody.
    let quiet: Duration
    /// What came in so shortly after one another is given to the leader together.
    let giving = Duration.milliseconds(5)
    /// After this long an envelope of an own client is held against the leader.
    let patience: Duration
    /// After this long an envelope that another consenter gave is: it waited there before, and the leader must have had
    /// time since it was given by this one.
    let patienceWithOthers: Duration
    /// After this long an envelope is given up.
    let expiry: Duration
    /// The longest that a batch waits.
    let batch: Duration
    /// A consenter that has heard nothing for this long looks at the other orderers' newest blocks.
    let silence: Duration

    private static let ticks = 20
    private static let shortestTick = Duration.milliseconds(10)
    private static let longestTick = Duration.milliseconds(250)
    private static let longestResend = Duration.seconds(1)

    init(_ options: BFTOptions) {
        self.forwarding = options.requestForwardTimeout
        self.patience = options.requestForwardTimeout + options.requestComplainTimeout
        self.patienceWithOthers = max(options.requestComplainTimeout, options.requestForwardTimeout * 2)
        self.expiry = self.patience + options.requestAutoRemoveTimeout
        let leader = min(options.leaderHeartbeatTimeout, self.patience)
        let tick = min(max(leader / Self.ticks, Self.shortestTick), Self.longestTick)
        let resend = min(leader / 5, options.viewChangeResendInterval, Self.longestResend)
        let quiet = min(leader / 10, options.requestForwardTimeout)
        self.tick = tick
        self.quiet = quiet
        self.configuration = BFTConfiguration(
            // The others' time begins when they are given what waits: that is seen to at a tick.
            timeoutTicks: Self.count(leader - quiet - tick, tick),
            resendTicks: Self.count(resend, tick)
        )
        self.batch = leader / 2
        self.silence = max(.seconds(5), leader * 2)
    }

    /// How many ticks a duration takes, rounded up.
    private static func count(_ duration: Duration, _ tick: Duration) -> UInt64 {
        UInt64(max(1, (duration / tick).rounded(.up)))
    }
}
