import CMalloc
import Foundation

/// Lets the threads of this process share a few heaps.
///
/// glibc makes up to eight heaps for each core and gives every thread one of them for good. What is freed in one heap
/// is of no use to a thread with another, so a node with some dozen threads holds a quarter more memory than it uses.
func shareHeaps() {
    mallopt(M_ARENA_MAX, Int32(clamping: max(2, ProcessInfo.processInfo.activeProcessorCount)))
}
