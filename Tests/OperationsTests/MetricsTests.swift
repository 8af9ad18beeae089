import CoreMetrics
import Testing

@testable import Operations

@Suite struct MetricsTests {
    @Test func `Counters, gauges and histograms have Prometheus's text format`() {
        let metrics = Metrics()
        metrics.counter(.broadcastProcessedCount, "a", "MESSAGE", "SUCCESS").increment(by: 3)
        metrics.gauge(.blockchainHeight, "a").set(7 as Int64)
        metrics.gauge(.blockchainHeight, "b").set(0.5)
        let histogram = metrics.histogram(.blockProcessingTime, "a")
        for value in [0.001, 0.005, 0.5, 100.0] { histogram.record(value) }
        #expect(
            metrics.exposition() == """
                # HELP broadcast_processed_count Envelopes answered.
                # TYPE broadcast_processed_count counter
                broadcast_processed_count{channel="a",type="MESSAGE",status="SUCCESS"} 3
                # HELP ledger_block_processing_time Seconds from a received block to its commit.
                # TYPE ledger_block_processing_time histogram
                ledger_block_processing_time_bucket{channel="a",le="0.005"} 2
                ledger_block_processing_time_bucket{channel="a",le="0.01"} 2
                ledger_block_processing_time_bucket{channel="a",le="0.015"} 2
                ledger_block_processing_time_bucket{channel="a",le="0.05"} 2
                ledger_block_processing_time_bucket{channel="a",le="0.1"} 2
                ledger_block_processing_time_bucket{channel="a",le="1"} 3
                ledger_block_processing_time_bucket{channel="a",le="10"} 3
                ledger_block_processing_time_bucket{channel="a",le="+Inf"} 4
                ledger_block_processing_time_sum{channel="a"} 100.506
                ledger_block_processing_time_count{channel="a"} 4
                # HELP ledger_blockchain_height How many blocks the ledger has.
                # TYPE ledger_blockchain_height gauge
                ledger_blockchain_height{channel="a"} 7
                ledger_blockchain_height{channel="b"} 0.5

                """
        )
    }

    @Test func `Labels and help are escaped`() {
        let metrics = Metrics()
        let odd = MetricDefinition("odd", .counter, labels: ["label"], help: "a\\b\nc")
        metrics.counter(odd, "q\"uote\\slash\nline").increment()
        let text = metrics.exposition()
        #expect(text.contains("# HELP odd a\\\\b\\nc\n"))
        #expect(text.contains("odd{label=\"q\\\"uote\\\\slash\\nline\"} 1\n"))
    }

    @Test func `A library counts through swift-metrics`() {
        let metrics = Metrics()
        Counter(label: "lib.calls", dimensions: [("z", "1"), ("a", "2")], factory: metrics).increment(by: 2)
        Gauge(label: "lib-size", factory: metrics).record(4)
        Timer(label: "lib_time", factory: metrics).recordSeconds(1)
        let text = metrics.exposition()
        #expect(text.contains("lib_calls{a=\"2\",z=\"1\"} 2\n"))
        #expect(text.contains("lib_time_count 1\n"))
    }

    @Test func `Labels from outside can't fill the memory`() {
        let metrics = Metrics()
        for number in 0..<(MetricFamily.limit + 10) {
            metrics.counter(.broadcastProcessedCount, "\(number)", "x", "y").increment()
        }
        #expect(metrics.exposition().contains("{channel=\"other\",type=\"other\",status=\"other\"} 10\n"))
    }

    @Test func `Counts of many threads are all there`() async {
        let metrics = Metrics()
        await withTaskGroup(of: Void.self) { tasks in
            for _ in 0..<8 {
                tasks.addTask {
                    for _ in 0..<1000 {
                        metrics.counter(.proposalsReceived).increment()
                        metrics.histogram(.stateCommitTime, "a").record(0.5)
                    }
                }
            }
        }
        let text = metrics.exposition()
        #expect(text.contains("endorser_proposals_received 8000\n"))
        #expect(text.contains("ledger_statedb_commit_time_sum{channel=\"a\"} 4000\n"))
    }

    @Test func `The process is described`() {
        let metrics = Metrics()
        metrics.collect(ProcessMetrics.collect)
        let text = metrics.exposition()
        for name in [
            "cpu_seconds_total", "open_fds", "max_fds", "resident_memory_bytes", "start_time_seconds",
        ] {
            #expect(text.contains("\nprocess_\(name) ") || text.hasPrefix("process_\(name) "))
        }
        #expect(text.contains("# TYPE process_cpu_seconds_total counter\n"))
    }
}
