/// The end of a thread, for which others wait.
final class ThreadEnd: Sendable {
    private let isOver = Monitor(false)

    /// The thread has ended.
    func reached() {
        self.isOver.withLock { $0 = true }
        self.isOver.broadcast()
    }

    /// Waits for the end; for threads only, since it blocks.
    func wait() {
        self.isOver.wait { isOver -> Monitor<Bool>.Wait<Void> in isOver ? .done(()) : .again(nil) }
    }
}
