#if WEFT_THREAD_SANITIZER
    import Glibc

    /// Stands in for `Synchronization.Mutex` when scripts/sanitize builds for the thread sanitizer.
    ///
    /// The standard library's lock is a futex in a library that isn't instrumented, so the sanitizer takes all that
    /// it guards for races. It knows the locks of pthread.
    struct Mutex<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
        // Why `@unchecked`: the value is only reached through `withLock`.
        private let lock: UnsafeMutablePointer<pthread_mutex_t>
        private let value: UnsafeMutablePointer<Value>

        init(_ value: consuming sending Value) {
            self.lock = .allocate(capacity: 1)
            self.lock.initialize(to: pthread_mutex_t())
            pthread_mutex_init(self.lock, nil)
            self.value = .allocate(capacity: 1)
            self.value.initialize(to: value)
        }

        deinit {
            pthread_mutex_destroy(self.lock)
            self.lock.deallocate()
            self.value.deinitialize(count: 1)
            self.value.deallocate()
        }

        borrowing func withLock<Result: ~Copyable, Failure: Error>(
            _ body: (inout sending Value) throws(Failure) -> sending Result
        ) throws(Failure) -> sending Result {
            pthread_mutex_lock(self.lock)
            defer { pthread_mutex_unlock(self.lock) }
            return try body(&self.value.pointee)
        }
    }
#endif
