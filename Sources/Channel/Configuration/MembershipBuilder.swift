import FabricProtos
import SwiftProtobuf

/// Collects the organizations' MSPs while a configuration is read.
///
/// The same MSP may be defined in several groups, but only in the same words.
struct MembershipBuilder {
    let version: MSPVersion
    private var msps: [MSPID: (msp: MSP, definition: Msp_MSPConfig)] = [:]

    init(version: MSPVersion) { self.version = version }

    /// Sets up the MSP of an organization's group.
    mutating func add(_ group: ConfigurationGroup) throws(ConfigurationError) -> MSPID {
        let definition: Msp_MSPConfig = try group.value(ConfigurationKey.msp)
        let msp: MSP
        do {
            msp = try MSP(definition, version: self.version)
        } catch {
            throw group.error(at: ConfigurationKey.msp, "\(error)")
        }
        if let known = self.msps[msp.id], known.definition != definition {
            throw group.error(
                at: ConfigurationKey.msp,
                "\(msp.id) is defined differently in another group; all definitions of an MSP must be the same"
            )
        }
        self.msps[msp.id] = (msp, definition)
        return msp.id
    }

    /// The directory of all MSPs, in the order of their identifiers.
    func directory() throws(ConfigurationError) -> MembershipDirectory {
        do {
            return try MembershipDirectory(self.msps.values.map(\.msp).sorted { $0.id < $1.id })
        } catch {
            throw ConfigurationError(path: PolicyTree.root, reason: "\(error)")
        }
    }
}
