import Channel
import Testing

@Suite struct GoDurationTests {
    @Test(arguments: [
        ("2s", Duration.seconds(2)), ("250ms", .milliseconds(250)), ("1h30m", .seconds(5400)), ("0", .zero),
        ("1.5s", .milliseconds(1500)), (".5s", .milliseconds(500)), ("1.s", .seconds(1)),
        ("-2s", .seconds(-2)),
        ("+2s", .seconds(2)), ("3us", .microseconds(3)), ("3µs", .microseconds(3)),
        ("1h0m0.000000001s", .seconds(3600) + .nanoseconds(1)),
        ("2562047h47m16.854775807s", .nanoseconds(Int64.max)),
    ])
    func readsWhatGoReads(text: String, duration: Duration) {
        #expect(GoDuration.parse(text) == duration)
    }

    @Test(arguments: [
        "", "s", "2", "soon", "2 s", "2S", ".s", "--2s", "1s2", "9223372036854775808ns", "3000000h", "٣s",
    ])
    func refusesWhatGoRefuses(text: String) {
        #expect(GoDuration.parse(text) == nil)
    }

    @Test(arguments: [
        (Duration.zero, "0s"), (.nanoseconds(7), "7ns"), (.microseconds(1500), "1.5ms"),
        (.milliseconds(250), "250ms"),
        (.seconds(2), "2s"), (.milliseconds(1500), "1.5s"), (.seconds(60), "1m0s"),
        (.seconds(3600), "1h0m0s"),
        (.seconds(-90), "-1m30s"), (.nanoseconds(1001), "1.001µs"), (.milliseconds(-20), "-20ms"),
    ])
    func writesWhatGoWrites(duration: Duration, text: String) {
        #expect(GoDuration.text(duration) == text)
    }
}
