# Sourced by scripts/interop: Fabric's and Weft's peers on one channel, as peers among peers: who is there, what each has, and
# that they fill each other's gaps. Works on a network of its own: utility with a Weft peer and Fabric's, auditor with a Weft
# peer.

gossip_checks() {
    organizations=(utility auditor)
    required "a Weft network of two organizations starts" \
        "$WEFT" network up --folder "$work/gossip" --base-port 0 --orgs 2 --channel "$channel" --contract kv || return
    read_network "$work/gossip"
    orderer_pid=$(cat "$network/nodes/orderer/pid")
    FABRIC_PEER_ENVIRONMENT=(CORE_PEER_GOSSIP_PVTDATA_PULLRETRYTHRESHOLD=20s CORE_PEER_GOSSIP_PVTDATA_RECONCILESLEEPINTERVAL=5s)
    fabric_peer_checks "$fabric/peer" || return
    membership_among_peers
    discovery_among_peers
    approvals_among_peers
    fabric_peer_catches_up
    weft_peer_catches_up utility
    weft_peer_catches_up auditor
    FABRIC_PEER_ENVIRONMENT=()
    organizations=(utility auditor agency)
}

# all_authorities: a file with the TLS authorities of both organizations.
all_authorities() {
    cat "$(authority utility)" "$(authority auditor)" > "$work/authorities.pem"
    echo "$work/authorities.pem"
}

# asks_discovery TOOL... -- ADDRESS COMMAND...: a question to a peer's discovery as the utility's administrator.
asks_discovery() {
    local tool=() admin=$network/organizations/utility/users/admin@utility.example address
    while [ "$1" != -- ]; do tool+=("$1"); shift; done
    address=$2
    shift 2
    "${tool[@]}" --peerTLSCA "$(all_authorities)" --userKey "$(ls "$admin"/msp/keystore/*)" \
        --userCert "$(ls "$admin"/msp/signcerts/*)" --MSP UtilityMSP --tlsCert "$admin/tls/client.crt" \
        --tlsKey "$admin/tls/client.key" "$@" --channel "$channel" --server "$address" 2> /dev/null
}

# same_discovery FILTER COMMAND...: Fabric's discover and ours, asked of Fabric's peer and of Weft's, print the same but for order.
same_discovery() {
    local filter=$1 address answer first=
    shift
    for address in "$fabric_peer" "${address_of[utility]}" "${address_of[auditor]}"; do
        for tool in "$fabric/discover" "$WEFT fabric discover"; do
            # shellcheck disable=SC2086
            answer=$(asks_discovery $tool -- "$address" "$@" | jq -Sc "$filter") || return 1
            [ -n "$answer" ] && [ "$answer" != null ] && [ "$answer" != '[]' ] || return 1
            [ -n "$first" ] || first=$answer
            [ "$answer" = "$first" ] || { diff <(jq . <<< "$first") <(jq . <<< "$answer"); return 1; }
        done
    done
}

# Groups have names of no meaning: they stand for their peers.
endorsers_filter='[.[] | . as $d | {Chaincode, Layouts: [.Layouts[].quantities_by_group | to_entries
    | map({count: .value, peers: ($d.EndorsersByGroups[.key] | map([.MSPID, .Endpoint, .LedgerHeight]) | sort)}) | sort] | sort}]'

discovery_among_peers() {
    [ -x "$fabric/discover" ] || return 0
    required "Fabric's and Weft's peer name the same endorsers of kv, to Fabric's discover and to ours" \
        until_true 60 same_discovery "$endorsers_filter" endorsers --chaincode kv
    required "and of a call of kv that reads the utility's own collection" \
        until_true 60 same_discovery "$endorsers_filter" endorsers --chaincode kv --collection kv:_implicit_org_UtilityMSP
    required "they list the same peers" \
        until_true 60 same_discovery 'map(.Chaincodes |= sort) | sort_by(.Endpoint)' peers
    required "they tell the same configuration" same_discovery . config
}

# discovered ADDRESS: what a peer's discovery says of the channel's peers: endpoint, height and contracts, a line each.
discovered() {
    local admin=$network/organizations/utility/users/admin@utility.example
    "$fabric/discover" --peerTLSCA "$(all_authorities)" --userKey "$(ls "$admin"/msp/keystore/*)" \
        --userCert "$(ls "$admin"/msp/signcerts/*)" --MSP UtilityMSP --tlsCert "$admin/tls/client.crt" \
        --tlsKey "$admin/tls/client.key" peers --channel "$channel" --server "$1" 2> /dev/null \
        | jq -r '.[] | "\(.Endpoint) \(.LedgerHeight) \(.Chaincodes | sort | join(","))"'
}

