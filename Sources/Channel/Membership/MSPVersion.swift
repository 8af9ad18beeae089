/// The rules that an MSP follows, chosen by the channel's capabilities.
///
/// | version | channel capability | adds |
/// | --- | --- | --- |
/// | 1.0 | none | members and listed administrators |
/// | 1.1 | V1_1 | NodeOUs client and peer, both mandatory |
/// | 1.3 | V1_3, V1_4_2 | principals COMBINED and ANONYMITY |
/// | 1.4.3 | V1_4_3, V2_0 | NodeOUs admin and orderer; each NodeOU optional |
/// | 3.0 | V3_0 | Ed25519 keys |
///
/// - Source: Fabric v3.1, `msp` and `common/capabilities` packages.
package enum MSPVersion: Int, Comparable, Sendable, CaseIterable {
    case v1_0, v1_1, v1_3, v1_4_3, v3_0

    package static func < (left: MSPVersion, right: MSPVersion) -> Bool { left.rawValue < right.rawValue }
}
