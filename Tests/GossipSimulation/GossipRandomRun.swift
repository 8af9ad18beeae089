import Channel
import FabricProtos
import Foundation
import Gossip
package import Simulation
import SwiftProtobuf

extension GossipRun {
    /// Runs a network for 150 virtual seconds under load, faults and lies; then without faults, though some peers still
    /// lie, some are gone for good and some don't reach the orderer, until everybody knows and has everything.
    ///
    /// `largest` is the largest number of peers, and `load` how long the faults last.
    package static func random(
        seed: UInt64,
        mutation: GossipMutation? = nil,
        largest: Int = 14,
        load: Moment = 150.seconds,
        trace: ((String) -> Void)? = nil
    ) -> RunReport {
        do {
            let run = try GossipRun(seed: seed, mutation: mutation, largest: largest, trace: trace)
            run.loadEnd = load
            run.begin()
            while run.violation == nil, run.now < run.loadEnd { run.world.run(for: 1.seconds) }
            if run.violation == nil { run.heal() }
            return run.report
        } catch {
            return RunReport(seed: seed, violation: "no network: \(error)")
        }
    }

    private var report: RunReport {
        RunReport(
            seed: self.seed,
            nodes: self.storages.count,
            virtualTime: self.now,
            faults: self.faults,
            commits: self.commits,
            acknowledged: self.delivered,
            messages: self.world.messages,
            counts: self.counts,
            violation: self.violation
        )
    }

    private func begin() {
        self.trace(
            "\(self.storages.count) peers of \(self.identities.organizations.count) organizations; \(self.liars.sorted()) "
                + "lie, \(self.hidden.sorted()) are hidden, \(self.revoked) is revoked by block \(self.revocation)"
        )
        self.every(600.milliseconds...1_200.milliseconds) { run in
            guard run.now < run.loadEnd else { return }
            do { try run.order() } catch { run.violated("the orderer cannot sign: \(error)") }
        }
        self.every(100.milliseconds...300.milliseconds) { $0.deliver() }
        self.every(700.milliseconds...2.seconds) { run in
            if run.now < run.loadEnd - 5.seconds { run.endorse() }
        }
        self.every(3.seconds...5.seconds) { $0.reconcile() }
        self.every(200.milliseconds...800.milliseconds) { $0.lie() }
        self.every(2.seconds...8.seconds) { run in
            if run.now < run.loadEnd { run.injectFault() }
        }
    }

    private func every(_ pause: ClosedRange<Moment>, _ action: @escaping (GossipRun) -> Void) {
        self.after(self.dice.between(pause.lowerBound, pause.upperBound)) { run in
            guard run.violation == nil else { return }
            action(run)
            run.every(pause, action)
        }
    }

    // MARK: - Faults

    private func injectFault() {
        self.faults += 1
        let length = self.dice.between(1.seconds, 40.seconds)
        let number = self.dice.below(self.storages.count)
        switch self.dice.below(8) {
        case 0...2:
            guard self.world.peers[number].isUp else { return }
            self.stop(number)
            self.after(length) { $0.start(number) }
        case 3, 4:
            let half = Set(self.storages.indices.filter { _ in self.dice.chance(500) })
            self.cut("peers \(half.sorted()) are split off", length) {
                half.contains($0) != half.contains($1)
            }
        case 5: self.cut("peer \(number) is cut off", length) { $0 == number || $1 == number }
        case 6:
            self.trace("the network loses and delays messages")
            self.world.lossPerMille = self.dice.between(20, 300)
            self.world.delay = 500...self.dice.between(50.milliseconds, 1_500.milliseconds)
            self.after(length) { run in
                run.world.lossPerMille = 0
                run.world.delay = 500...5_000
            }
        default:
            let unlucky = self.storages.indices.filter { _ in self.dice.chance(500) }
            self.trace("peers \(unlucky) do not reach the orderer")
            for peer in unlucky { self.reach(false, peer) }
            self.after(length) { run in for peer in unlucky { run.reach(true, peer) } }
        }
    }

    private func cut(_ text: String, _ length: Moment, _ isCut: @escaping (Int, Int) -> Bool) {
        self.trace(text)
        self.world.isCut = isCut
        self.world.breakCutConnections()
        self.after(length) { $0.world.isCut = { _, _ in false } }
    }

    private func reach(_ isReachable: Bool, _ number: Int) {
        self.storages[number].reachesOrderer = isReachable
        if self.world.peers[number].isUp { self.give(.ordererReachable(isReachable), to: number) }
    }

    // MARK: - The end

    private func heal() {
        self.trace("all faults end")
        self.world.isCut = { _, _ in false }
        self.world.lossPerMille = 0
        self.world.delay = 500...5_000
        let common = self.storages.indices.filter {
            $0 % self.perOrganization != 0 && !self.liars.contains($0) && $0 != self.revoked
                && !self.hidden.contains($0)
        }
        // What was endorsed by one that is gone may be nowhere else.
        if self.dice.chance(500), let lost = self.dice.pick(common), self.world.peers[lost].isUp {
            let isAlone = self.values.contains { value in
                value.place != nil && self.storages[lost].values.contains(value.id)
                    && self.storages.indices.count { self.storages[$0].values.contains(value.id) } == 1
            }
            if !isAlone { self.gone.insert(lost) }
        }
        for number in self.storages.indices {
            if self.gone.contains(number) { self.stop(number) } else { self.start(number) }
            // The anchor peers reach the orderer; half of the others must get their blocks elsewhere.
            self.reach(number % self.perOrganization == 0 || self.dice.chance(500), number)
        }
        let round = Int(self.world.options.pullInterval / .microseconds(1))
        let end = self.now + Self.rounds * round
        while self.violation == nil, self.now < end {
            self.world.run(for: round / 4)
            if self.whatIsMissing() == nil { return self.trace("everybody knows and has everything") }
        }
        if let missing = self.whatIsMissing(), self.violation == nil {
            self.violated("\(Self.rounds) rounds after all faults ended \(missing)")
        }
    }
}
