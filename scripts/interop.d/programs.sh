# Sourced by scripts/interop: starting and stopping nodes, and the identities and addresses that Fabric's programs need.

# free_port: a port of 127.0.0.1 that nobody listens on.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# endpoint NODE [KEY]: an address of a node of the network, out of its description.
endpoint() {
    python3 -c 'import json, sys
nodes = json.load(open(sys.argv[1]))["nodes"]
print(next(node[sys.argv[3]] for node in nodes if node["name"] == sys.argv[2]))' \
        "$network/network.json" "$1" "${2:-endpoint}"
}

msp_id() { echo "${1^}MSP"; }
authority() { echo "$network/organizations/$1/tlsca/tlsca.$1.example-cert.pem"; }

# become ORGANIZATION USER ADDRESS: the identity of Fabric's client programs, and the peer that they ask.
become() {
    local user=$network/organizations/$1/users/$2@$1.example
    export CORE_PEER_LOCALMSPID CORE_PEER_MSPCONFIGPATH=$user/msp CORE_PEER_ADDRESS=$3
    CORE_PEER_LOCALMSPID=$(msp_id "$1")
    export CORE_PEER_TLS_ROOTCERT_FILE CORE_PEER_TLS_CLIENTCERT_FILE=$user/tls/client.crt
    export CORE_PEER_TLS_CLIENTKEY_FILE=$user/tls/client.key
    # Fabric's peer, started in the utility organization, has a certificate of that organization's authority.
    if [ "$3" = "${fabric_peer:-}" ]; then CORE_PEER_TLS_ROOTCERT_FILE=$(authority utility)
    else CORE_PEER_TLS_ROOTCERT_FILE=$(authority "$1"); fi
}

# read_network FOLDER: the addresses of the network and the flags with which Fabric's client programs reach it.
read_network() {
    network=$1
    orderer=$(endpoint orderer)
    local user=$network/organizations/utility/users/admin@utility.example/tls
    orderer_flags=(-o "$orderer" --tls --cafile "$(authority orderer)" --clientauth
        --certfile "$user/client.crt" --keyfile "$user/client.key")
    peer_flags=()
    for organization in "${organizations[@]}"; do
        address_of[$organization]=$(endpoint "$organization")
        peer_flags+=(--peerAddresses "${address_of[$organization]}" --tlsRootCertFiles "$(authority "$organization")")
    done
}
declare -A address_of
# More variables for peers of Fabric's that are started.
FABRIC_PEER_ENVIRONMENT=()

# peer_cli: Fabric's client program, or Weft's in its place: see tools_checks.
peer_cli() { "$peer_program" "$@"; }
peer_program=$fabric/peer
weft_tx() { "$WEFT" tx "$@" --network "$network"; }

# use_weft_orderer: a whole network of Weft nodes, with both built-in contracts.
use_weft_orderer() {
    required "a Weft network starts" \
        "$WEFT" network up --folder "$work/weft" --base-port 0 --channel "$channel" --contract kv --contract emissions \
        || return
    read_network "$work/weft"
    orderer_pid=$(cat "$network/nodes/orderer/pid")
}

