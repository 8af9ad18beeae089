internal import Channel
internal import Cryptography
internal import FabricProtos
public import Foundation
internal import Ledger
internal import Peer
internal import SwiftProtobuf
internal import Synchronization
public import WeftContract

/// A channel in memory on which contracts are called, and their transactions committed block by block.
///
/// ```swift
/// let harness = try await ContractHarness(AssetTransfer())
/// let alice = try harness.user("alice", of: "Org1MSP")
///
/// try await harness.submit("Create", "a1", "alice", as: alice)
/// let asset = try await harness.evaluate("Read", "a1", as: alice).decoded(as: Asset.self)
/// ```
/// Endorsement, read-write sets, validation and the state are those of Weft's peers, and the contract is reached over the
/// same protocol as in a process of its own; there is no network, no disk and no clock. Every organization's peer
/// executes each transaction for itself, so a contract that isn't deterministic is found out.
///
/// Nothing happens by itself: the time stands still until the test sets it, and a block is made when the test commits.
public final class ContractHarness: Sendable {
    /// The MSP identifiers of the channel's organizations.
    public let organizations: [String]
    /// The definitions of the contracts, in the order given.
    public let definitions: [ContractDefinition]

    private let peers: [TestPeer]
    private let orderer: SigningIdentity
    private let clock: SharedClock
    private let serving: Task<Void, Never>
    /// Who wrote each version of the state: transactions by block.
    private let committed = Mutex<[[String]]>([[""]])

    /// Makes a channel with one contract.
    ///
    /// - Parameters:
    ///   - contract: what is tested.
    ///   - organizations: MSP identifiers of the channel's organizations, each with a peer.
    ///   - policy: who must endorse, in Fabric's policy language; `nil`: most of the organizations.
    ///   - collections: the contract's private collections.
    /// - Throws: ``HarnessError`` if it can't be set up so.
    public convenience init(
        _ contract: any WeftContract.Contract,
        organizations: [String] = ["Org1MSP", "Org2MSP"],
        policy: String? = nil,
        collections: [PrivateCollection] = []
    ) async throws {
        try await self.init(
            [ContractDefinition(contract, policy: policy, collections: collections)],
            organizations: organizations
        )
    }

    /// Makes a channel with several contracts, which may call each other.
    ///
    /// - Parameters:
    ///   - definitions: the contracts; calls go to the first unless they say otherwise.
    ///   - organizations: MSP identifiers of the channel's organizations, each with a peer.
    /// - Throws: ``HarnessError`` if it can't be set up so.
    public init(
        _ definitions: [ContractDefinition],
        organizations: [String] = ["Org1MSP", "Org2MSP"]
    ) async throws {
        let consortium = try TestConsortium(organizations)
        // 2026-01-15, 12:00 UTC.
        let clock = SharedClock(Date(timeIntervalSince1970: 1_768_478_400))
        let peers = try consortium.organizations.map { organization in
            try TestPeer(organization, genesis: consortium.genesis, definitions: definitions) { clock.now }
        }
        self.organizations = organizations
        self.definitions = definitions
        self.peers = peers
        self.orderer = consortium.orderer
        self.clock = clock
        self.serving = Task {
            await withDiscardingTaskGroup { group in
                for peer in peers { group.addTask { await peer.serve() } }
            }
        }
        for peer in peers { await peer.waitUntilReady() }
        for definition in definitions { try await self.define(definition) }
    }

    deinit { self.serving.cancel() }

    /// The time that transactions carry: 2026-01-15, 12:00 UTC, until the test sets another.
    public var time: Date {
        get { self.clock.now }
        set { self.clock.now = newValue }
    }

    /// A new user of an organization.
    ///
    /// - Parameters:
    ///   - name: the common name in the certificate.
    ///   - mspID: the organization.
    ///   - role: the role that the certificate gives.
    ///   - attributes: attributes as Fabric CA certifies them.
    /// - Returns: the user, with a certificate of its own.
    /// - Throws: ``HarnessError`` if there is no such organization.
    public func user(
        _ name: String,
        of mspID: String,
        role: TestUser.Role = .client,
        attributes: [String: String] = [:]
    ) throws -> TestUser {
        let identity = try self.peer(of: mspID).organization.issue(
            name,
            unit: role.rawValue,
            attributes: attributes
        )
        return TestUser(name: name, mspID: mspID, identity: identity)
    }

