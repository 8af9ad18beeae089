# Sourced by scripts/interop: the suite of behaviour that contracts in every language pass (Tests/EndToEndTests/behaviour.py), for the
# contract in Swift as a service behind Fabric's peer.

behaviour_checks() {
    local programs home
    local organizations=(utility)
    has_modules pytest grpc fabric_chaincode_python fabric_protos || return
    programs=${SAMPLES:-$(swift build --show-bin-path)}
    [ -x "$programs/BehaviourContract" ] || swift build --product BehaviourContract > /dev/null || return
    # All but the peer is Weft's; Fabric's peer has its address and identity.
    required "a Weft network starts" \
        "$WEFT" network up --folder "$work/behaviour" --orgs 1 --base-port 0 --channel behaviour || return
    read_network "$work/behaviour"
    home=$network/fabric
    mkdir -p "$home"
    (cd "$home" && sample_builder)
    sed "s#/opt/hyperledger/ccaas_builder#$home/builder#" "$fabric/sampleconfig/core.yaml" > "$home/core.yaml"
    kill "$(cat "$network/nodes/utility/pid")"
    until_true 60 nobody_listens "${address_of[utility]}"
    behaviour_peer "${address_of[utility]}" || return
    become utility admin "${address_of[utility]}"
    required "Fabric's peer takes the place of Weft's and joins" until_true 120 \
        "$fabric/peer" channel join -b "$network/behaviour.block" || return
    required "it gets the blocks" until_true 120 height_is_at_least_of behaviour 2
    NETWORK=$network SAMPLES=$programs suite "Swift contract on Fabric's peer" 900 Tests/EndToEndTests/behaviour.py -k swift
}

nobody_listens() { ! (exec 3<> "/dev/tcp/${1%:*}/${1##*:}") 2> /dev/null; }

height_is_at_least_of() { local channel=$1 && height_is_at_least "$2"; }

# behaviour_peer ADDRESS: nobody has the private data any more that came with the blocks before, hence the short threshold.
behaviour_peer() {
    local node=$network/organizations/utility/peers/node0.utility.example
    env FABRIC_CFG_PATH="$home" CORE_PEER_ID=fabric CORE_PEER_LISTENADDRESS="$1" CORE_PEER_ADDRESS="$1" \
        CORE_PEER_LOCALMSPID=UtilityMSP CORE_PEER_MSPCONFIGPATH="$node/msp" \
        CORE_PEER_TLS_CERT_FILE="$node/tls/server.crt" CORE_PEER_TLS_KEY_FILE="$node/tls/server.key" \
        CORE_PEER_TLS_ROOTCERT_FILE="$node/tls/ca.crt" CORE_PEER_TLS_CLIENTROOTCAS_FILES="$node/tls/ca.crt" \
        CORE_PEER_TLS_CLIENTCERT_FILE="$node/tls/server.crt" CORE_PEER_TLS_CLIENTKEY_FILE="$node/tls/server.key" \
        CORE_PEER_FILESYSTEMPATH="$home/data" CORE_LEDGER_SNAPSHOTS_ROOTDIR="$home/data/snapshots" \
        CORE_PEER_CHAINCODELISTENADDRESS="127.0.0.1:$(free_port)" CORE_OPERATIONS_LISTENADDRESS=127.0.0.1:0 \
        CORE_PEER_GOSSIP_BOOTSTRAP="$1" CORE_PEER_GOSSIP_EXTERNALENDPOINT="$1" \
        CORE_PEER_GOSSIP_PVTDATA_PULLRETRYTHRESHOLD=100ms CORE_VM_ENDPOINT= \
        FABRIC_LOGGING_SPEC=info "$fabric/peer" node start > "$home/log" 2>&1 &
    pids+=($!)
}
