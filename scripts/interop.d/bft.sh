# Sourced by scripts/interop: BFT channels, once with Fabric's four orderers and Weft's peers, once the other way round.

bft_members=(orderer orderer1 orderer2 orderer3)

# make_bft_network FOLDER: identities, genesis block and configuration of four BFT orderers and three peers; nothing runs.
make_bft_network() {
    required "$kind: a network with four BFT orderers is made" \
        "$WEFT" network up --folder "$1" --base-port 0 --channel "$channel" --bft 4 || return
    "$WEFT" network down --folder "$1" > /dev/null 2>&1
    rm -rf "$1"/nodes/*/data
}

# fabric_bft_checks: Fabric's BFT orderers. Weft's peers follow and submit while each orderer in turn is down, and while
# the one that they take blocks from withholds them.
fabric_bft_checks() {
    local kind="Fabric's BFT orderers" name number=0 down
    make_bft_network "$work/bft-fabric" || return
    read_network "$work/bft-fabric"
    list_orderers
    for name in "${bft_members[@]}"; do start_fabric_member "$name"; done
    for name in "${bft_members[@]}"; do join_fabric_member "$name" || return; done
    for name in "${organizations[@]}"; do start_weft_member "$name"; done
    become utility admin "${address_of[utility]}"
    output_has "$kind: Weft's osnadmin lists the channel" '"consensusRelation": "consenter"' \
        "$WEFT" fabric osnadmin channel list "${member_admin[@]}" --channelID "$channel"
    required "$kind: everybody gets blocks" until_true 60 bft_cluster_works || return
    required "$kind: a contract is approved and committed" define_kv || return
    output_has "$kind: a Weft peer's gateway submits to them" "as VALID" weft_tx submit kv put first value
    output_has "$kind: Fabric's peer program invokes, with the list of all orderers" "committed with status (VALID)" \
        env FABRIC_LOGGING_SPEC=info "$fabric/peer" chaincode invoke "${orderer_list[@]}" "${peer_flags[@]}" \
        -C "$channel" -n kv -c '{"Args":["put","greeting","hello"]}' --waitForEvent
    output_has "$kind: Weft's peer program invokes, with the list of all orderers" "committed with status (VALID)" \
        env FABRIC_LOGGING_SPEC=info "$WEFT" fabric peer chaincode invoke "${orderer_list[@]}" "${peer_flags[@]}" \
        -C "$channel" -n kv -c '{"Args":["put","greeting","again"]}' --waitForEvent
    for down in "${bft_members[@]}"; do
        stop_member "$down"
        number=$((number + 1))
        required "$kind: transactions pass without $down" until_true 60 weft_tx submit kv put "key$number" "value$number"
        start_fabric_member "$down"
        required "$kind: $down comes back" until_true 90 member_level "$down"
    done
    configuration_checks 77
    output_has "$kind: transactions pass after the configuration" "as VALID" weft_tx submit kv put last value
    level
    required "$kind: Weft's three peers have the same chain" same_chain
    for name in "${bft_members[@]}" "${organizations[@]}"; do stop_member "$name"; done
    for name in "${organizations[@]}"; do
        required "$kind: the ledger of $name is verified, with all signatures" \
            "$WEFT" ledger verify "$network/nodes/$name/data"
    done
}

# list_orderers: the flags with which client programs reach all orderers, in the list orderer_list.
list_orderers() {
    orderer_list=("${orderer_flags[@]}")
    orderer_list[1]=$(for name in "${bft_members[@]}"; do endpoint "$name"; done | paste -sd,)
}

bft_cluster_works() {
    local name
    for name in "${bft_members[@]}"; do newest_of "$name" || return; done
}

same_chain() {
    local hash
    hash=$(chain_hash "${address_of[utility]}")
    [ "$hash" = "$(at auditor own_hash)" ] && [ "$hash" = "$(at agency own_hash)" ]
}
own_hash() { peer_cli channel getinfo -c "$channel" | sed -n 's/.*"currentBlockHash":"\([^"]*\)".*/\1/p' | grep .; }
