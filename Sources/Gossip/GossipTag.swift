package import FabricProtos

extension Gossip_GossipMessage {
    /// The tag that a message with this content must carry; `nil` where Fabric doesn't look at it, or there is no
    /// content.
    ///
    /// - Source: Fabric v3.1, `gossip/protoext`, `IsTagLegal`.
    package var requiredTag: Tag? {
        switch self.content {
        case .aliveMsg, .memReq, .memRes, .conn, .peerIdentity, .empty: .empty
        case .hello(let pull): Self.tag(ofPull: pull.msgType)
        case .dataDig(let pull): Self.tag(ofPull: pull.msgType)
        case .dataReq(let pull): Self.tag(ofPull: pull.msgType)
        case .dataUpdate(let pull): Self.tag(ofPull: pull.msgType)
        case .dataMsg, .leadershipMsg: .chanAndOrg
        case .stateInfo, .stateSnapshot, .stateInfoPullReq, .stateRequest, .stateResponse: .chanOrOrg
        case .privateReq, .privateRes, .privateData: .chanOnly
        case .ack, nil: nil
        }
    }

    private static func tag(ofPull kind: Gossip_PullMsgType) -> Tag {
        kind == .blockMsg ? .chanAndOrg : .empty
    }

    /// Whether the message may go on: its tag fits what it carries.
    ///
    /// Private data and acknowledgements pass with any.
    package var hasLegalTag: Bool {
        switch self.content {
        case .privateReq, .privateRes, .privateData, .ack: true
        case nil: false
        default: self.tag == self.requiredTag
        }
    }
}
