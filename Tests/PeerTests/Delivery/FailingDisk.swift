import Foundation
import KeyValueStore
import Synchronization

@testable import Peer

/// A store on a disk that takes no writes for a while.
final class FailingDisk: KeyValueStore {
    private struct State {
        var isFailing = false
        var failures: Int
        var status: @Sendable () -> ChannelStatus? = { nil }
        var statuses: [ChannelStatus] = []
    }

    private let store: any KeyValueStore
    private let code: KeyValueStoreError.Code
    private let state: Mutex<State>

    /// - Parameters:
    ///   - store: what is on the disk.
    ///   - failures: how often opening again fails before it works.
    ///   - code: how writing fails.
    init(_ store: any KeyValueStore, failures: Int, code: KeyValueStoreError.Code) {
        self.store = store
        self.code = code
        self.state = Mutex(State(failures: failures))
    }

    /// Lets writes fail from now on; `status` is asked each time somebody tries to open the store again.
    func begin(_ status: @escaping @Sendable () -> ChannelStatus?) {
        self.state.withLock { state in
            state.isFailing = true
            state.status = status
        }
    }

    /// How the channel stood whenever somebody tried to open the store again.
    var statuses: [ChannelStatus] { self.state.withLock { $0.statuses } }

    private func failure(_ operation: String) -> KeyValueStoreError {
        KeyValueStoreError(code: self.code, folder: "/disk", operation: operation, reason: "test")
    }

    func write(_ batch: WriteBatch, durably: Bool) throws(KeyValueStoreError) {
        if self.state.withLock({ $0.isFailing }) { throw self.failure("write") }
        try self.store.write(batch, durably: durably)
    }

    func reopen() throws(KeyValueStoreError) {
        let status = self.state.withLock { $0.status }()
        let works = self.state.withLock { state in
            if let status { state.statuses.append(status) }
            state.failures -= 1
            state.isFailing = state.failures >= 0
            return !state.isFailing
        }
        guard works else { throw self.failure("open") }
    }

    func value(forKey key: Data) throws(KeyValueStoreError) -> Data? { try self.store.value(forKey: key) }
    func makeCursor() -> any KeyValueCursor { self.store.makeCursor() }
    func snapshot() -> any KeyValueReader { self.store.snapshot() }
    func approximateSize(from start: Data, to end: Data) -> UInt64 {
        self.store.approximateSize(from: start, to: end)
    }
    func compact(from start: Data?, to end: Data?) {}
}
