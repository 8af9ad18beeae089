import CMalloc
import Foundation
import ServiceLifecycle

/// Lets the threads of this process share a few heaps, and keeps pieces as large as a block in them.
///
/// glibc makes up to eight heaps for each core and gives every thread one of them for good. What is freed in one heap
/// is of no use to a thread with another, so a node with some dozen threads holds a quarter more memory than it uses.
///
/// Pieces above a threshold come from the system and go back to it, page by page: an orderer under load, which makes
/// several copies of each block, spent an eighth of its time on that where the threshold was below a block's size. Beyond
/// 1 MiB that is left so: such pieces are rarer, and leave holes in the heaps; at this size they cost an orderer 5 MB.
func shareHeaps() {
    mallopt(M_ARENA_MAX, Int32(clamping: max(2, ProcessInfo.processInfo.activeProcessorCount)))
    mallopt(M_MMAP_THRESHOLD, 1 << 20)
    // Else it follows from the one above, and heaps would shrink and grow all the time.
    mallopt(M_TRIM_THRESHOLD, 8 << 20)
}

/// Gives the system back, every few seconds while a node runs, what its heaps hold and nobody uses.
///
/// Under load that is half of what a node takes: small pieces that are kept lie between the ones that come and go, so
/// that heaps don't shrink by themselves.
struct HeapTrimming: Service {
    private static let interval: Duration = .seconds(5)
    /// What isn't worth the work, in bytes.
    private static let leftAlone = 8 << 20

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while (try? await Task.sleep(for: Self.interval)) != nil {
                if mallinfo2().fordblks > Self.leftAlone { malloc_trim(0) }
            }
        }
    }
}
