import Channel
import FabricProtos
import Testing

@testable import Orderer

/// How positions are resolved on a chain of ten blocks, 0 to 9.
@Suite struct SeekRangeTests {
    enum Position: Sendable {
        case oldest, newest, nextCommit, none
        case number(UInt64)

        var message: Orderer_SeekPosition {
            var position = Orderer_SeekPosition()
            switch self {
            case .oldest: position.oldest = Orderer_SeekOldest()
            case .newest: position.newest = Orderer_SeekNewest()
            case .nextCommit: position.nextCommit = Orderer_SeekNextCommit()
            case .number(let number): position.specified.number = number
            case .none: break
            }
            return position
        }
    }

    private func range(_ start: Position, _ stop: Position) throws -> SeekRange {
        var seek = Orderer_SeekInfo()
        seek.start = start.message
        seek.stop = stop.message
        return try SeekRange(seek, height: 10)
    }

    @Test(
        "starts",
        arguments: [
            (Position.oldest, 0), (.newest, 9), (.nextCommit, 10), (.number(4), 4), (.number(10), 10),
        ]
    )
    func starts(position: Position, number: Int) throws {
        #expect(try self.range(position, .number(UInt64.max)).start == UInt64(number))
    }

    @Test(
        "stops: oldest is the start itself, next_commit acts as 0",
        arguments: [
            (Position.oldest, Position.oldest, 0), (.newest, .oldest, 9), (.newest, .newest, 9),
            (.nextCommit, .newest, 9), (.oldest, .nextCommit, 0), (.newest, .nextCommit, 0),
            (.number(3), .number(5), 5), (.number(3), .number(3), 3),
        ]
    )
    func stops(start: Position, stop: Position, number: Int) throws {
        #expect(try self.range(start, stop).stop == UInt64(number))
    }

    @Test(
        "what can't be resolved has Fabric's status",
        arguments: [
            (Position.number(11), Position.newest, Common_Status.notFound),
            (.none, .newest, .notFound),
            (.number(5), .number(4), .badRequest),
            (.nextCommit, .number(9), .badRequest),
        ]
    )
    func refuses(start: Position, stop: Position, status: Common_Status) {
        let refusal = #expect(throws: Refusal.self) { try self.range(start, stop) }
        #expect(refusal?.status == status)
    }

    @Test("both positions must be there")
    func needsBothPositions() {
        for (hasStart, hasStop) in [(true, false), (false, true), (false, false)] {
            var seek = Orderer_SeekInfo()
            if hasStart { seek.start = Position.oldest.message }
            if hasStop { seek.stop = Position.newest.message }
            let refusal = #expect(throws: Refusal.self) { try SeekRange(seek, height: 10) }
            #expect(refusal?.status == .badRequest)
        }
    }
}
