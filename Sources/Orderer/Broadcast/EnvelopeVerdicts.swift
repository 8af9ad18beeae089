internal import Channel
internal import FabricProtos
internal import Logging
internal import Operations

/// Decides whether an envelope may be ordered, whatever channel it is for.
struct EnvelopeVerdicts: Sendable {
    let channels: OrderingChannels
    let logger: Logger
    let metrics: BroadcastMetrics

    /// Checks one envelope; runs on a thread for it.
    func verdict(on envelope: ReceivedEnvelope) -> BroadcastExchange.Verdict {
        let start = ContinuousClock.now
        var counts: BroadcastMetrics.Counts?
        do {
            let headers: EnvelopeHeaders
            do {
                headers = try EnvelopeHeaders(envelope.envelope)
            } catch {
                throw Refusal.badRequest("\(error)")
            }
            guard let channel = self.channels[headers.channel.channelID] else {
                throw Refusal.badRequest(
                    "channel \"\(headers.channel.channelID)\" is not ordered by this node: check its name"
                )
            }
            guard channel.isServed else {
                // It may be about to become a consenter, and another orderer is one.
                throw Refusal.unavailable(OrderingChannel.Health.following.failure(channel.id) ?? "")
            }
            let series = self.metrics.counts(channel.id, type: headers.channel.type)
            counts = series
            let waiting = try channel.check(envelope, headers)
            let checked = ContinuousClock.now
            series.accepted(after: checked - start)
            return .accepted { completion in
                let answer = channel.submit(waiting) { response in
                    series.answered(response.status, after: ContinuousClock.now - checked)
                    completion(response)
                }
                if let answer { series.answered(answer.status, after: ContinuousClock.now - checked) }
                return answer
            }
        } catch let refusal as Refusal {
            self.metrics.refused(counts, refusal.status, after: ContinuousClock.now - start)
            self.logger.notice("envelope refused", metadata: ["reason": "\(refusal)"])
            return .refused(refusal)
        } catch {
            self.metrics.refused(counts, .internalServerError, after: ContinuousClock.now - start)
            return .refused(Refusal(status: .internalServerError, info: "\(error)"))
        }
    }
}