    private func peer(of mspID: String) throws -> TestPeer {
        guard let peer = self.peers.first(where: { $0.organization.mspID == mspID }) else {
            throw HarnessError("there is no \(mspID) on the channel; there are: \(self.organizations)")
        }
        return peer
    }
}

/// The time that the harness and its peers have in common.
private final class SharedClock: Sendable {
    private let time: Mutex<Date>

    init(_ time: Date) { self.time = Mutex(time) }

    var now: Date {
        get { self.time.withLock { $0 } }
        set { self.time.withLock { $0 = newValue } }
    }
}

// MARK: - Calls

extension ContractHarness {
    /// Asks a question: the contract runs on the peer of the user's own organization, and nothing is committed.
    ///
    /// Arguments that are no texts or bytes go as JSON.
    ///
    /// - Parameters:
    ///   - function: the transaction, with the contract's name before it if it isn't the first one.
    ///   - arguments: its arguments.
    ///   - user: who asks.
    ///   - transient: data for the contract alone.
    ///   - name: the chaincode; the first that is defined unless another is given.
    /// - Returns: the contract's answer.
    /// - Throws: ``TransactionRefused`` with the contract's reason.
    public func evaluate(
        _ function: String,
        _ arguments: any Encodable...,
        as user: TestUser,
        transient: [String: any Encodable] = [:],
        on name: String? = nil
    ) async throws -> CallResult {
        let proposal = try self.proposal(function, arguments, user, transient, name)
        return try await self.endorse(proposal, [user.mspID], signer: user.identity).result
    }

    /// Has a transaction endorsed, without committing it.
    ///
    /// - Parameters:
    ///   - function: the transaction.
    ///   - arguments: its arguments.
    ///   - user: who proposes it.
    ///   - transient: data for the contract alone.
    ///   - endorsers: the organizations whose peers execute it; all unless others are given.
    ///   - name: the chaincode; the first that is defined unless another is given.
    /// - Returns: the transaction, for ``commit(_:)``.
    /// - Throws: ``TransactionRefused`` with the contract's reason; ``EndorsementsDiffer``.
    public func endorse(
        _ function: String,
        _ arguments: any Encodable...,
        as user: TestUser,
        transient: [String: any Encodable] = [:],
        by endorsers: [String]? = nil,
        on name: String? = nil
    ) async throws -> EndorsedTransaction {
        let proposal = try self.proposal(function, arguments, user, transient, name)
        return try await self.endorse(proposal, endorsers ?? self.organizations, signer: user.identity)
    }

    /// Has a transaction endorsed, and commits it in a block of its own.
    ///
    /// - Parameters:
    ///   - function: the transaction.
    ///   - arguments: its arguments.
    ///   - user: who submits it.
    ///   - transient: data for the contract alone.
    ///   - endorsers: the organizations whose peers execute it; all unless others are given.
    ///   - name: the chaincode; the first that is defined unless another is given.
    /// - Returns: what became of it; it is valid.
    /// - Throws: ``TransactionRefused`` with the contract's reason; ``EndorsementsDiffer``; ``TransactionInvalid``.
    @discardableResult
    public func submit(
        _ function: String,
        _ arguments: any Encodable...,
        as user: TestUser,
        transient: [String: any Encodable] = [:],
        by endorsers: [String]? = nil,
        on name: String? = nil
    ) async throws -> TransactionOutcome {
        let proposal = try self.proposal(function, arguments, user, transient, name)
        let endorsed = try await self.endorse(
            proposal,
            endorsers ?? self.organizations,
            signer: user.identity
        )
        return try await self.commitAlone(endorsed)
    }

    /// Initializes a contract whose definition requires it; as ``submit(_:_:as:transient:by:on:)``.
    ///
    /// - Parameters:
    ///   - function: the transaction that initializes it.
    ///   - arguments: its arguments.
    ///   - user: who submits it.
    ///   - name: the chaincode; the first that is defined unless another is given.
    /// - Returns: what became of it; it is valid.
    /// - Throws: ``TransactionRefused`` with the contract's reason; ``TransactionInvalid``.
    @discardableResult
    public func initialize(
        _ function: String,
        _ arguments: any Encodable...,
        as user: TestUser,
        on name: String? = nil
    ) async throws -> TransactionOutcome {
        let proposal = try self.proposal(function, arguments, user, [:], name, isInit: true)
        return try await self.commitAlone(self.endorse(proposal, self.organizations, signer: user.identity))
    }

