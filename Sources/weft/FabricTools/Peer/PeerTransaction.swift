import Channel
import FabricProtos
import Foundation
import GRPCCore
import SwiftProtobuf
import Synchronization
import WeftClient

/// A transaction on its way: endorsed by the peers that the command line names, ordered, and, if wanted, waited for at
/// each of these peers.
struct PeerTransaction: Sendable {
    /// The words with which Fabric's commands say where something went wrong.
    struct Words: Sendable {
        var endorserClient: String
        var endorsing: String
        var broadcastClient: String
        var send: String
    }

    /// A peer and the connection to it.
    struct Endorser: Sendable {
        var address: String
        var node: PeerNode
    }

    let client: PeerClient
    let channel: String
    let endorsers: [Endorser]
    let words: Words

    /// Sends the transaction to the orderer.
    ///
    /// - Parameters:
    ///   - proposal: What the peers were asked.
    ///   - responses: What they answered.
    ///   - wait: How long to wait for the transaction to be committed; nil not to wait.
    /// - Throws: ``ToolFailure`` when the transaction can't be put together, is not taken, or turns out to be invalid.
    func submit(_ proposal: Proposal, _ responses: [Protos_ProposalResponse], wait: Duration?) async throws {
        let payload: Data
        do throws(AssemblyError) {
            payload = try Proposal.assemble(proposal.proposal, responses: responses)
        } catch {
            throw Self.assembly(error)
        }
        let envelope = try Common_Envelope.signed(payload: payload, signer: self.client.identity.signer)
        let orderer = try await self.orderer()
        guard let wait else { return try await self.send(envelope, orderer) }
        try await CommitWait(
            self.endorsers,
            transactionID: proposal.transactionID.description,
            self.client.log
        )
        .run(timeout: wait) { try await self.send(envelope, orderer) }
    }

    private func send(_ envelope: Common_Envelope, _ orderer: String) async throws {
        do {
            try await Self.order(
                envelope,
                channel: self.channel,
                at: orderer,
                self.client,
                context: self.words.broadcastClient
            )
        } catch let error as OrdererRefusal {
            throw ToolFailure("\(self.words.send): \(error)")
        }
    }

    private static func assembly(_ error: AssemblyError) -> ToolFailure {
        switch error {
        case .refused(let status, let message):
            ToolFailure("proposal response was not successful, error code \(status), msg \(message)")
        default: ToolFailure("\(error)")
        }
    }

    // MARK: - Orderers

    /// The orderer that `-o` names, else the first one in the channel's configuration.
    private func orderer() async throws -> String {
        let named = self.client.flags.text("orderer")
        guard named.isEmpty, let first = self.endorsers.first else { return named }
        let context = "error getting channel (\(self.channel)) orderer endpoint"
        let proposal = try await Proposal.signed(
            Invocation("cscc", "GetChannelConfig", [self.channel]),
            channel: "",
            by: self.client.identity,
            type: .config
        )
        let response: Protos_Response
        do {
            response = try await first.node.respond(to: proposal.signed).response
        } catch {
            throw ToolFailure("\(context): error endorsing GetChannelConfig: \(GoText.text(error))")
        }
        guard response.status == 0 || response.status == 200 else {
            throw ToolFailure(
                "\(context): error bad proposal response \(response.status): \(response.message)"
            )
        }
        let configuration = try ChannelConfiguration(
            channelID: ChannelID(self.channel),
            config: Common_Config(serializedBytes: response.payload)
        )
        let own = (configuration.orderer?.organizations ?? []).flatMap(\.endpoints)
        guard let address = own.first ?? configuration.ordererAddresses.first else {
            throw ToolFailure(
                "no orderer endpoints retrieved for channel \(self.channel), pass orderer endpoint with -o flag instead"
            )
        }
        self.client.log.info(
            .chaincodeCmd,
            "InitCmdFactory",
            "Retrieved channel (\(self.channel)) orderer endpoint: \(address)"
        )
        return address
    }

