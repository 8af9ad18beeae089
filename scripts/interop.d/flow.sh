# Sourced by scripts/interop: a network of two organizations from nothing, with the commands and the variables that such
# scripts use, once with Weft's programs under Fabric's names and once with Fabric's. The nodes are Weft's.

# flow_checks NAME FOLDER: FOLDER holds the programs that make, join and change; the nodes are those of link_tools.
flow_checks() (
    local name=$1 tools=$2 home=$work/flow-$1 organization
    mkdir -p "$home" && cd "$home" || return
    unset "${!CORE_@}" "${!ORDERER_@}"
    export PATH=$tools:$PATH FABRIC_CFG_PATH=$home CORE_PEER_TLS_ENABLED=true FABRIC_LOGGING_SPEC=info
    cp "$fabric/sampleconfig/core.yaml" "$fabric/sampleconfig/orderer.yaml" "$home"
    echo "-- a network from nothing, by $name's programs"
    flow_ports
    flow_files
    flow_step "cryptogen generate" cryptogen generate --config=crypto-config.yaml --output=organizations || return
    flow_step "configtxgen" configtxgen -profile TwoOrganizations -outputBlock first.block -channelID flow || return
    flow_nodes || return
    flow_step "osnadmin channel join" flow_osnadmin join --channelID flow --config-block first.block
    flow_says "osnadmin channel list" '"status": "active"' flow_osnadmin list --channelID flow
    for organization in 1 2; do
        flow_as "$organization"
        flow_step "peer channel join of organization $organization" until_true 30 peer channel join -b first.block
        flow_step "anchor peer of organization $organization" flow_anchor "$organization"
    done
    flow_contract
    flow_says "peer channel getinfo" '"height":7' until_said 20 '"height":7' peer channel getinfo -c flow
    for organization in 1 2; do
        flow_as "$organization"
        flow_says "organization $organization has both anchor peers" "127.0.0.1 127.0.0.1" flow_anchors
    done
    flow_stop
)

# A step's line is printed by the subshell; its count is kept in files.
flow_step() {
    local what=$1 said
    shift
    if said=$("$@" 2>&1); then echo "ok      $name: $what"; echo >> "$work/flow.passed"; else
        echo "FAILED  $name: $what"; tail -5 <<< "$said" | sed 's/^/        /'; echo >> "$work/flow.failed"; return 1
    fi
}

flow_says() { local what=$1 text=$2; shift 2; flow_step "$what" until_said 1 "$text" "$@"; }

# until_said SECONDS TEXT COMMAND: repeats the command until it prints the text.
until_said() {
    local last=$((SECONDS + $1)) text=$2 said
    shift 2
    until said=$("$@" 2>&1) && grep -qF -- "$text" <<< "$said"; do
        [ "$SECONDS" -lt "$last" ] || { echo "$said"; return 1; }
        sleep 0.2
    done
    echo "$said"
}

flow_ports() {
    orderer_port=$(free_port) admin_port=$(free_port) operations_port=$(free_port)
    peer_port[1]=$(free_port) peer_port[2]=$(free_port)
    organizations_home=$home/organizations
    orderer_home=$organizations_home/ordererOrganizations/example.com
    orderer_node=$orderer_home/orderers/orderer.example.com
    orderer_ca=$orderer_home/tlsca/tlsca.example.com-cert.pem
}

peer_home() { echo "$organizations_home/peerOrganizations/org$1.example.com"; }

