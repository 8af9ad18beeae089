internal import CPKCS11

/// A code with which a PKCS #11 function ended, other than `CKR_OK`.
struct TokenFault: Error, CustomStringConvertible {
    var code: CK_RV
    /// The function, such as `C_Sign`.
    var function: String

    /// Whether what the process knows of the token no longer holds, so that starting over may help.
    var isLost: Bool {
        switch self.code {
        case CKR_CRYPTOKI_NOT_INITIALIZED, CKR_SESSION_CLOSED, CKR_SESSION_HANDLE_INVALID,
            CKR_TOKEN_NOT_PRESENT,
            CKR_TOKEN_NOT_RECOGNIZED, CKR_DEVICE_REMOVED, CKR_DEVICE_ERROR, CKR_SLOT_ID_INVALID,
            CKR_USER_NOT_LOGGED_IN, CKR_KEY_HANDLE_INVALID, CKR_OBJECT_HANDLE_INVALID, CKR_GENERAL_ERROR,
            CKR_FUNCTION_FAILED, CKR_OPERATION_ACTIVE:
            true
        default:
            false
        }
    }

    var description: String { "\(self.function) failed with \(self.name)" }

    private var name: String {
        switch self.code {
        case CKR_PIN_INCORRECT: "CKR_PIN_INCORRECT: the PIN is wrong"
        case CKR_PIN_LOCKED: "CKR_PIN_LOCKED: the PIN is locked after too many wrong ones"
        case CKR_PIN_LEN_RANGE: "CKR_PIN_LEN_RANGE: the PIN is too short or too long"
        case CKR_USER_PIN_NOT_INITIALIZED: "CKR_USER_PIN_NOT_INITIALIZED: the token has no user PIN yet"
        case CKR_TOKEN_NOT_PRESENT: "CKR_TOKEN_NOT_PRESENT: the token has been removed"
        case CKR_DEVICE_REMOVED: "CKR_DEVICE_REMOVED: the token has been removed"
        case CKR_DEVICE_ERROR: "CKR_DEVICE_ERROR: the device reports an error"
        case CKR_DEVICE_MEMORY: "CKR_DEVICE_MEMORY: the token has no room left"
        case CKR_SESSION_COUNT: "CKR_SESSION_COUNT: the token allows no more sessions"
        case CKR_MECHANISM_INVALID: "CKR_MECHANISM_INVALID: the token does not know ECDSA"
        case CKR_CURVE_NOT_SUPPORTED: "CKR_CURVE_NOT_SUPPORTED: the token does not know the curve"
        case CKR_KEY_FUNCTION_NOT_PERMITTED: "CKR_KEY_FUNCTION_NOT_PERMITTED: the key may not sign"
        case CKR_ATTRIBUTE_READ_ONLY: "CKR_ATTRIBUTE_READ_ONLY: the token does not let it be changed"
        case CKR_TOKEN_WRITE_PROTECTED: "CKR_TOKEN_WRITE_PROTECTED: the token cannot be written to"
        case CKR_SESSION_HANDLE_INVALID: "CKR_SESSION_HANDLE_INVALID: the session is gone"
        case CKR_CRYPTOKI_NOT_INITIALIZED: "CKR_CRYPTOKI_NOT_INITIALIZED: the library has been closed"
        case CKR_USER_NOT_LOGGED_IN: "CKR_USER_NOT_LOGGED_IN: nobody is logged in"
        default: "code 0x\(String(self.code, radix: 16)) of PKCS #11"
        }
    }
}

/// Checks what a PKCS #11 function returned.
func check(_ code: CK_RV, _ function: String) throws(TokenFault) {
    guard code == CKR_OK else { throw TokenFault(code: code, function: function) }
}
