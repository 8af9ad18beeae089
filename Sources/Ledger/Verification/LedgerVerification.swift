package import Channel
package import FabricProtos
internal import Foundation
internal import KeyValueStore

/// Checks everything in a ledger's folder that can be checked, while no node has it open.
///
/// The files' checksums; the chain of hashes; each block's data hash; signatures and verdicts, through the caller;
/// duplicates, conflicts and commit hashes, computed again; private data against its hashes; and the stored state
/// against the one that the log gives. Nothing that the node would read is changed.
package struct LedgerVerification {
    /// Gives the verdict of every check before the ledger's on each transaction of a block, from the state before it.
    ///
    /// Throws if the block itself, by its orderers' signatures, is not to be accepted.
    package typealias Judge = (_ block: Common_Block, _ state: StateSnapshot) throws -> [TransactionToCommit]

    /// How far the verification is: blocks checked, and blocks to check.
    package typealias Progress = (_ done: BlockNumber, _ total: BlockNumber) -> Void

    private let folder: String
    private let judge: Judge?
    private let progress: Progress
    private var report = VerificationReport()

    /// Verifies the ledger in `folder`.
    ///
    /// Without a `judge` the stored verdicts are believed as far as the ledger can't find them out by itself. The state
    /// is computed again in a folder of its own, in the system's folder for temporary files unless `scratchFolder` names
    /// another place; it is removed afterwards.
    ///
    /// Throws if the folder holds no ledger, is in use, or the scratch folder can't be written.
    package static func run(
        folder: String,
        scratchFolder: String? = nil,
        judge: Judge? = nil,
        progress: @escaping Progress = { _, _ in }
    ) throws -> VerificationReport {
        var verification = LedgerVerification(folder: folder, judge: judge, progress: progress)
        let scratch =
            (scratchFolder ?? FileManager.default.temporaryDirectory.path)
            + "/weft-verify-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: scratch) }
        try verification.run(scratch: scratch)
        return verification.report
    }

    private init(folder: String, judge: Judge?, progress: @escaping Progress) {
        self.folder = folder
        self.judge = judge
        self.progress = progress
    }

    private mutating func run(scratch: String) throws {
        guard FileManager.default.fileExists(atPath: "\(self.folder)/log/CURRENT") else {
            throw LedgerError(
                code: .damaged,
                message:
                    "there is no ledger in \(self.folder); give the folder that holds \"log\" and \"derived\""
            )
        }
        let log = try self.open("log", .forLog) { try BlockLog(store: $0) }
        let privateStore = try self.open("private", .forPrivate) { try PrivateStore(store: $0) }
        let derived = try self.open("derived", .forDerived) { $0 }
        guard let log else { return }
        self.report.height = log.height

        var computed = try ComputedState(
            store: LevelDBStore(folder: scratch, options: .forDerived),
            log: log,
            privateStore: privateStore
        )
        let derivedHeight = try derived.map { try StateReader(store: $0).height() }
        if let derivedHeight, derivedHeight > log.height {
            self.report.findings.append(
                .init(
                    block: log.height,
                    message:
                        "the state is that of \(derivedHeight) blocks, but the log has only \(log.height)"
                )
            )
        }
        var previous: Common_BlockHeader?
        for number in 0..<log.height {
            self.progress(number, log.height)
            guard let header = self.verify(number, log, after: previous, &computed) else { return }
            previous = header
            self.report.verifiedBlocks = number + 1
            self.report.commitHash = computed.lastCommitHash
            if let derived, derivedHeight == computed.height { self.compare(derived, computed.store) }
        }
        self.progress(log.height, log.height)
    }

    /// Opens one store and notes which of its files are damaged.
    private mutating func open<Store>(
        _ name: String,
        _ options: LevelDBOptions,
        _ make: (LevelDBStore) throws -> Store
    ) throws -> Store? {
        let path = "\(self.folder)/\(name)"
        guard FileManager.default.fileExists(atPath: "\(path)/CURRENT") else {
            // Derived and private data may be missing: the one is computed again, of the other there may be none.
            return nil
        }
        var options = options
        options.createsIfMissing = false
        // Before it is opened: LevelDB then compacts and removes files, at a time of its own.
        let damage = LevelDBFiles.damage(in: path)
        do {
            let store = try make(try LevelDBStore(folder: path, options: options))
            self.note(damage, in: name)
            return store
        } catch let error as KeyValueStoreError where error.code == .damaged {
            self.note(damage, in: name)
            if self.report.findings.isEmpty {
                self.report.findings.append(.init(file: name, message: "\(error)"))
            }
            return nil
        }
    }

    private mutating func note(_ damagedFiles: [DamagedFile], in name: String) {
        for damage in damagedFiles {
            let block = name == "log" ? self.firstBlock(after: damage) : nil
            self.report.findings.append(
                .init(
                    block: block,
                    file: "\(name)/\(damage.file)",
                    message: "can't be read from byte \(damage.offset) on: \(damage.reason)"
                )
            )
        }
    }

    /// The first block that damage in a journal of the log makes unreadable.
    ///
    /// Blocks are written in their order, one or several in a record; what comes before the first belongs to none. In a
    /// table only reading tells, since keys there are bounds.
    private func firstBlock(after damage: DamagedFile) -> BlockNumber? {
        guard damage.file.hasSuffix(".log") else { return nil }
        return damage.keyBefore.flatMap(LogKey.number).map { $0 &+ 1 } ?? 0
    }

    /// Returns the block's header, or `nil` if something is wrong with it, after which nothing more can be computed.
    private mutating func verify(
        _ number: BlockNumber,
        _ log: BlockLog,
        after previous: Common_BlockHeader?,
        _ computed: inout ComputedState
    ) -> Common_BlockHeader? {
        let before = self.report.findings.count
        do {
            guard let block = try log.block(number) else { return nil }
            do {
                try block.checkStructure(after: previous, expected: number)
            } catch {
                self.report.findings.append(.init(block: number, message: "\(error)"))
            }
            let stored = BlockSummary(block).codes
            let transactions = try self.judge?(block, computed.snapshot) ?? Self.believed(stored, block)
            guard stored.count == block.data.data.count, transactions.count == stored.count else {
                self.report.findings.append(
                    .init(block: number, message: "it has no verdict for each of its transactions")
                )
                return nil
            }
            let outcome = try computed.apply(block, transactions)
            for (index, (stored, found)) in zip(stored, outcome.codes).enumerated() where stored != found {
                self.report.findings.append(
                    .init(
                        block: number,
                        transaction: index,
                        message: "the stored verdict is \(stored), but the transaction is \(found)"
                    )
                )
            }
            let storedHash = BlockSummary(block).commitHash ?? Data()
            if storedHash != outcome.commitHash, self.report.findings.count == before {
                self.report.findings.append(
                    .init(
                        block: number,
                        message: "the stored commit hash is \(storedHash.hexadecimal), "
                            + "but the block's effects give \(outcome.commitHash.hexadecimal)"
                    )
                )
            }
            for data in outcome.wrongPrivateData {
                self.report.findings.append(
                    .init(
                        block: number,
                        transaction: data.transaction,
                        message: "the private data of collection \(data.collection) of \(data.namespace) "
                            + "does not match its hash in the transaction"
                    )
                )
            }
            return self.report.findings.count == before ? block.header : nil
        } catch let error as KeyValueStoreError where error.code == .damaged {
            self.report.findings.insert(
                .init(block: number, message: "the first block that can't be read: \(error.reason)"),
                at: self.report.findings.firstIndex { $0.file == nil } ?? self.report.findings.endIndex
            )
            return nil
        } catch {
            self.report.findings.append(.init(block: number, message: "\(error)"))
            return nil
        }
    }

    /// The transactions of a block with their stored verdicts, but for those that the ledger finds out by itself.
    private static func believed(
        _ codes: [Protos_TxValidationCode],
        _ block: Common_Block
    ) -> [TransactionToCommit] {
        let own: [Protos_TxValidationCode] = [.duplicateTxid, .mvccReadConflict, .phantomReadConflict]
        return zip(codes, block.data.data).map { code, envelope in
            TransactionToCommit(code: own.contains(code) ? .valid : code, envelope: envelope)
        }
    }

    private mutating func compare(_ derived: any KeyValueStore, _ computed: any KeyValueStore) {
        do {
            self.report.findings += try StateComparison.findings(stored: derived, computed: computed)
        } catch {
            self.report.findings.append(.init(message: "the stored state can't be read: \(error)"))
        }
    }
}