flow_files() {
    cat > crypto-config.yaml << 'YAML'
OrdererOrgs:
  - { Name: Orderer, Domain: example.com, EnableNodeOUs: true, Specs: [{ Hostname: orderer, SANS: [localhost, 127.0.0.1] }] }
PeerOrgs:
  - { Name: Org1, Domain: org1.example.com, EnableNodeOUs: true, Template: { Count: 1, SANS: [localhost, 127.0.0.1] }, Users: { Count: 1 } }
  - { Name: Org2, Domain: org2.example.com, EnableNodeOUs: true, Template: { Count: 1, SANS: [localhost, 127.0.0.1] }, Users: { Count: 1 } }
YAML
    cat > configtx.yaml << YAML
Organizations:
  - &OrdererOrg
    Name: OrdererOrg
    ID: OrdererMSP
    MSPDir: organizations/ordererOrganizations/example.com/msp
    Policies:
      Readers: { Type: Signature, Rule: "OR('OrdererMSP.member')" }
      Writers: { Type: Signature, Rule: "OR('OrdererMSP.member')" }
      Admins: { Type: Signature, Rule: "OR('OrdererMSP.admin')" }
    OrdererEndpoints: [ "127.0.0.1:$orderer_port" ]
$(for number in 1 2; do cat << ORGANIZATION
  - &Org$number
    Name: Org${number}MSP
    ID: Org${number}MSP
    MSPDir: organizations/peerOrganizations/org$number.example.com/msp
    Policies:
      Readers: { Type: Signature, Rule: "OR('Org${number}MSP.admin', 'Org${number}MSP.peer', 'Org${number}MSP.client')" }
      Writers: { Type: Signature, Rule: "OR('Org${number}MSP.admin', 'Org${number}MSP.client')" }
      Admins: { Type: Signature, Rule: "OR('Org${number}MSP.admin')" }
      Endorsement: { Type: Signature, Rule: "OR('Org${number}MSP.peer')" }
ORGANIZATION
done)
Channel: &Channel
  Policies: &Policies
    Readers: { Type: ImplicitMeta, Rule: "ANY Readers" }
    Writers: { Type: ImplicitMeta, Rule: "ANY Writers" }
    Admins: { Type: ImplicitMeta, Rule: "MAJORITY Admins" }
  Capabilities: { V2_0: true }
Profiles:
  TwoOrganizations:
    <<: *Channel
    Orderer:
      OrdererType: etcdraft
      BatchTimeout: 500ms
      BatchSize: { MaxMessageCount: 10, AbsoluteMaxBytes: 99 MB, PreferredMaxBytes: 512 KB }
      EtcdRaft:
        Consenters:
          - Host: 127.0.0.1
            Port: $orderer_port
            ClientTLSCert: organizations/ordererOrganizations/example.com/orderers/orderer.example.com/tls/server.crt
            ServerTLSCert: organizations/ordererOrganizations/example.com/orderers/orderer.example.com/tls/server.crt
      Capabilities: { V2_0: true }
      Policies:
        <<: *Policies
        BlockValidation: { Type: ImplicitMeta, Rule: "ANY Writers" }
      Organizations: [ *OrdererOrg ]
    Application:
      Capabilities: { V2_5: true }
      Policies:
        <<: *Policies
        LifecycleEndorsement: { Type: ImplicitMeta, Rule: "MAJORITY Endorsement" }
        Endorsement: { Type: ImplicitMeta, Rule: "MAJORITY Endorsement" }
      Organizations: [ *Org1, *Org2 ]
YAML
}

