/// What a field of type `bytes` holds.
enum OpaqueContent: Sendable {
    /// A message of this type; in a list, each element is one.
    case message(String)
    /// A message whose type depends on other fields of the same message.
    case chosen(@Sendable (WireFields) throws(TranslationError) -> String)

    /// The type of the message that the field holds, given the other fields of the message that has it.
    func type(besides fields: WireFields) throws(TranslationError) -> String {
        switch self {
        case .message(let type): type
        case .chosen(let choose): try choose(fields)
        }
    }
}

/// Which fields of type `bytes` Fabric's tools show as messages, and what the messages in a message's fields stand in.
///
/// - Source: Fabric v3.1, `fabric-config/protolator/protoext`.
enum OpaqueFields {
    /// What a field of type `bytes` holds; `nil` for plain bytes.
    static func content(of field: String, in message: String, at place: MessagePlace) throws(TranslationError)
        -> OpaqueContent?
    {
        switch place {
        case .inChoice: return nil
        case .value(let level, let name):
            guard message == "common.ConfigValue", field == "value" else { return nil }
            return .message(try level.type(ofValue: name))
        case .keyValueSet:
            // The hashed sets of collections stay bytes, as Fabric's tools leave them.
            guard message == "rwset.NsReadWriteSet", field == "rwset" else { return nil }
            return .message("kvrwset.KVRWSet")
        case .anywhere, .group: return Self.byType[message]?[field]
        }
    }

    /// The place of the message in a field.
    ///
    /// - Parameters:
    ///   - field: The field of the message outside.
    ///   - message: The type of the message outside.
    ///   - place: The place of the message outside.
    ///   - key: The key under which the message stands, if the field is a map.
    ///   - fields: The other fields of the message outside.
    /// - Returns: The place.
    /// - Throws: ``TranslationError`` for a group that has no business there.
    static func place(
        in field: FieldShape,
        of message: String,
        at place: MessagePlace,
        key: String?,
        besides fields: WireFields
    ) throws(TranslationError) -> MessagePlace {
        if case .inChoice = place { return .inChoice }
        if field.choice != nil { return .inChoice }
        switch (message, field.name, place) {
        case ("common.Config", "channel_group", .anywhere),
            ("common.ConfigUpdate", "read_set", .anywhere), ("common.ConfigUpdate", "write_set", .anywhere):
            return .group(.channel)
        case ("common.ConfigGroup", "groups", .group(let level)):
            return .group(try level.group(named: key ?? ""))
        case ("common.ConfigGroup", "values", .group(let level)):
            return .value(level, name: key ?? "")
        case ("rwset.TxReadWriteSet", "ns_rwset", .anywhere) where fields.integer(1) == 0:
            return .keyValueSet
        case ("rwset.NsReadWriteSet", "collection_hashed_rwset", .keyValueSet):
            return .keyValueSet
        default:
            return .anywhere
        }
    }

    private static let byType: [String: [String: OpaqueContent]] = [
        "common.BlockData": ["data": .message("common.Envelope")],
        "common.Envelope": ["payload": .message("common.Payload")],
        "common.Payload": ["data": .chosen(Self.payload)],
        "common.Header": [
            "channel_header": .message("common.ChannelHeader"),
            "signature_header": .message("common.SignatureHeader"),
        ],
        "common.ChannelHeader": ["extension": .chosen(Self.headerExtension)],
        "common.SignatureHeader": ["creator": .message("msp.SerializedIdentity")],
        "common.ConfigUpdateEnvelope": ["config_update": .message("common.ConfigUpdate")],
        "common.ConfigSignature": ["signature_header": .message("common.SignatureHeader")],
        "common.Policy": ["value": .chosen(Self.policy)],
        "common.MSPPrincipal": ["principal": .chosen(Self.principal)],
        "msp.MSPConfig": ["config": .chosen(Self.membership)],
        "orderer.ConsensusType": ["metadata": .chosen(Self.consensusMetadata)],
        "protos.TransactionAction": [
            "header": .message("common.SignatureHeader"),
            "payload": .message("protos.ChaincodeActionPayload"),
        ],
        "protos.ChaincodeActionPayload": [
            "chaincode_proposal_payload": .message("protos.ChaincodeProposalPayload")
        ],
        "protos.ChaincodeEndorsedAction": [
            "proposal_response_payload": .message("protos.ProposalResponsePayload")
        ],
        "protos.ChaincodeProposalPayload": ["input": .message("protos.ChaincodeInvocationSpec")],
        "protos.ProposalResponsePayload": ["extension": .message("protos.ChaincodeAction")],
        "protos.ChaincodeAction": [
            "results": .message("rwset.TxReadWriteSet"), "events": .message("protos.ChaincodeEvent"),
        ],
    ]

    private static func payload(besides fields: WireFields) throws(TranslationError) -> String {
        guard let header = fields.message(1) else {
            throw TranslationError("without a header nobody knows what the data of a payload holds")
        }
        let channelHeader = try WireFields(WireFields(header).bytes(1))
        switch channelHeader.integer(1) {
        case 0: return "common.ConfigValue"
        case 1: return "common.ConfigEnvelope"
        case 2: return "common.ConfigUpdateEnvelope"
        case 3: return "protos.Transaction"
        case 4: return "common.Envelope"
        case let type: throw TranslationError("a payload of header type \(type) has no JSON form")
        }
    }

    private static func headerExtension(besides fields: WireFields) throws(TranslationError) -> String {
        guard fields.integer(1) == 3 else {
            throw TranslationError("only a header of an endorser transaction (type 3) has an extension")
        }
        return "protos.ChaincodeHeaderExtension"
    }

    private static func policy(besides fields: WireFields) throws(TranslationError) -> String {
        switch fields.integer(1) {
        case 1: return "common.SignaturePolicyEnvelope"
        case 3: return "common.ImplicitMetaPolicy"
        case let type:
            throw TranslationError("a policy of type \(type) has no JSON form; known are 1 and 3")
        }
    }

    private static func principal(besides fields: WireFields) throws(TranslationError) -> String {
        switch fields.integer(1) {
        case 0: return "common.MSPRole"
        case 1: return "common.OrganizationUnit"
        case 2: return "msp.SerializedIdentity"
        case let classification:
            throw TranslationError("a principal of classification \(classification) has no JSON form")
        }
    }

    private static func membership(besides fields: WireFields) throws(TranslationError) -> String {
        switch fields.integer(1) {
        case 0: return "msp.FabricMSPConfig"
        case 1: return "msp.IdemixMSPConfig"
        case let type: throw TranslationError("an MSP of type \(type) has no JSON form; known are 0 and 1")
        }
    }

    private static func consensusMetadata(besides fields: WireFields) throws(TranslationError) -> String {
        switch fields.text(1) {
        case "etcdraft": "etcdraft.ConfigMetadata"
        case "BFT": "orderer.smartbft.Options"
        default: "google.protobuf.Empty"
        }
    }
}
