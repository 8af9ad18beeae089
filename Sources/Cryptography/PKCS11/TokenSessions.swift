internal import CPKCS11
internal import Foundation

/// The sessions of this process with one token: opened when they are needed, kept, and opened anew after the token
/// was gone.
///
/// A session can do one thing at a time. Who finds all of them in use waits, so only threads that may block call this.
///
/// Why `@unchecked`: every access to the variables happens with `condition` locked.
final class TokenSessions: @unchecked Sendable {
    struct Session {
        var handle: CK_SESSION_HANDLE
        /// Which login it belongs to; those of earlier ones are closed.
        var generation: Int
    }

    /// As many as Fabric keeps.
    static let maximumSessions = 10

    let library: TokenLibrary
    private let settings: TokenSettings
    private let condition = NSCondition()
    private var idle: [Session] = []
    private var used = 0
    private var generation = 0
    private var slot: CK_SLOT_ID?
    private var handles: [Data: CK_OBJECT_HANDLE] = [:]

    init(_ settings: TokenSettings) throws(CryptographyError) {
        self.settings = settings
        self.library = try TokenLibrary(settings.library)
    }

    deinit {
        for session in self.idle { _ = self.library.functions.C_CloseSession(session.handle) }
    }

    /// Calls `body` with a session in which the user is logged in.
    ///
    /// If the token turns out to be gone, it is looked for again and `body` is called once more.
    func withSession<Value>(
        _ body: (CK_SESSION_HANDLE, CK_FUNCTION_LIST) throws(TokenFault) -> Value
    ) throws(CryptographyError) -> Value {
        do throws(TokenFault) {
            return try self.attempt(body)
        } catch  where error.isLost {
            do throws(TokenFault) {
                return try self.attempt(body)
            } catch {
                throw self.explain(error)
            }
        } catch {
            throw self.explain(error)
        }
    }

    private func explain(_ fault: TokenFault) -> CryptographyError {
        CryptographyError(
            code: .token,
            message: """
                the token "\(self.settings.label)" (\(self.library.path)): \(fault); check that it is plugged in and that \
                BCCSP.PKCS11 names its label and PIN
                """
        )
    }

    private func attempt<Value>(
        _ body: (CK_SESSION_HANDLE, CK_FUNCTION_LIST) throws(TokenFault) -> Value
    ) throws(TokenFault) -> Value {
        let session = try self.take()
        do throws(TokenFault) {
            let value = try body(session.handle, self.library.functions)
            self.giveBack(session, isLost: false)
            return value
        } catch {
            self.giveBack(session, isLost: error.isLost)
            throw error
        }
    }

    /// The handle of an object that was found before, until the token is gone.
    func handle(of key: Data) -> CK_OBJECT_HANDLE? {
        self.condition.lock()
        defer { self.condition.unlock() }
        return self.handles[key]
    }

    func remember(_ handle: CK_OBJECT_HANDLE, of key: Data) {
        self.condition.lock()
        defer { self.condition.unlock() }
        self.handles[key] = handle
    }

    private func take() throws(TokenFault) -> Session {
        self.condition.lock()
        defer { self.condition.unlock() }
        while self.idle.isEmpty, self.used >= Self.maximumSessions { self.condition.wait() }
        if let session = self.idle.popLast() {
            self.used += 1
            return session
        }
        let session = Session(handle: try self.open(), generation: self.generation)
        self.used += 1
        return session
    }

    /// A new session; called with `condition` locked, so that one thread looks for the token.
    private func open() throws(TokenFault) -> CK_SESSION_HANDLE {
        let functions = self.library.functions
        let slot = try self.findSlot()
        var session: CK_SESSION_HANDLE = 0
        let flags = CKF_SERIAL_SESSION | CKF_RW_SESSION
        let opened = functions.C_OpenSession(slot, flags, nil, nil, &session)
        guard opened == CKR_OK else {
            let fault = TokenFault(code: opened, function: "C_OpenSession")
            if fault.isLost { self.forget() }
            throw fault
        }
        var pin = Array(self.settings.pin.utf8)
        let code = functions.C_Login(session, CK_USER_TYPE(CKU_USER), &pin, CK_ULONG(pin.count))
        guard code == CKR_OK || code == CKR_USER_ALREADY_LOGGED_IN else {
            _ = functions.C_CloseSession(session)
            throw TokenFault(code: code, function: "C_Login")
        }
        return session
    }

    private func findSlot() throws(TokenFault) -> CK_SLOT_ID {
        if let slot = self.slot { return slot }
        var found: CK_SLOT_ID?
        do throws(TokenFault) {
            found = try self.library.slot(ofToken: self.settings.label)
        } catch  where error.code == CKR_CRYPTOKI_NOT_INITIALIZED {
            try self.library.initialize()
            found = try self.library.slot(ofToken: self.settings.label)
        }
        if found == nil, self.used == 0 {
            try self.library.restart()
            found = try self.library.slot(ofToken: self.settings.label)
        }
        guard let found else {
            throw TokenFault(code: CKR_TOKEN_NOT_PRESENT, function: "looking for its slot")
        }
        self.slot = found
        return found
    }

    private func giveBack(_ session: Session, isLost: Bool) {
        self.condition.lock()
        defer { self.condition.unlock() }
        self.used -= 1
        if isLost, session.generation == self.generation { self.forget() }
        if isLost || session.generation != self.generation {
            _ = self.library.functions.C_CloseSession(session.handle)
        } else {
            self.idle.append(session)
        }
        self.condition.broadcast()
    }

    /// Drops all that is known of the token; called with `condition` locked.
    private func forget() {
        for session in self.idle { _ = self.library.functions.C_CloseSession(session.handle) }
        self.idle = []
        self.handles = [:]
        self.slot = nil
        self.generation += 1
    }
}
