internal import CPKCS11
internal import FoundationEssentials
internal import Glibc

/// A PKCS #11 library, opened and initialized.
///
/// It stays open until the process ends: libraries of tokens are known to crash when they are unloaded.
///
/// Why `@unchecked`: the pointer never changes, and the library is told to lock for itself.
final class TokenLibrary: @unchecked Sendable {
    let path: String
    let functions: CK_FUNCTION_LIST

    /// Opens the file `path`.
    init(_ path: String) throws(CryptographyError) {
        self.path = path
        guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
            let reason = dlerror().map { String(cString: $0) } ?? "no reason given"
            throw CryptographyError(
                code: .token,
                message: "cannot open the PKCS #11 library \(path): \(reason); check BCCSP.PKCS11.Library"
            )
        }
        guard let symbol = dlsym(handle, "C_GetFunctionList") else {
            dlclose(handle)
            throw CryptographyError(
                code: .token,
                message: "\(path) is no PKCS #11 library: it has no function C_GetFunctionList"
            )
        }
        let list = unsafeBitCast(symbol, to: CK_C_GetFunctionList.self)
        var functions: CK_FUNCTION_LIST_PTR?
        guard list(&functions) == CKR_OK, let functions else {
            throw CryptographyError(code: .token, message: "\(path): C_GetFunctionList failed")
        }
        self.functions = functions.pointee
        do throws(TokenFault) {
            try self.initialize()
        } catch {
            throw CryptographyError(code: .token, message: "\(path): \(error)")
        }
    }

    /// Begins to use the library; does no harm where somebody already does.
    func initialize() throws(TokenFault) {
        var arguments = CK_C_INITIALIZE_ARGS()
        arguments.flags = CKF_OS_LOCKING_OK
        let code = self.functions.C_Initialize(&arguments)
        guard code != CKR_CRYPTOKI_ALREADY_INITIALIZED else { return }
        try check(code, "C_Initialize")
    }

    /// Begins anew, which ends all sessions of the process.
    ///
    /// Some libraries look for tokens only then.
    func restart() throws(TokenFault) {
        _ = self.functions.C_Finalize(nil)
        try self.initialize()
    }

    /// The slot that holds the token with `label`; `nil` if none does.
    func slot(ofToken label: String) throws(TokenFault) -> CK_SLOT_ID? {
        // Asking without a buffer makes the library look for slots.
        var count: CK_ULONG = 0
        try check(self.functions.C_GetSlotList(1, nil, &count), "C_GetSlotList")
        guard count > 0 else { return nil }
        // One that appears in between has room.
        count += 4
        var slots = [CK_SLOT_ID](repeating: 0, count: Int(count))
        try check(self.functions.C_GetSlotList(1, &slots, &count), "C_GetSlotList")
        for slot in slots.prefix(Int(count)) {
            var information = CK_TOKEN_INFO()
            guard self.functions.C_GetTokenInfo(slot, &information) == CKR_OK else { continue }
            let bytes = withUnsafeBytes(of: information.label) { Array($0) }
            let padded = String(decoding: bytes, as: UTF8.self)
            // Labels are padded with blanks to 32 bytes.
            let end = padded.lastIndex { $0 != " " && $0 != "\0" }
            if padded[..<(end.map(padded.index(after:)) ?? padded.startIndex)] == label { return slot }
        }
        return nil
    }
}