# shows ADDRESS LINE: whether a peer's discovery has the line.
shows() { discovered "$1" | grep -qxF -- "$2"; }

membership_among_peers() {
    local organization blocks
    become utility admin "${address_of[utility]}"
    blocks=$(height)
    for organization in "${organizations[@]}"; do
        [ -x "$fabric/discover" ] || continue
        required "discover peers at Fabric's peer shows the Weft peer of $organization, its height and its contracts" \
            until_true 40 shows "$fabric_peer" "${address_of[$organization]} $blocks _lifecycle,kv"
        required "discover peers at the Weft peer of $organization shows Fabric's peer and its height" \
            until_true 40 shows "${address_of[$organization]}" "$fabric_peer $blocks _lifecycle"
    done
    for organization in "${organizations[@]}"; do
        required "the Weft peer of $organization counts two other peers" until_true 40 counts_peers "$organization" 2
    done
}

# counts_peers NODE COUNT: whether a Weft peer's metric of known peers says so.
counts_peers() {
    curl -sf "http://$(endpoint "$1" operations)/metrics" \
        | grep -qE "^gossip_membership_total_peers_known\{.*\} $2(\.0)?\$"
}

# approvals_among_peers: an approval is private data of its organization; what one of its peers endorsed the other gets.
approvals_among_peers() {
    local definition=(-C "$channel" -n later --version 1.0 --sequence 1)
    become utility admin "${address_of[utility]}"
    required "an approval through the Weft peer" \
        peer_cli lifecycle chaincode approveformyorg "${orderer_flags[@]}" "${definition[@]}"
    become utility admin "$fabric_peer"
    required "its private data is at Fabric's peer of the organization" until_true 60 \
        queries_approved later 1.0
    definition=(-C "$channel" -n another --version 2.0 --sequence 1)
    required "an approval through Fabric's peer" \
        peer_cli lifecycle chaincode approveformyorg "${orderer_flags[@]}" "${definition[@]}"
    become utility admin "${address_of[utility]}"
    required "its private data is at the Weft peer of the organization" until_true 60 \
        queries_approved another 2.0
}

queries_approved() { peer_cli lifecycle chaincode queryapproved -C "$channel" -n "$1" | grep -qF "version: $2"; }

# fabric_peer_catches_up: a new peer of Fabric's gets all blocks from others, with the orderer down.
fabric_peer_catches_up() {
    local blocks first=$fabric_peer
    for key in 1 2 3 4 5 6 7 8 9 10 11 12; do weft_tx submit kv put "key$key" value > /dev/null; done
    level
    become utility admin "${address_of[utility]}"
    blocks=$(height)
    kill "$orderer_pid"
    FABRIC_PEER_ENVIRONMENT+=(CORE_PEER_GOSSIP_STATE_ENABLED=true CORE_PEER_GOSSIP_STATE_CHECKINTERVAL=2s)
    start_peer "$fabric/peer" fabric1 || return
    fabric_peer=$started_peer
    become utility admin "$fabric_peer"
    required "another Fabric peer joins while the orderer is down" "$fabric/peer" channel join -b "$network/$channel.block"
    required "it gets the blocks from its neighbours" until_true 150 height_of_fabric_is "$blocks"
    fabric_peer=$first
}

# weft_peer_catches_up ORGANIZATION: its Weft peer, emptied, gets all blocks from others, with the orderer down; only Fabric's
# peers can have them.
weft_peer_catches_up() {
    local name=$1 blocks other
    become "$name" admin "${address_of[$name]}"
    blocks=$(height)
    other=utility
    [ "$name" != utility ] || other=auditor
    stop_node "$other"
    stop_node "$name"
    rm -rf "$network/nodes/$name/data"
    start_node "$name"
    become "$name" admin "${address_of[$name]}"
    required "the emptied Weft peer of $name gets the blocks from Fabric's peers" \
        until_true 90 height_is_at_least "$blocks"
    start_node "$other"
    level
}

stop_node() {
    local pid
    pid=$(cat "$network/nodes/$1/pid")
    kill "$pid"
    until_true 30 has_ended "$pid"
}

has_ended() { ! kill -0 "$1"; }

start_node() {
    "$WEFT" peer start --config "$network/nodes/$1/peer.yaml" >> "$network/nodes/$1/log" 2>&1 &
    echo $! > "$network/nodes/$1/pid"
    pids+=($!)
    become "$1" admin "${address_of[$1]}"
    until_true 30 peer_cli channel list
}
