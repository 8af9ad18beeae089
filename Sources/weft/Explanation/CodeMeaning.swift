import FabricProtos

/// What a validation code means, and what to do about it, in words.
struct CodeMeaning: Equatable {
    /// What happened, as a sentence.
    var meaning: String
    /// What the reader can do, as a sentence.
    var advice: String

    /// The words for a code; unknown ones get words that say so.
    init(_ code: Protos_TxValidationCode) {
        if let (meaning, advice) = Self.words[code.rawValue] {
            self.meaning = meaning
            self.advice = advice
        } else {
            self.meaning = "the peer gave a code that this version of Weft doesn't know"
            self.advice = "look the number up in the documentation of the peer's version"
        }
    }

    private static let report =
        "an honest client makes no such transaction: find out which program made it, and report it there"
    private static let again = "make the transaction anew, with a client library that is up to date"

    /// By Fabric's numbers.
    ///
    /// - Source: Fabric v3.1, `peer/transaction.proto` and package `core/committer/txvalidator/v20`.
    private static let words: [Int: (String, String)] = [
        0: ("it took effect: what it wrote is part of the channel's state", "nothing is to be done"),
        1: ("the block holds an empty envelope in its place", report),
        2: ("the envelope's payload can't be decoded", again),
        3: (
            "the headers can't be decoded, name an unknown type or another epoch, or lack nonce or creator",
            again
        ),
        4: (
            "whoever made it is no valid member of the channel, or didn't sign it",
            "check with `weft certs status` that the certificate was issued by an authority of the channel's configuration and isn't revoked, and that the key belongs to it"
        ),
        5: (
            "the transaction around the endorsements is malformed, or the endorsers answered another proposal",
            again
        ),
        6: ("a configuration transaction holds no configuration", report),
        7: ("a transaction of its type has no place in a block", report),
        8: ("its identifier isn't the one that nonce and creator give", again),
        9: (
            "a transaction of the same identifier was in the ledger before, and only the first one counts",
            "look at the first one; for another transaction make a new proposal, which gets a new identifier"
        ),
        10: (
            "those who endorsed it don't satisfy an endorsement policy of what it writes",
            "have it endorsed by the organizations that the policy asks for (`--organization`), or through a gateway, which finds them"
        ),
        11: (
            "a key that it read was changed after it was endorsed and before its turn in the ledger",
            "submit it again, as `weft tx submit --retry N` does; if it happens often, let transactions write different keys"
        ),
        12: (
            "a range that it read holds other keys or values than when it was endorsed",
            "submit it again, as `weft tx submit --retry N` does; if it happens often, read fewer keys at once"
        ),
        13: ("its type is unknown to the peer", "use peers whose version knows the type"),
        14: ("it is for a channel that the peer doesn't have", "submit it to a node of that channel"),
        15: ("it couldn't be encoded for a check", again),
        16: ("it holds no action", again),
        17: (
            "its chaincode's version was no longer in use (chaincode of Fabric 1)",
            "have it endorsed again, with the present version"
        ),
        18: (
            "the endorsers ran another version of the chaincode than the channel has (chaincode of Fabric 1)",
            "install the present version at all endorsing peers, and submit it again"
        ),
        19: ("the header's extension, which names the chaincode, can't be decoded", again),
        20: ("the channel header can't be decoded", again),
        21: ("what the endorsers signed holds no result of a chaincode that can be decoded", again),
        22: ("its read-write set can't be decoded", report),
        23: ("its read-write set has the same namespace twice", report),
        24: (
            "it writes a key or value that the peers' database can't hold: with CouchDB, keys that aren't UTF-8 or begin with an underscore, and JSON with a field that does",
            "change the contract so that it writes other keys"
        ),
        25: (
            "the chaincode that it calls, or one that it writes to, isn't defined on the channel, or names differ",
            "check the name with `weft contract list`, and commit a definition before it is called"
        ),
        254: (
            "the block comes from an orderer, or from a peer that hasn't validated it",
            "ask a peer for its verdict"
        ),
        255: (
            "a check without a code of its own failed, such as an event of another chaincode's name",
            report
        ),
    ]
}
