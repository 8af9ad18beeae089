package import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// Endorsers of one proposal that came to different results: who answered what, and in what the answers differ.
package struct EndorsementDisagreement: Equatable, Sendable, CustomStringConvertible {
    /// The endorsers that gave the same answer, in the order in which answers came.
    package private(set) var groups: [[String]]
    package private(set) var differences: [ReadWriteSetDifference]

    /// How many differences, and how many characters, a text tells at most: it travels in the headers of an answer.
    package static let shownDifferences = 12
    package static let shownCharacters = 3_000
    private static let shownEndorsers = 10

    /// Compares answers; `nil` if all are equal, byte for byte.
    ///
    /// - Parameter answers: Each endorser's name, and the `protos.ProposalResponsePayload` that it signed.
    package init?(_ answers: [(endorser: String, payload: Data)]) {
        var payloads: [Data] = []
        self.groups = []
        for answer in answers {
            if let index = payloads.firstIndex(of: answer.payload) {
                self.groups[index].append(answer.endorser)
            } else {
                payloads.append(answer.payload)
                self.groups.append([answer.endorser])
            }
        }
        guard payloads.count > 1 else { return nil }
        self.differences = ReadWriteSetDifference.between(payloads.map { ReadWriteEntries(payload: $0) })
    }

    /// The same for responses as peers send them; endorsers are called by what `name` says of their identities.
    package init?(
        _ responses: [Protos_ProposalResponse],
        name: (_ endorser: Data) -> String = Self.organization
    ) {
        self.init(responses.map { (name($0.endorsement.endorser), $0.payload) })
    }

    /// The organization of an endorser.
    package static func organization(of endorser: Data) -> String {
        let identity = try? Msp_SerializedIdentity(serializedBytes: endorser)
        return identity?.mspid ?? "an endorser whose identity can't be read"
    }

    package var description: String {
        var lines = ["the endorsers came to \(self.groups.count) different results:"]
        for (index, group) in self.groups.enumerated().prefix(Self.shownDifferences) {
            let names = group.prefix(Self.shownEndorsers).map { KeyText.shortened($0, 100) }
            let others = group.count - names.count
            lines.append(
                "(\(index + 1)) \(names.joined(separator: ", "))" + (others > 0 ? " and \(others) more" : "")
            )
        }
        var told = 0
        var room = Self.shownCharacters - lines.reduce(0) { $0 + $1.count }
        for difference in self.differences.prefix(Self.shownDifferences) {
            let line = KeyText.shortened(difference.description, 600)
            room -= line.count
            guard room > 0 || told == 0 else { break }
            lines.append(line)
            told += 1
        }
        let others = self.differences.count - told
        if others > 0 { lines.append("and \(others) more differences") }
        if self.differences.isEmpty {
            lines.append("their bytes differ in the encoding, or in parts that aren't compared")
        }
        return lines.joined(separator: "\n")
    }
}

extension ReadWriteEntries {
    /// Everything that an endorser signed: what it read and wrote, its response and event, and for what proposal.
    fileprivate init(payload: Data) {
        guard let response = try? Protos_ProposalResponsePayload(serializedBytes: payload),
            let action = try? Protos_ChaincodeAction(serializedBytes: response.extension)
        else {
            self.init()
            self.add(.answer, "answer", payload, "\(payload.count) bytes that can't be decoded")
            return
        }
        self.init()
        let hash = response.proposalHash
        self.add(.answer, "hash of the proposal", hash, hash.hexadecimal)
        let status = action.response.status
        self.add(.answer, "response status", Data("\(status)".utf8), "\(status)")
        let message = Data(action.response.message.utf8)
        self.add(.answer, "response message", message, KeyText.value(message))
        self.add(
            .answer,
            "response payload",
            action.response.payload,
            KeyText.value(action.response.payload)
        )
        self.add(
            .answer,
            "version of the contract",
            Data(action.chaincodeID.version.utf8),
            action.chaincodeID.version
        )
        self.add(event: action.events)
        guard let set = try? TransactionReadWriteSet(serialized: action.results) else {
            self.add(
                .answer,
                "read-write set",
                action.results,
                "\(action.results.count) bytes that can't be decoded"
            )
            return
        }
        for namespace in set.namespaces { self.add(namespace) }
    }

    private mutating func add(event bytes: Data) {
        guard !bytes.isEmpty else { return }
        let event = try? Protos_ChaincodeEvent(serializedBytes: bytes)
        let text = event.map { "\(KeyText.key($0.eventName)) with \(KeyText.value($0.payload))" }
        self.add(.answer, "event", bytes, text ?? "\(bytes.count) bytes that can't be decoded")
    }
}