# flow_nodes: an orderer and two peers of Weft by Fabric's names, as compose files start them; where peer_programs names
# another program for a peer, that one.
flow_nodes() {
    local number node
    env ORDERER_GENERAL_LISTENADDRESS=127.0.0.1 ORDERER_GENERAL_LISTENPORT="$orderer_port" \
        ORDERER_GENERAL_LOCALMSPID=OrdererMSP ORDERER_GENERAL_LOCALMSPDIR="$orderer_node/msp" \
        ORDERER_GENERAL_TLS_ENABLED=true ORDERER_GENERAL_TLS_PRIVATEKEY="$orderer_node/tls/server.key" \
        ORDERER_GENERAL_TLS_CERTIFICATE="$orderer_node/tls/server.crt" \
        ORDERER_GENERAL_TLS_ROOTCAS="[$orderer_node/tls/ca.crt]" \
        ORDERER_GENERAL_CLUSTER_CLIENTCERTIFICATE="$orderer_node/tls/server.crt" \
        ORDERER_GENERAL_CLUSTER_CLIENTPRIVATEKEY="$orderer_node/tls/server.key" \
        ORDERER_GENERAL_CLUSTER_ROOTCAS="[$orderer_node/tls/ca.crt]" \
        ORDERER_GENERAL_BOOTSTRAPMETHOD=none ORDERER_CHANNELPARTICIPATION_ENABLED=true \
        ORDERER_ADMIN_TLS_ENABLED=true ORDERER_ADMIN_TLS_CERTIFICATE="$orderer_node/tls/server.crt" \
        ORDERER_ADMIN_TLS_PRIVATEKEY="$orderer_node/tls/server.key" ORDERER_ADMIN_TLS_CLIENTAUTHREQUIRED=true \
        ORDERER_ADMIN_TLS_ROOTCAS="[$orderer_node/tls/ca.crt]" \
        ORDERER_ADMIN_TLS_CLIENTROOTCAS="[$orderer_node/tls/ca.crt]" ORDERER_ADMIN_LISTENADDRESS="127.0.0.1:$admin_port" \
        ORDERER_OPERATIONS_LISTENADDRESS="127.0.0.1:$operations_port" ORDERER_METRICS_PROVIDER=prometheus \
        ORDERER_FILELEDGER_LOCATION="$home/orderer" "$work/tools/orderer" > orderer.log 2>&1 &
    nodes=($!)
    for number in 1 2; do
        node=$(peer_home $number)/peers/peer0.org$number.example.com
        env CORE_PEER_ID="peer0.org$number.example.com" CORE_PEER_LOCALMSPID="Org${number}MSP" \
            CORE_PEER_MSPCONFIGPATH="$node/msp" CORE_PEER_ADDRESS="127.0.0.1:${peer_port[$number]}" \
            CORE_PEER_LISTENADDRESS="127.0.0.1:${peer_port[$number]}" \
            CORE_PEER_GOSSIP_BOOTSTRAP="127.0.0.1:${peer_port[$number]}" \
            CORE_PEER_GOSSIP_EXTERNALENDPOINT="127.0.0.1:${peer_port[$number]}" CORE_PEER_PROFILE_ENABLED=false \
            CORE_PEER_TLS_CERT_FILE="$node/tls/server.crt" CORE_PEER_TLS_KEY_FILE="$node/tls/server.key" \
            CORE_PEER_TLS_ROOTCERT_FILE="$node/tls/ca.crt" CORE_PEER_FILESYSTEMPATH="$home/peer$number" \
            CORE_OPERATIONS_LISTENADDRESS=127.0.0.1:0 CORE_METRICS_PROVIDER=prometheus \
            CORE_PEER_CHAINCODELISTENADDRESS="127.0.0.1:$(free_port)" CORE_VM_ENDPOINT= \
            CORE_LEDGER_SNAPSHOTS_ROOTDIR="$home/peer$number/snapshots" \
            CORE_PEER_GOSSIP_PVTDATA_PULLRETRYTHRESHOLD=100ms CORE_CHAINCODE_EXECUTETIMEOUT=300s \
            "${peer_programs[$number]:-$work/tools/peer}" node start > "peer$number.log" 2>&1 &
        nodes+=($!)
    done
    pids+=("${nodes[@]}")
    flow_step "the orderer says that it serves" until_true 30 grep -q "Beginning to serve requests" orderer.log || return
    flow_step "peer 1 says that it has started" until_true 30 grep -q "Started peer with ID=" peer1.log || return
    flow_step "peer 2 says that it has started" until_true 30 grep -q "Started peer with ID=" peer2.log || return
    flow_step "the orderer is healthy" until_true 10 curl -sf "http://127.0.0.1:$operations_port/healthz"
}

flow_stop() {
    local pid
    for pid in "${nodes[@]}"; do kill "$pid"; done
    for pid in "${nodes[@]}"; do
        wait "$pid"
        flow_step "a node ends with code 0 after SIGTERM" test $? = 0
    done
}

flow_osnadmin() {
    local admin=$orderer_home/users/Admin@example.com/tls
    osnadmin channel "$@" -o "127.0.0.1:$admin_port" --ca-file "$orderer_ca" \
        --client-cert "$admin/client.crt" --client-key "$admin/client.key"
}

