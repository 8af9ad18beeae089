import Cryptography
import Foundation
import Glibc

/// What signatures alone cost on this machine, at this moment: no ledger of this kind can use less.
struct SignatureFloor: Sendable {
    /// Processor time of one ECDSA P-256 signature over SHA-256 of a short message, in microseconds.
    var signMicroseconds: Double
    /// Processor time of one verification, in microseconds.
    var verifyMicroseconds: Double

    /// Measures for about a second, on the calling thread.
    static func measure() throws -> Self {
        let key = try PrivateKey.generate(.p256)
        let message = Data(repeating: 7, count: 256)
        let signature = try key.sign(message)
        let publicKey = key.publicKey
        guard case .valid = publicKey.verify(signature, of: message) else {
            throw Failure("a signature made just now does not verify: the cryptographic library is broken")
        }
        return Self(
            signMicroseconds: try Self.microseconds { _ = try key.sign(message) },
            verifyMicroseconds: try Self.microseconds { _ = publicKey.verify(signature, of: message) }
        )
    }

    private static func microseconds(_ body: () throws -> Void) throws -> Double {
        for _ in 0..<50 { try body() }
        var count = 0
        let start = Self.threadSeconds
        var end = start
        while end - start < 0.4 {
            for _ in 0..<100 { try body() }
            count += 100
            end = Self.threadSeconds
        }
        return (end - start) / Double(count) * 1_000_000
    }

    /// Processor time of this thread, so that other load on the machine doesn't count.
    private static var threadSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// The signature work of one transaction on all servers together.
    ///
    /// Each endorser verifies the proposal and signs; the orderer verifies the envelope; each peer that commits
    /// verifies the creator and every endorsement. With one peer that is 4 verifications and 1 signature.
    ///
    /// - Parameters:
    ///   - endorsements: How many endorsements a transaction carries.
    ///   - peers: How many peers commit it.
    /// - Returns: Counts, and microseconds of processor time.
    func perTransaction(
        endorsements: Int,
        peers: Int
    ) -> (verifications: Int, signatures: Int, microseconds: Double) {
        let verifications = endorsements + 1 + peers * (1 + endorsements)
        let cost =
            Double(verifications) * self.verifyMicroseconds + Double(endorsements) * self.signMicroseconds
        return (verifications, endorsements, cost)
    }
}
