import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import Testing

@testable import Orderer

/// What clients were told stays true, at whatever write the node dies.
@Suite struct CrashTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var write: Int
        var kind: FaultyDisk.Fault
        var losesPower: Bool

        var testDescription: String {
            "write \(self.write) fails, \(self.kind) it reaches the disk\(self.losesPower ? ", then the power" : "")"
        }
    }

    /// The writes of a channel that starts and orders a few blocks, each of which fails once.
    static let cases = (1...14).flatMap { write in
        [FaultyDisk.Fault.before, .after].flatMap { kind in
            [true, false].map { Case(write: write, kind: kind, losesPower: $0) }
        }
    }

    @Test("no acknowledged envelope is lost or ordered twice when a write fails", arguments: Self.cases)
    func keepsWhatWasAcknowledged(fault: Case) async throws {
        let network = try TestNetwork()
        let disk = FaultyDisk()
        disk.fail(atWrite: fault.write, fault.kind)
        var acknowledged: [Data] = []
        var unknown: [Common_Envelope] = []

        let orderer = try TestOrderer(network, disk: disk)
        await orderer.ready()
        for _ in 0..<5 {
            let envelope = try network.envelope()
            let answer = try await orderer.broadcast(envelope)
            if answer == .accepted {
                acknowledged.append(try envelope.serializedBytes())
            } else {
                #expect(answer.status == .serviceUnavailable)
                unknown.append(envelope)
            }
            await orderer.ready()
        }
        await orderer.stop()
        if fault.losesPower { disk.losePower() }

        let restarted = try TestOrderer(network, disk: disk)
        await restarted.ready()
        // Whatever was answered "safe to resubmit" is resubmitted.
        for envelope in unknown {
            #expect(try await restarted.broadcast(envelope) == .accepted)
            acknowledged.append(try envelope.serializedBytes())
        }
        try await restarted.published(acknowledged.count)
        var ordered: [Data] = []
        var previous: Common_BlockHeader?
        for number in 0..<restarted.channel.feed.height {
            let block = try #require(try restarted.block(number))
            try block.checkStructure(after: previous, expected: number)
            previous = block.header
            if number > 0 {
                try block.verifySignatures(under: restarted.channel.configuration)
                ordered += block.data.data
            }
        }
        #expect(Set(ordered).count == ordered.count, "an envelope was ordered twice")
        #expect(Set(ordered) == Set(acknowledged), "what was acknowledged and what was ordered differ")
        await restarted.stop()
    }
}
