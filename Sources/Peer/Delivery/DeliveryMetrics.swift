internal import Operations

/// What a peer counts about the orderers of BFT channels. Fabric has no such metrics.
extension MetricDefinition {
    static let deliverySourceFailures = MetricDefinition(
        "deliveryclient.source_failures",
        .counter,
        labels: ["channel", "orderer"],
        help: "How often an orderer's stream of blocks failed, or brought a block that was refused."
    )
    static let deliveryWithheldBlocks = MetricDefinition(
        "deliveryclient.withheld_blocks",
        .counter,
        labels: ["channel", "orderer"],
        help: "How often an orderer was left because it did not give a block that another one showed."
    )
    static let deliveryRefusedHeaders = MetricDefinition(
        "deliveryclient.refused_headers",
        .counter,
        labels: ["channel", "orderer"],
        help: "How often an orderer showed headers that are none of the channel's."
    )
}
