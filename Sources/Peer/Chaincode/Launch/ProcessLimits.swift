internal import Foundation
internal import Glibc

/// What a contract's process may use, and as whom it runs.
package struct ProcessLimits: Equatable, Sendable {
    /// Address space in bytes (`RLIMIT_AS`); `nil` for no limit.
    package var addressSpace: Int?
    /// Open files (`RLIMIT_NOFILE`).
    package var openFiles = 4_096
    /// Processes and threads (`RLIMIT_NPROC`) of the user that contracts run as; `nil` for no limit.
    ///
    /// All of that user's count, and the kernel doesn't hold root to it.
    package var processes: Int?
    /// The user that contracts run as, by name or number; `nil` for the peer's own.
    ///
    /// Another one needs a peer that runs as root.
    package var user: String?

    package init() {}

    /// The command line that sets the limits and becomes the program, which ends with the peer.
    ///
    /// By the programs of util-linux, since code of ours can't run between `fork` and `exec` in Swift.
    static func command(
        _ program: String,
        _ arguments: [String],
        _ limits: ProcessLimits?
    ) throws(ContractError) -> [String] {
        let ending = [try self.find("setpriv"), "--pdeathsig", "KILL"]
        guard let limits else { return ending + ["--", program] + arguments }
        var command = [
            try self.find("prlimit"), "--core=0", "--nofile=\(Self.allowed(limits.openFiles, RLIMIT_NOFILE))",
        ]
        if let addressSpace = limits.addressSpace {
            command.append("--as=\(Self.allowed(addressSpace, RLIMIT_AS))")
        }
        if let processes = limits.processes {
            command.append("--nproc=\(Self.allowed(processes, __RLIMIT_NPROC))")
        }
        command += ending + ["--no-new-privs"]
        if let user = limits.user {
            // The group of the same name or number: users of services have one.
            command += ["--reuid", user, "--regid", user, "--clear-groups"]
        }
        return command + ["--", program] + arguments
    }

    /// A limit, or the one that the peer itself is held to if that is lower: only root may exceed it.
    private static func allowed(_ limit: Int, _ resource: __rlimit_resource) -> Int {
        var own = rlimit()
        guard getrlimit(__rlimit_resource_t(resource.rawValue), &own) == 0 else { return limit }
        return min(limit, Int(clamping: own.rlim_max))
    }

    private static func find(_ program: String) throws(ContractError) -> String {
        for folder in ["/usr/bin", "/bin", "/usr/sbin", "/usr/local/bin"] {
            let path = "\(folder)/\(program)"
            if FileManager.default.isExecutableFile(atPath: path) { return path }
        }
        throw ContractError(
            "contracts can't be started without the program \(program); install the package util-linux"
        )
    }
}