    private func commitAlone(_ endorsed: EndorsedTransaction) async throws -> TransactionOutcome {
        guard let outcome = try await self.commit([endorsed]).first else {
            throw HarnessError("the block has no transaction")
        }
        guard outcome.isValid else { throw TransactionInvalid(outcome: outcome) }
        return outcome
    }

    private func proposal(
        _ function: String,
        _ arguments: [any Encodable],
        _ user: TestUser,
        _ transient: [String: any Encodable],
        _ name: String?,
        isInit: Bool = false
    ) throws -> Proposal {
        guard let name = name ?? self.definitions.first?.name else {
            throw HarnessError("no contract is defined")
        }
        return try Proposal(
            channel: TestConsortium.channel,
            chaincode: name,
            arguments: [Data(function.utf8)] + arguments.map { try ContractValue.encode($0) },
            transient: transient.mapValues { try ContractValue.encode($0) },
            isInit: isInit,
            signer: user.identity,
            nonce: secureRandomBytes(24),
            timestamp: self.time
        )
    }

    private func endorse(
        _ proposal: Proposal,
        _ mspIDs: [String],
        signer: SigningIdentity
    ) async throws -> EndorsedTransaction {
        var responses: [(organization: String, response: Protos_ProposalResponse)] = []
        for mspID in mspIDs {
            let peer = try self.peer(of: mspID)
            let response: Protos_ProposalResponse
            do {
                response = try await peer.endorse(proposal)
            } catch {
                throw TransactionRefused(status: 500, message: "\(error)", organization: mspID)
            }
            guard response.response.status < 400 else {
                throw TransactionRefused(
                    status: Int(response.response.status),
                    message: response.response.message,
                    organization: mspID
                )
            }
            responses.append((mspID, response))
            for other in self.peers {
                try other.receivePrivateData(of: proposal.transactionID.description, from: peer)
            }
        }
        guard let first = responses.first else { throw HarnessError("a transaction needs an endorser") }
        let others = responses.filter { $0.response.payload != first.response.payload }.map(\.organization)
        guard others.isEmpty else { throw EndorsementsDiffer(organizations: [first.organization] + others) }
        return try EndorsedTransaction(proposal, responses.map(\.response), signer)
    }
}

// MARK: - Blocks

extension ContractHarness {
    /// Commits transactions in one block, in this order, on every peer.
    ///
    /// - Parameter transactions: transactions that are endorsed, possibly on a state that is no longer the latest.
    /// - Returns: what became of each.
    /// - Throws: ``HarnessError`` if the peers don't agree.
    @discardableResult
    public func commit(_ transactions: EndorsedTransaction...) async throws -> [TransactionOutcome] {
        try await self.commit(transactions)
    }

    /// Commits transactions in one block, in this order, on every peer.
    ///
    /// - Parameter transactions: transactions that are endorsed, possibly on a state that is no longer the latest.
    /// - Returns: what became of each.
    /// - Throws: ``HarnessError`` if the peers don't agree.
    @discardableResult
    public func commit(_ transactions: [EndorsedTransaction]) async throws -> [TransactionOutcome] {
        guard let first = self.peers.first?.channel else { throw HarnessError("the channel has no peer") }
        let before = first.ledger.snapshot()
        var block = Common_Block.next(after: first.ledger.lastHeader, envelopes: transactions.map(\.envelope))
        try block.sign(
            lastConfig: 0,
            consenterMetadata: Data(),
            by: self.orderer,
            nonce: secureRandomBytes(24)
        )
        let verdicts = try await self.verdicts(block, first, before)
        for peer in self.peers { try await peer.commit(block) }
        guard Set(self.peers.map(\.channel.ledger.lastCommitHash)).count == 1,
            let committed = try first.ledger.block(block.header.number)
        else {
            throw HarnessError("the peers came to different states after block \(block.header.number)")
        }
        let writers = self.committed.withLock { committed in
            committed.append(transactions.map(\.result.transactionID))
            return committed
        }
        var search = ConflictSearch(snapshot: before) { version in
            guard let block = Int(exactly: version.block), let index = Int(exactly: version.transaction),
                writers.indices.contains(block), writers[block].indices.contains(index)
            else { return nil }
            return writers[block][index]
        }
        return try zip(zip(transactions, BlockSummary(committed).codes), verdicts).map { pair, verdict in
            let (transaction, code) = pair
            if code == .valid { search.earlier.append((transaction.result.transactionID, transaction.set)) }
            return TransactionOutcome(
                result: transaction.result,
                block: block.header.number,
                code: code.name,
                conflicts: code.isConflict ? try search.conflicts(of: transaction.set) : [],
                reason: verdict.reason
            )
        }
    }

