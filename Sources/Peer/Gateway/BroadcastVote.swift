internal import Channel
internal import FabricProtos
internal import GRPCCore

/// Whether the ordering service of a BFT channel has taken an envelope, from what each orderer says.
///
/// Up to f of them may say anything, or nothing. What f + 1 say, an honest one says: with SUCCESS of f + 1 the envelope
/// is ordered, or will be. It has failed only when f + 1 can't say so any more, so that f orderers can't make it fail.
///
/// - Source: Fabric v3.1, package `internal/pkg/gateway`, which waits for a quorum of SUCCESS; with Fabric's orderers
///   SUCCESS means that the envelope is queued, with Weft's that it is in a durable block.
struct BroadcastVote: Sendable {
    /// What one orderer says.
    enum Answer: Sendable {
        case response(Orderer_BroadcastResponse)
        /// It can't be reached, or says nothing for too long.
        case unreachable(String)
    }

    enum Outcome: Sendable {
        case undecided
        case taken
        case failed
    }

    private let orderers: Int
    /// How many must have taken the envelope.
    private let needed: Int
    private var successes = 0
    private var refusals = 0
    private var isBusy = false
    private var details: [GatewayFailure.Detail] = []

    /// - Parameters:
    ///   - orderers: How many orderers are asked.
    ///   - consenters: How many consenters the channel has.
    init(orderers: Int, consenters: Int) {
        self.orderers = orderers
        self.needed = min(BFTBlockValidation.tolerableFailures(of: consenters) + 1, orderers)
    }

    /// Counts the answer of one more orderer.
    mutating func count(_ answer: Answer, _ detail: (String) -> GatewayFailure.Detail) -> Outcome {
        switch answer {
        case .response(let response) where response.isTaken:
            self.successes += 1
        case .response(let response):
            if (400..<500).contains(response.status.rawValue) {
                self.refusals += 1
            } else {
                self.isBusy = true
            }
            self.details.append(
                detail(
                    "received unsuccessful response from orderer: status=\(response.status), info=\(response.info)"
                )
            )
        case .unreachable(let reason):
            self.isBusy = true
            self.details.append(detail(reason))
        }
        if self.successes >= self.needed { return .taken }
        return self.orderers - self.details.count < self.needed ? .failed : .undecided
    }

    /// Whether it may help to try again in a moment: not when an honest orderer has refused the envelope itself.
    var isWorthWaiting: Bool { self.isBusy && self.refusals < self.needed }

    /// What the client is told when it has failed.
    var failure: GatewayFailure {
        GatewayFailure(
            .unavailable,
            "insufficient number of orderers could successfully process transaction to satisfy quorum requirement",
            details: self.details
        )
    }
}
