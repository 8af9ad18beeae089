/// What Fabric's programs print when they are asked for their version, in the form that scripts take apart.
enum ToolVersion {
    static func text(of program: String) -> String {
        """
        \(program):
         Version: v\(Weft.version)
         Commit SHA: weft
         Go version: none
         OS/Arch: \(self.system)
        """
    }

    /// The system and the processor, in the words of Fabric's tools.
    private static var system: String {
        #if arch(x86_64)
            "linux/amd64"
        #elseif arch(arm64)
            "linux/arm64"
        #else
            "linux/unknown"
        #endif
    }
}