# use_fabric_orderer: the identities and the genesis block of a Weft network, without any block after it; Fabric's
# orderer in the place of Weft's, and Weft's peers.
use_fabric_orderer() {
    required "a second Weft network starts" \
        "$WEFT" network up --folder "$work/fabric" --base-port 0 --channel "$channel" || return
    "$WEFT" network down --folder "$work/fabric" > /dev/null 2>&1
    rm -rf "$work"/fabric/nodes/*/data
    read_network "$work/fabric"
    orderer_administration=127.0.0.1:$(free_port)
    start_fabric_orderer
    local node=$network/organizations/orderer/orderers/node0.orderer.example
    local user=$network/organizations/orderer/users/admin@orderer.example/tls
    until_true 20 "$fabric/osnadmin" channel list -o "$orderer_administration" --ca-file "$node/tls/ca.crt" \
        --client-cert "$user/client.crt" --client-key "$user/client.key"
    output_has "Fabric's orderer takes Weft's genesis block (osnadmin channel join)" '"consensusRelation": "consenter"' \
        "$fabric/osnadmin" channel join -o "$orderer_administration" --ca-file "$node/tls/ca.crt" \
        --client-cert "$user/client.crt" --client-key "$user/client.key" --channelID "$channel" \
        --config-block "$network/$channel.block" || return
    required "Fabric's orderer elects itself" until_true 60 fabric_orderer_leads || return
    for organization in "${organizations[@]}"; do
        "$WEFT" peer start --config "$network/nodes/$organization/peer.yaml" \
            > "$network/nodes/$organization/log" 2>&1 &
        pids+=($!)
        echo $! > "$network/nodes/$organization/pid"
    done
    become utility admin "${address_of[utility]}"
    until_true 30 peer_cli channel getinfo -c "$channel"
}

# fabric_orderer_leads: until it has a leader, an orderer refuses transactions ("no Raft leader") and serves no blocks.
fabric_orderer_leads() {
    become utility admin "${address_of[utility]}"
    peer_cli channel fetch newest "$work/newest.block" -c "$channel" "${orderer_flags[@]}"
}

# start_fabric_orderer: Fabric's orderer with the identity, the address and the certificates of the network's orderer.
start_fabric_orderer() {
    local node=$network/organizations/orderer/orderers/node0.orderer.example data=$network/fabric-orderer
    local roots
    roots="[$(authority orderer),$(authority utility),$(authority auditor),$(authority agency)]"
    env ORDERER_GENERAL_LISTENADDRESS="${orderer%:*}" ORDERER_GENERAL_LISTENPORT="${orderer##*:}" \
        ORDERER_GENERAL_LOCALMSPID=OrdererMSP ORDERER_GENERAL_LOCALMSPDIR="$node/msp" \
        ORDERER_GENERAL_TLS_ENABLED=true ORDERER_GENERAL_TLS_CLIENTAUTHREQUIRED=true \
        ORDERER_GENERAL_TLS_CERTIFICATE="$node/tls/server.crt" ORDERER_GENERAL_TLS_PRIVATEKEY="$node/tls/server.key" \
        ORDERER_GENERAL_TLS_ROOTCAS="[$node/tls/ca.crt]" ORDERER_GENERAL_TLS_CLIENTROOTCAS="$roots" \
        ORDERER_GENERAL_CLUSTER_CLIENTCERTIFICATE="$node/tls/server.crt" \
        ORDERER_GENERAL_CLUSTER_CLIENTPRIVATEKEY="$node/tls/server.key" \
        ORDERER_FILELEDGER_LOCATION="$data" ORDERER_CONSENSUS_WALDIR="$data/wal" ORDERER_CONSENSUS_SNAPDIR="$data/snap" \
        ORDERER_OPERATIONS_LISTENADDRESS=127.0.0.1:0 ORDERER_ADMIN_LISTENADDRESS="$orderer_administration" \
        ORDERER_ADMIN_TLS_ENABLED=true ORDERER_ADMIN_TLS_CLIENTAUTHREQUIRED=true \
        ORDERER_ADMIN_TLS_CERTIFICATE="$node/tls/server.crt" ORDERER_ADMIN_TLS_PRIVATEKEY="$node/tls/server.key" \
        ORDERER_ADMIN_TLS_CLIENTROOTCAS="[$node/tls/ca.crt]" FABRIC_LOGGING_SPEC=warning \
        "$fabric/orderer" >> "$network/fabric-orderer.log" 2>&1 &
    orderer_pid=$!
    pids+=("$orderer_pid")
    echo "$orderer_pid" > "$network/nodes/orderer/pid"
}

# start_fabric_peer: Fabric's peer as one more peer of the utility organization.
start_fabric_peer() {
    start_peer "$fabric/peer" fabric0 || return
    fabric_peer=$started_peer
    become utility admin "$fabric_peer"
}

# start_peer PROGRAM NAME: a peer of the utility organization, with an identity issued by `weft ca` and data in a folder of
# its name; sets started_peer to its address, and started_pid.
start_peer() {
    local program=$1 name=$2
    local node=$network/organizations/utility/peers/$name.utility.example data=$network/$name
    if [ ! -d "$node" ]; then
        required "weft ca issues an identity for $name" "$WEFT" ca issue "$network/organizations/utility" "$name" \
            --role peer --host localhost --host 127.0.0.1 || return
    fi
    started_peer=127.0.0.1:$(free_port)
    # Without the short threshold Fabric's peer asks for a minute for private data that nobody has who runs.
    env CORE_PEER_ID="$name" CORE_PEER_LISTENADDRESS="$started_peer" CORE_PEER_ADDRESS="$started_peer" \
        CORE_PEER_LOCALMSPID=UtilityMSP CORE_PEER_MSPCONFIGPATH="$node/msp" \
        CORE_PEER_TLS_CERT_FILE="$node/tls/server.crt" CORE_PEER_TLS_KEY_FILE="$node/tls/server.key" \
        CORE_PEER_TLS_ROOTCERT_FILE="$node/tls/ca.crt" CORE_PEER_TLS_CLIENTROOTCAS_FILES="$node/tls/ca.crt" \
        CORE_PEER_TLS_CLIENTCERT_FILE="$node/tls/server.crt" CORE_PEER_TLS_CLIENTKEY_FILE="$node/tls/server.key" \
        CORE_PEER_FILESYSTEMPATH="$data" CORE_LEDGER_SNAPSHOTS_ROOTDIR="$data/snapshots" \
        CORE_PEER_CHAINCODELISTENADDRESS="127.0.0.1:$(free_port)" CORE_OPERATIONS_LISTENADDRESS=127.0.0.1:0 \
        CORE_PEER_GOSSIP_BOOTSTRAP="$started_peer" CORE_PEER_GOSSIP_ENDPOINT="$started_peer" \
        CORE_PEER_GOSSIP_EXTERNALENDPOINT="$started_peer" CORE_PEER_GOSSIP_PVTDATA_PULLRETRYTHRESHOLD=100ms CORE_VM_ENDPOINT= \
        FABRIC_LOGGING_SPEC=info "${FABRIC_PEER_ENVIRONMENT[@]}" "$program" node start > "$network/$name.log" 2>&1 &
    started_pid=$!
    pids+=("$started_pid")
    required "$name starts and answers" until_true 30 answers_at "$started_peer"
}

answers_at() (
    become utility admin "$1"
    CORE_PEER_TLS_ROOTCERT_FILE=$(authority utility)
    peer_cli channel list
)

close_network() {
    for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null; wait "$pid" 2> /dev/null; done
    pids=()
    fabric_peer= orderer_pid=
    [ -f "${network:-}/network.json" ] && "$WEFT" network down --folder "$network" > /dev/null 2>&1
    network=
}
