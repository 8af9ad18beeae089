import CMalloc
import Foundation
import ServiceLifecycle

/// Lets the threads of this process share a few heaps, and gives large pieces back to the system at once.
///
/// glibc makes up to eight heaps for each core and gives every thread one of them for good. What is freed in one heap
/// is of no use to a thread with another, so a node with some dozen threads holds a quarter more memory than it uses.
///
/// It also puts pieces of up to 32 MiB into the heaps once one of that size has been freed. Blocks, which come and go
/// several times a second and are a hundred times larger than anything else, leave holes there: without them an orderer
/// under load takes 8 MB less.
func shareHeaps() {
    mallopt(M_ARENA_MAX, Int32(clamping: max(2, ProcessInfo.processInfo.activeProcessorCount)))
    mallopt(M_MMAP_THRESHOLD, 256 << 10)
    // Else it follows from the one above, and heaps would shrink and grow all the time.
    mallopt(M_TRIM_THRESHOLD, 4 << 20)
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