    /// The peer's reasons for what does not depend on the values read.
    private func verdicts(
        _ block: Common_Block,
        _ channel: PeerChannel,
        _ snapshot: StateSnapshot
    ) async throws -> [TransactionVerdict] {
        let prepared = PreparedBlock(
            block,
            configuration: channel.configuration,
            threads: VerificationThreads(count: 1)
        )
        var rules = NamespaceRulesCache()
        return try BlockValidator.verdicts(
            on: await prepared.transactions(),
            configuration: channel.configuration,
            state: CommittedState(snapshot),
            rules: &rules
        )
    }

    /// Has every organization approve a contract, and the channel adopt it.
    private func define(_ definition: ContractDefinition) async throws {
        let calls = try definition.calls()
        for peer in self.peers {
            let approval = try self.lifecycle(calls.approve, peer.admin)
            _ = try await self.commitAlone(
                self.endorse(approval, [peer.organization.mspID], signer: peer.admin)
            )
        }
        guard let admin = self.peers.first?.admin else { return }
        let adoption = try self.lifecycle(calls.commit, admin)
        _ = try await self.commitAlone(self.endorse(adoption, self.organizations, signer: admin))
    }

    private func lifecycle(_ arguments: [Data], _ admin: SigningIdentity) throws -> Proposal {
        try Proposal(
            channel: TestConsortium.channel,
            chaincode: "_lifecycle",
            arguments: arguments,
            signer: admin,
            nonce: secureRandomBytes(24),
            timestamp: self.time
        )
    }
}

// MARK: - The ledger

extension ContractHarness {
    /// The number of blocks.
    public var height: UInt64 { self.peers.first?.channel.ledger.height ?? 0 }

    /// The committed public value of a key.
    ///
    /// - Parameters:
    ///   - key: the key.
    ///   - name: the chaincode; the first that is defined unless another is given.
    /// - Returns: the value; `nil` if there is none.
    /// - Throws: ``HarnessError`` if the state can't be read.
    public func value(of key: String, on name: String? = nil) throws -> Data? {
        let namespace = name ?? self.definitions.first?.name ?? ""
        return try self.peers.first?.channel.ledger.snapshot().value(namespace: namespace, key: key)?.value
    }

    /// The committed private value of a key, as one organization's peer holds it.
    ///
    /// - Parameters:
    ///   - key: the key.
    ///   - collection: the private collection.
    ///   - mspID: the organization whose peer is looked at.
    ///   - name: the chaincode; the first that is defined unless another is given.
    /// - Returns: the value; `nil` if the peer has none.
    /// - Throws: ``HarnessError`` if there is no such organization.
    public func privateValue(
        of key: String,
        in collection: String,
        atPeerOf mspID: String,
        on name: String? = nil
    ) throws -> Data? {
        let namespace = name ?? self.definitions.first?.name ?? ""
        return try self.peer(of: mspID).channel.ledger.snapshot()
            .privateValue(namespace: namespace, collection: collection, key: key)?.value
    }
}

extension EndorsedTransaction {
    fileprivate init(
        _ proposal: Proposal,
        _ responses: [Protos_ProposalResponse],
        _ signer: SigningIdentity
    ) throws {
        let unpacked = try UnpackedProposal(proposal.signed)
        guard let first = responses.first else { throw HarnessError("a transaction needs an endorsement") }
        let payload = try Protos_ProposalResponsePayload(serializedBytes: first.payload)
        let action = try Protos_ChaincodeAction(serializedBytes: payload.extension)
        self.set = try TransactionReadWriteSet(serialized: action.results)
        self.readWriteSet = StateAccess.list(self.set)
        let event = action.events.isEmpty ? nil : try Protos_ChaincodeEvent(serializedBytes: action.events)
        self.result = CallResult(
            transactionID: proposal.transactionID.description,
            payload: first.response.payload,
            event: event.map { ContractEvent(name: $0.eventName, payload: $0.payload) }
        )
        let assembled = try Proposal.assemble(unpacked, responses: responses)
        self.envelope = try Common_Envelope.signed(payload: assembled, signer: signer).serializedBytes()
    }
}

extension Protos_TxValidationCode {
    fileprivate var isConflict: Bool { self == .mvccReadConflict || self == .phantomReadConflict }
}
