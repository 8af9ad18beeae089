internal import Channel
internal import FabricProtos

/// Which blocks a request asks for, once its positions are resolved against the chain.
///
/// Source: Fabric v3.1, package `common/deliver`.
struct SeekRange: Equatable, Sendable {
    var start: BlockNumber
    /// The last block; a number below ``start`` means that there is no end.
    var stop: BlockNumber
    var waits: Bool

    /// Resolves the positions of `seek` for a chain of `height` blocks.
    init(_ seek: Orderer_SeekInfo, height: BlockNumber) throws(Refusal) {
        guard seek.hasStart, seek.hasStop else {
            throw .badRequest("the seek info lacks its start or its stop: give both positions")
        }
        let newest = height == 0 ? 0 : height - 1
        switch seek.start.type {
        case .oldest: self.start = 0
        case .newest: self.start = newest
        case .nextCommit: self.start = height
        case .specified(let specified):
            guard specified.number <= height else {
                throw Refusal(
                    status: .notFound,
                    info: "block \(specified.number) was asked for, the channel has \(height) blocks"
                )
            }
            self.start = specified.number
        case nil:
            throw Refusal(status: .notFound, info: "the start position is of no known kind")
        }
        switch seek.stop.type {
        case .oldest: self.stop = self.start
        case .newest: self.stop = newest
        case .specified(let specified):
            guard specified.number >= self.start else {
                throw .badRequest("start number \(self.start) greater than stop number \(specified.number)")
            }
            self.stop = specified.number
        // Fabric does not resolve this position: it acts as block 0.
        case .nextCommit, nil: self.stop = 0
        }
        self.waits = seek.behavior != .failIfNotReady
    }
}
