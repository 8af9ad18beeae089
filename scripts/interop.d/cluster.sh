# Sourced by scripts/interop: Raft clusters of which some orderers are Fabric's and the others Weft's.

# cluster_checks FABRIC...: three orderers, of which those with the given names (orderer, orderer1, orderer2) are
# Fabric's. Transactions pass while each of them in turn is down, and all end with the same blocks.
cluster_checks() {
    local members=(orderer orderer1 orderer2) name kind
    kind="$# of 3 consenters Fabric's"
    required "$kind: a network with three orderers is made" \
        "$WEFT" network up --folder "$work/cluster$#" --base-port 0 --channel "$channel" --orderers 3 || return
    "$WEFT" network down --folder "$work/cluster$#" > /dev/null 2>&1
    rm -rf "$work/cluster$#"/nodes/*/data
    read_network "$work/cluster$#"
    for name in "$@"; do start_fabric_member "$name"; done
    for name in "$@"; do join_fabric_member "$name" || return; done
    for name in "${members[@]}" "${organizations[@]}"; do
        [[ " $* " == *" $name "* ]] || start_weft_member "$name"
    done
    become utility admin "${address_of[utility]}"
    required "$kind: they elect a leader, and everybody gets blocks" until_true 60 cluster_works || return
    required "$kind: a contract is approved and committed" define_kv || return
    local number=0 down
    for down in "${members[@]}"; do
        stop_member "$down"
        number=$((number + 1))
        required "$kind: transactions pass without $down" until_true 60 weft_tx submit kv put "key$number" "value$number"
        if [[ " $* " == *" $down "* ]]; then start_fabric_member "$down"; else start_weft_member "$down"; fi
        required "$kind: $down comes back" until_true 60 member_level "$down"
    done
    required "$kind: all orderers have the same newest block" until_true 60 members_agree
    for name in "${members[@]}" "${organizations[@]}"; do stop_member "$name"; done
}

member_folder() {
    local number=${1#orderer}
    echo "$network/organizations/orderer/orderers/node${number:-0}.orderer.example"
}

start_fabric_member() {
    local node data=$network/fabric-$1 address roots
    node=$(member_folder "$1")
    address=$(endpoint "$1")
    roots="[$(authority orderer),$(authority utility),$(authority auditor),$(authority agency)]"
    env ORDERER_GENERAL_LISTENADDRESS="${address%:*}" ORDERER_GENERAL_LISTENPORT="${address##*:}" \
        ORDERER_GENERAL_LOCALMSPID=OrdererMSP ORDERER_GENERAL_LOCALMSPDIR="$node/msp" \
        ORDERER_GENERAL_TLS_ENABLED=true \
        ORDERER_GENERAL_TLS_CLIENTAUTHREQUIRED="${ORDERER_CLIENT_CERTIFICATES:-true}" \
        ORDERER_GENERAL_TLS_CERTIFICATE="$node/tls/server.crt" ORDERER_GENERAL_TLS_PRIVATEKEY="$node/tls/server.key" \
        ORDERER_GENERAL_TLS_ROOTCAS="[$node/tls/ca.crt]" ORDERER_GENERAL_TLS_CLIENTROOTCAS="$roots" \
        ORDERER_GENERAL_CLUSTER_CLIENTCERTIFICATE="$node/tls/server.crt" \
        ORDERER_GENERAL_CLUSTER_CLIENTPRIVATEKEY="$node/tls/server.key" \
        ORDERER_GENERAL_CLUSTER_ROOTCAS="[$node/tls/ca.crt]" \
        ORDERER_FILELEDGER_LOCATION="$data" ORDERER_CONSENSUS_WALDIR="$data/wal" ORDERER_CONSENSUS_SNAPDIR="$data/snap" \
        ORDERER_OPERATIONS_LISTENADDRESS=127.0.0.1:0 ORDERER_ADMIN_LISTENADDRESS="$(endpoint "$1" administration)" \
        ORDERER_ADMIN_TLS_ENABLED=true ORDERER_ADMIN_TLS_CLIENTAUTHREQUIRED=true \
        ORDERER_ADMIN_TLS_CERTIFICATE="$node/tls/server.crt" ORDERER_ADMIN_TLS_PRIVATEKEY="$node/tls/server.key" \
        ORDERER_ADMIN_TLS_CLIENTROOTCAS="[$node/tls/ca.crt]" FABRIC_LOGGING_SPEC="${CLUSTER_LOGGING:-warning}" \
        "$fabric/orderer" >> "$network/nodes/$1/log" 2>&1 &
    pids+=($!)
    echo $! > "$network/nodes/$1/pid"
}

start_weft_member() {
    local role=peer
    [[ $1 != orderer* ]] || role=orderer
    "$WEFT" "$role" start --config "$network/nodes/$1/$role.yaml" >> "$network/nodes/$1/log" 2>&1 &
    pids+=($!)
    echo $! > "$network/nodes/$1/pid"
}

stop_member() {
    local pid
    pid=$(cat "$network/nodes/$1/pid")
    kill -9 "$pid" 2> /dev/null
    wait "$pid" 2> /dev/null
}

# administration_of NAME: the flags with which osnadmin reaches an orderer, in the list member_admin.
administration_of() {
    local node user=$network/organizations/orderer/users/admin@orderer.example/tls
    node=$(member_folder "$1")
    member_admin=(-o "$(endpoint "$1" administration)" --ca-file "$node/tls/ca.crt" --client-cert "$user/client.crt"
        --client-key "$user/client.key")
}

join_fabric_member() {
    administration_of "$1"
    until_true 20 "$fabric/osnadmin" channel list "${member_admin[@]}"
    output_has "Fabric's $1 takes Weft's genesis block" '"consensusRelation": "consenter"' \
        "$fabric/osnadmin" channel join "${member_admin[@]}" --channelID "$channel" --config-block "$network/$channel.block"
}

newest_of() {
    local flags=("${orderer_flags[@]}")
    flags[1]=$(endpoint "$1")
    peer_cli channel fetch newest "$work/newest-$1.block" -c "$channel" "${flags[@]}" > /dev/null 2>&1
}

# The header is what all have in common: each orderer signs for itself.
header_of() { newest_of "$1" && "$fabric/configtxlator" proto_decode --type common.Block --input "$work/newest-$1.block" |
    python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["header"], sort_keys=True))'; }

cluster_works() { newest_of orderer && newest_of orderer1 && newest_of orderer2; }
member_level() { [ "$(header_of "$1")" = "$(header_of "$([ "$1" = orderer ] && echo orderer1 || echo orderer)")" ]; }
members_agree() { member_level orderer && member_level orderer1 && member_level orderer2; }

# define_kv: the contract, approved by all organizations, and committed.
define_kv() {
    local organization
    for organization in "${organizations[@]}"; do
        become "$organization" admin "${address_of[$organization]}"
        until_true 30 peer_cli lifecycle chaincode approveformyorg --channelID "$channel" --name kv --version 1.0 \
            --sequence 1 "${orderer_flags[@]}" || return
    done
    become utility admin "${address_of[utility]}"
    until_true 30 peer_cli lifecycle chaincode commit --channelID "$channel" --name kv --version 1.0 --sequence 1 \
        "${orderer_flags[@]}" "${peer_flags[@]}"
}
