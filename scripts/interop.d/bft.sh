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
    required "$kind: the genesis block gets longer times" python3 scripts/interop.d/slower.py \
        "$fabric/configtxlator" "$work/bft-fabric/$channel.block" || return
    read_network "$work/bft-fabric"
    list_orderers
    # Fabric's BFT orderers leave the hash of their certificate out of what they ask each other for, which is refused
    # where client certificates are required: those that fell behind would not come back.
    local -x ORDERER_CLIENT_CERTIFICATES=false
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
        required "$kind: transactions pass without $down" until_true 120 weft_tx submit kv put "key$number" "value$number"
        start_fabric_member "$down"
        required "$kind: $down comes back" until_true 120 member_level "$down"
    done
    censorship_checks
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

# censorship_checks: a peer that reaches the orderers through censor.py goes on when the one that gives it blocks withholds
# them, and says which one.
censorship_checks() {
    local home=$network/censor name servers=() addresses=() node
    if ! "$python" -c 'import grpc' 2> /dev/null; then
        echo "        skipped: an orderer that withholds blocks, since $python has no grpcio (PYTHON names another one)"
        return
    fi
    mkdir "$home"
    for name in "${bft_members[@]}"; do
        servers+=("$(member_folder "$name")/tls")
        addresses+=("$(endpoint "$name")")
    done
    node=$network/organizations/utility/peers/node0.utility.example/tls
    "$python" Tests/EndToEndTests/censor.py "$home" "$(IFS=,; echo "${servers[*]}")" "$node" "${addresses[@]}" \
        > "$home/log" 2>&1 &
    pids+=($!)
    required "$kind: the censor starts" until_true 20 test -f "$home/addresses" || return
    stop_member utility
    { echo "orderers:"; sed 's/\(.*\) \(.*\)/  "\1": "\2"/' "$home/addresses"; } >> "$network/nodes/utility/peer.yaml"
    FABRIC_LOGGING_SPEC=info start_weft_member utility
    become utility admin "${address_of[utility]}"
    required "$kind: transactions pass through the censor" until_true 30 weft_tx submit kv put censor idle
    touch "$home/withhold"
    output_has "$kind: a transaction is committed although the orderer that gives blocks withholds them" "as VALID" \
        weft_tx submit kv put censor withholds
    rm "$home/withhold"
    output_has "$kind: the peer's log names the orderer that withheld" "withholds blocks" cat "$network/nodes/utility/log"
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

# weft_bft_checks: Weft's BFT orderers. A peer of Fabric's follows them (deliveryclient.policy is cluster in its sample
# configuration) while each of them in turn is down, and Fabric's peer program hands transactions to all of them.
weft_bft_checks() {
    local kind="Weft's BFT orderers" down number=0
    required "$kind: a network starts" "$WEFT" network up --folder "$work/bft-weft" --base-port 0 --channel "$channel" \
        --bft 4 --contract kv || return
    read_network "$work/bft-weft"
    list_orderers
    start_fabric_peer || return
    required "$kind: Fabric's peer joins" "$fabric/peer" channel join -b "$network/$channel.block" || return
    required "$kind: Fabric's peer has all blocks" until_true 60 fabric_peer_is_level
    become utility admin "${address_of[utility]}"
    output_has "$kind: Fabric's peer program invokes, with the list of all orderers" "committed with status (VALID)" \
        env FABRIC_LOGGING_SPEC=info "$fabric/peer" chaincode invoke "${orderer_list[@]}" "${peer_flags[@]}" \
        -C "$channel" -n kv -c '{"Args":["put","greeting","hello"]}' --waitForEvent
    output_has "$kind: Fabric's osnadmin lists the channel" '"consensusRelation": "consenter"' \
        bft_osnadmin "$fabric/osnadmin" list
    for down in "${bft_members[@]}"; do
        stop_member "$down"
        number=$((number + 1))
        required "$kind: transactions pass without $down" until_true 60 weft_tx submit kv put "key$number" "value$number"
        required "$kind: Fabric's peer goes on without $down" until_true 60 fabric_peer_is_level
        start_weft_member "$down"
        required "$kind: $down comes back" until_true 60 member_level "$down"
    done
    configuration_checks 78
    required "$kind: Fabric's peer takes the configuration" until_true 60 fabric_peer_is_level
    level
    required "$kind: Fabric's peer and Weft's agree on every block, its codes and its commit hash" same_judgements
    for down in "${bft_members[@]}"; do stop_member "$down"; done
}

bft_osnadmin() {
    administration_of orderer
    "$1" channel "$2" "${member_admin[@]}" --channelID "$channel"
}

fabric_peer_is_level() (
    become utility admin "${address_of[utility]}"
    height_of_fabric_is "$(height)"
)

# same_judgements: all but the consenters' signatures, of which each orderer may keep others.
same_judgements() (
    local number last folder=$work/judgements
    mkdir -p "$folder"
    become utility admin "${address_of[utility]}"
    last=$(height)
    for ((number = 0; number < last; number++)); do
        judgement "$number" "$folder/weft" || return
        (become utility admin "$fabric_peer" && judgement "$number" "$folder/fabric") || return
        cmp "$folder/weft" "$folder/fabric" || return
    done
)
judgement() {
    peer_cli channel fetch "$1" "$2.block" -c "$channel" || return
    "$fabric/configtxlator" proto_decode --type common.Block --input "$2.block" --output "$2.json" || return
    python3 -c 'import json, sys
block = json.load(open(sys.argv[1]))
block["metadata"]["metadata"][0] = None
json.dump(block, open(sys.argv[2], "w"), sort_keys=True)' "$2.json" "$2"
}