    /// Hands an envelope to an orderer, or to all of several whose addresses are joined by commas, as those of a BFT
    /// channel are.
    ///
    /// Of several up to f = ⌊(n − 1) / 3⌋ may say anything or nothing: f + 1 must have taken it.
    ///
    /// - Throws: ``ToolFailure`` when one can't be reached, ``OrdererRefusal`` when one refuses; of several, what the first
    ///   of those said that did not take it, once too many did not.
    static func order(
        _ envelope: Common_Envelope,
        channel: String,
        at addresses: String,
        _ client: PeerClient,
        context: String
    ) async throws {
        let addresses = addresses.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        let needed = BFTBlockValidation.tolerableFailures(of: addresses.count) + 1
        try await withThrowingTaskGroup(of: (any Error)?.self) { group in
            for address in addresses {
                group.addTask {
                    do {
                        try await Self.order(
                            envelope,
                            channel: channel,
                            atOnly: address,
                            isOneOfSeveral: addresses.count > 1,
                            client,
                            context: context
                        )
                        return nil
                    } catch {
                        return error
                    }
                }
            }
            defer { group.cancelAll() }
            var taken = 0
            var failures: [any Error] = []
            while taken < needed, let failure = try await group.next() {
                if let failure { failures.append(failure) } else { taken += 1 }
                if addresses.count - failures.count < needed, let first = failures.first { throw first }
            }
            // The others shall have it, too, but none of them can keep the caller waiting.
            group.addTask {
                try? await Task.sleep(for: .seconds(1))
                return CancellationError()
            }
            for _ in 0..<addresses.count - taken - failures.count {
                if try await group.next() as? CancellationError != nil { return }
            }
        }
    }

    private static func order(
        _ envelope: Common_Envelope,
        channel: String,
        atOnly address: String,
        isOneOfSeveral: Bool,
        _ client: PeerClient,
        context: String
    ) async throws {
        let target: PeerClient.Target
        do { target = try client.orderer(address) } catch {
            throw ToolFailure("\(context): failed to load config for OrdererClient: \(error)")
        }
        try await reaching("orderer", address, context) {
            try await client.connecting(to: [target]) { connections in
                let answer = try await connections[0].orderer(channel: channel, as: client.identity)
                    .respond(to: envelope)
                guard answer.status == .success || isOneOfSeveral && answer.isTaken else {
                    throw OrdererRefusal(status: answer.status, information: answer.info)
                }
            }
        }
    }
}

/// An orderer did not take an envelope.
struct OrdererRefusal: Error, CustomStringConvertible {
    var status: Common_Status
    var information: String

    var description: String { "got unexpected status: \(self.status.name) -- \(self.information)" }
}

/// Waits until a transaction is committed at several peers, and valid.
struct CommitWait: Sendable {
    private let endorsers: [PeerTransaction.Endorser]
    private let transactionID: String
    private let log: ToolLog

    init(_ endorsers: [PeerTransaction.Endorser], transactionID: String, _ log: ToolLog) {
        self.endorsers = endorsers
        self.transactionID = transactionID
        self.log = log
    }

    /// Follows the blocks of each peer, sends the transaction once all of them are followed, and waits.
    ///
    /// - Throws: ``ToolFailure`` when the transaction is invalid, a peer ends its stream, or time runs out.
    func run(timeout: Duration, send: @Sendable @escaping () async throws -> Void) async throws {
        let (opened, continuation) = AsyncStream.makeStream(of: Void.self)
        let progress = Progress()
        try await withThrowingTaskGroup { group in
            for endorser in self.endorsers {
                group.addTask { try await self.follow(endorser) { continuation.yield() } }
            }
            group.addTask {
                var count = 0
                for await _ in opened {
                    count += 1
                    if count == self.endorsers.count { break }
                }
                try Task.checkCancellation()
                progress.isConnected.store(true, ordering: .releasing)
                try await send()
            }
            group.addTask {
                try await Task.sleep(for: timeout)
                throw ToolFailure(
                    progress.isConnected.load(ordering: .acquiring)
                        ? "timed out waiting for txid on all peers"
                        : "timed out waiting for connection to deliver on all peers"
                )
            }
            // All but the clock have to come to their end.
            defer { group.cancelAll() }
            for _ in 0...self.endorsers.count { _ = try await group.next() }
        }
    }

    /// How far the wait has come.
    private final class Progress: Sendable {
        let isConnected = Atomic(false)
    }

    private func follow(_ endorser: PeerTransaction.Endorser, opened: @Sendable @escaping () -> Void)
        async throws
    {
        let status: Common_Status?
        do {
            status = try await endorser.node.filteredBlocks(opened: opened) { block in
                guard let found = block.filteredTransactions.first(where: { $0.txid == self.transactionID })
                else {
                    return true
                }
                self.log.info(
                    .chaincodeCmd,
                    "ClientWait",
                    "txid [\(self.transactionID)] committed with status (\(found.txValidationCode.name)) at \(endorser.address)"
                )
                guard found.txValidationCode == .valid else {
                    throw ToolFailure("transaction invalidated with status (\(found.txValidationCode.name))")
                }
                return false
            }
        } catch let error as RPCError {
            throw ToolFailure(
                "error receiving from deliver filtered at \(endorser.address): \(GoText.text(error))"
            )
        }
        if let status {
            throw ToolFailure("deliver completed with status (\(status.name)) before txid received")
        }
    }
}
