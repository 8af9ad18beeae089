import Foundation
import Testing
import WeftContract
import WeftContractTesting

@testable import Custody

@Suite(.timeLimit(.minutes(5))) struct CustodyTests {
    private static let number = "CSQU3054383"

    /// A channel of a carrier, a port and a trucker, where the carrier holds a container.
    private struct Quay {
        let harness: ContractHarness
        let carrier: TestUser
        let port: TestUser
        let trucker: TestUser

        init() async throws {
            self.harness = try await ContractHarness(
                Custody(),
                organizations: ["CarrierMSP", "PortMSP", "TruckerMSP"]
            )
            self.carrier = try self.harness.user("captain", of: "CarrierMSP")
            self.port = try self.harness.user("crane", of: "PortMSP")
            self.trucker = try self.harness.user("driver", of: "TruckerMSP")
            try await self.harness.submit("Register", number, "coffee", "Santos", as: self.carrier)
        }

        func holder() async throws -> String {
            try await self.harness.evaluate("Read", number, as: self.port).decoded(as: Container.self).holder
        }

        func status(_ function: String, _ arguments: String..., as user: TestUser) async throws -> Int {
            do {
                switch arguments.count {
                case 0: _ = try await self.harness.endorse(function, number, as: user)
                default: _ = try await self.harness.endorse(function, number, arguments[0], as: user)
                }
                return 200
            } catch let refusal as TransactionRefused {
                return refusal.status
            }
        }
    }

    @Test func aContainerChangesHandsWhenBothConsent() async throws {
        let quay = try await Quay()
        let both = ["CarrierMSP", "PortMSP"]
        let offer = try await quay.harness.submit("Offer", Self.number, "PortMSP", as: quay.carrier, by: both)
        #expect(
            try offer.result.event?.decoded(as: Custody.Offer.self)
                == Custody.Offer(number: Self.number, giver: "CarrierMSP", receiver: "PortMSP")
        )
        #expect(try await quay.holder() == "CarrierMSP")
        quay.harness.time = quay.harness.time.addingTimeInterval(3600)
        let accepted = try await quay.harness.submit(
            "Accept",
            Self.number,
            "Rotterdam",
            as: quay.port,
            by: both
        )
        let container = try accepted.result.decoded(as: Container.self)
        #expect(container.holder == "PortMSP" && container.place == "Rotterdam")
        #expect(container.since == quay.harness.time)
        let held = try await quay.harness.evaluate("HeldBy", "PortMSP", as: quay.trucker).decoded(
            as: [Container].self
        )
        #expect(held == [container])
        let history = try await quay.harness.evaluate("History", Self.number, as: quay.port)
            .decoded(as: [Container].self)
        #expect(history.map(\.holder) == ["PortMSP", "CarrierMSP", "CarrierMSP"])
    }

    @Test func nobodyElseCanConsentInTheirPlace() async throws {
        let quay = try await Quay()
        #expect(try await quay.status("Offer", "TruckerMSP", as: quay.port) == 403)
        #expect(try await quay.status("Accept", "Rotterdam", as: quay.port) == 409)
        try await quay.harness.submit("Offer", Self.number, "PortMSP", as: quay.carrier)
        #expect(try await quay.status("Accept", "Rotterdam", as: quay.trucker) == 403)
        #expect(try await quay.status("Accept", "Rotterdam", as: quay.carrier) == 403)
        #expect(try await quay.status("Offer", "TruckerMSP", as: quay.carrier) == 409)
        #expect(try await quay.status("Withdraw", as: quay.port) == 403)
    }

    /// The contract's own policy would be content with any two of the three.
    @Test func aHandOverThatGiverOrReceiverDidNotEndorseIsInvalid() async throws {
        let quay = try await Quay()
        try await quay.harness.submit("Offer", Self.number, "PortMSP", as: quay.carrier)
        for endorsers in [["PortMSP", "TruckerMSP"], ["CarrierMSP", "TruckerMSP"]] {
            let endorsed = try await quay.harness.endorse(
                "Accept",
                Self.number,
                "x",
                as: quay.port,
                by: endorsers
            )
            let outcome = try #require(try await quay.harness.commit(endorsed).first)
            #expect(outcome.code == "ENDORSEMENT_POLICY_FAILURE")
        }
        #expect(try await quay.holder() == "CarrierMSP")
        try await quay.harness.submit(
            "Accept",
            Self.number,
            "x",
            as: quay.port,
            by: ["CarrierMSP", "PortMSP"]
        )
        #expect(try await quay.holder() == "PortMSP")
    }

    @Test func anOfferThatIsWithdrawnCannotBeAcceptedAnyMore() async throws {
        let quay = try await Quay()
        try await quay.harness.submit("Offer", Self.number, "PortMSP", as: quay.carrier)
        let accept = try await quay.harness.endorse("Accept", Self.number, "x", as: quay.port)
        let withdraw = try await quay.harness.endorse("Withdraw", Self.number, as: quay.carrier)
        let outcomes = try await quay.harness.commit(withdraw, accept)
        #expect(outcomes.map(\.isValid) == [true, false])
        #expect(try await quay.holder() == "CarrierMSP")
        #expect(try await quay.status("Accept", "x", as: quay.port) == 409)
    }

    @Test(arguments: ["CSQU3054384", "csqu3054383", "CSQX3054383", "CSQU305438", ""])
    func numbersThatAreNoneAreRefused(number: String) async throws {
        let harness = try await ContractHarness(Custody())
        let user = try harness.user("u", of: "Org1MSP")
        await #expect(throws: TransactionRefused.self) {
            try await harness.submit("Register", number, "coffee", "Santos", as: user)
        }
    }
}
