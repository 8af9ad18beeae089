internal import Cryptography
internal import Foundation

extension ConfigurationEditor {
    /// A consenter with the addresses and certificates (PEM) of it that must be its own.
    typealias KeyHolder = (address: String, certificates: [Data])

    /// Refuses a consenter that shares a key with another one: nodes are told apart by their keys, and one that is two
    /// consenters would vote twice.
    ///
    /// - Parameters:
    ///   - certificates: what the consenter has, PEM.
    ///   - what: what they are, for the error.
    ///   - place: the consenter, for the error.
    ///   - others: the channel's other consenters, with the same certificates of theirs.
    /// - Throws: ``ConfigurationEditError``, also for a certificate that can't be read.
    static func checkOwn(
        _ certificates: [Data],
        _ what: String,
        of place: String,
        others: [KeyHolder]
    ) throws(ConfigurationEditError) {
        var keys: Set<PublicKey> = []
        for pem in certificates {
            do { keys.insert(try Certificate(pem: pem).publicKey) } catch {
                throw ConfigurationEditError(place, "its \(what) can't be read: \(error)")
            }
        }
        for other in others {
            // What another one has and can't be read is no reason to refuse this one.
            let taken = other.certificates.compactMap { try? Certificate(pem: $0).publicKey }
            guard keys.isDisjoint(with: taken) else {
                throw ConfigurationEditError(
                    place,
                    "its \(what) has the key of consenter \(other.address), and each consenter needs its own; "
                        + "have another one issued, for example with: weft ca issue"
                )
            }
        }
    }
}