# flow_as NUMBER: the administrator of an organization.
flow_as() {
    export CORE_PEER_LOCALMSPID=Org${1}MSP CORE_PEER_ADDRESS=127.0.0.1:${peer_port[$1]}
    CORE_PEER_TLS_ROOTCERT_FILE=$(peer_home "$1")/tlsca/tlsca.org$1.example.com-cert.pem
    CORE_PEER_MSPCONFIGPATH=$(peer_home "$1")/users/Admin@org$1.example.com/msp
    export CORE_PEER_TLS_ROOTCERT_FILE CORE_PEER_MSPCONFIGPATH
}

flow_config() {
    peer channel fetch config config.pb -o "127.0.0.1:$orderer_port" -c flow --tls --cafile "$orderer_ca" || return
    configtxlator proto_decode --input config.pb --type common.Block --output block.json || return
    jq '.data.data[0].payload.data.config' block.json > config.json
}

flow_anchors() {
    flow_config && jq -r '[.channel_group.groups.Application.groups[].values.AnchorPeers.value.anchor_peers[0].host]
        | join(" ")' config.json
}

# flow_anchor NUMBER: a configuration update, made with configtxlator and jq.
flow_anchor() {
    flow_config || return
    jq --arg org "Org${1}MSP" --argjson port "${peer_port[$1]}" '.channel_group.groups.Application.groups[$org].values
        += {AnchorPeers: {mod_policy: "Admins", value: {anchor_peers: [{host: "127.0.0.1", port: $port}]}, version: "0"}}' \
        config.json > modified.json || return
    configtxlator proto_encode --input config.json --type common.Config --output config.pb || return
    configtxlator proto_encode --input modified.json --type common.Config --output modified.pb || return
    configtxlator compute_update --channel_id flow --original config.pb --updated modified.pb --output update.pb || return
    configtxlator proto_decode --input update.pb --type common.ConfigUpdate --output update.json || return
    jq '{payload: {header: {channel_header: {channel_id: "flow", type: 2}}, data: {config_update: .}}}' update.json \
        > envelope.json || return
    configtxlator proto_encode --input envelope.json --type common.Envelope --output envelope.pb || return
    peer channel update -f envelope.pb -c flow -o "127.0.0.1:$orderer_port" --tls --cafile "$orderer_ca"
}

# flow_contract: the built-in contract kv, approved by both, committed and called.
flow_contract() {
    local number to_orderer=(-o "127.0.0.1:$orderer_port" --tls --cafile "$orderer_ca") to_peers=()
    local definition=(--channelID flow --name kv --version 1.0 --sequence 1)
    for number in 1 2; do
        to_peers+=(--peerAddresses "127.0.0.1:${peer_port[$number]}"
            --tlsRootCertFiles "$(peer_home $number)/tlsca/tlsca.org$number.example.com-cert.pem")
        flow_as $number
        flow_step "approveformyorg of organization $number" \
            peer lifecycle chaincode approveformyorg "${to_orderer[@]}" "${definition[@]}"
    done
    flow_says "checkcommitreadiness" '"Org1MSP": true' \
        until_said 20 '"Org1MSP": true' peer lifecycle chaincode checkcommitreadiness "${definition[@]}" --output json
    flow_step "commit" peer lifecycle chaincode commit "${to_orderer[@]}" "${to_peers[@]}" "${definition[@]}"
    flow_says "querycommitted" "Version: 1.0, Sequence: 1" \
        peer lifecycle chaincode querycommitted --channelID flow --name kv
    flow_says "invoke" "Chaincode invoke successful. result: status:200" \
        peer chaincode invoke "${to_orderer[@]}" "${to_peers[@]}" -C flow -n kv -c '{"function":"put","Args":["a","b"]}'
    flow_says "query" "b" until_said 20 "b" peer chaincode query -C flow -n kv -c '{"Args":["get","a"]}'
}

# flow_counts: adds up what the flows' subshells have counted.
flow_counts() {
    local file
    for file in passed failed; do
        [ -f "$work/flow.$file" ] || continue
        printf -v "$file" '%d' $((${!file} + $(wc -l < "$work/flow.$file")))
    done
}
