# Sourced by scripts/interop: contracts in Swift as services that Fabric's peer and Weft's call at the same time, so that
# both must come to the same results.

# sample_checks: the peer of organization 1 is Fabric's; the peer of organization 2 and the orderer are Weft's.
sample_checks() (
    local name=samples home=$work/samples organization program programs
    pids=()
    trap 'for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null; done; wait' EXIT
    programs=${SAMPLES:-$(swift build --show-bin-path)}
    for program in AssetTransfer Custody; do
        [ -x "$programs/$program" ] || swift build --product "$program" > /dev/null || return
    done
    mkdir -p "$home" && cd "$home" || return
    unset "${!CORE_@}" "${!ORDERER_@}"
    export PATH=$fabric:$PATH FABRIC_CFG_PATH=$home CORE_PEER_TLS_ENABLED=true FABRIC_LOGGING_SPEC=info
    cp "$fabric/sampleconfig/orderer.yaml" "$home"
    sed "s#/opt/hyperledger/ccaas_builder#$home/builder#" "$fabric/sampleconfig/core.yaml" > "$home/core.yaml"
    sample_builder
    flow_ports
    flow_files
    cryptogen generate --config=crypto-config.yaml --output=organizations > /dev/null || return
    configtxgen -profile TwoOrganizations -outputBlock first.block -channelID flow 2> /dev/null || return
    peer_programs=([1]=$fabric/peer)
    flow_nodes || return
    flow_osnadmin join --channelID flow --config-block first.block > /dev/null
    for organization in 1 2; do
        flow_as "$organization"
        flow_step "peer $organization joins the channel" until_true 30 peer channel join -b first.block
    done
    sample_service assets "$programs/AssetTransfer" && sample_assets
    sample_service custody "$programs/Custody" && sample_custody
)

# sample_builder: the builder for chaincode as a service that comes with Fabric, in a few lines.
sample_builder() {
    mkdir -p builder/bin
    printf '#!/bin/sh\n[ "$(jq -r .type "$2/metadata.json")" = ccaas ]\n' > builder/bin/detect
    printf '#!/bin/sh\ncp "$1/connection.json" "$3/"\n' > builder/bin/build
    printf '#!/bin/sh\nmkdir -p "$2/chaincode/server" && cp "$1/connection.json" "$2/chaincode/server/"\n' \
        > builder/bin/release
    chmod +x builder/bin/*
}

# sample_service NAME PROGRAM: packages, starts and defines a contract.
sample_service() {
    local port package number
    local definition=(--channelID flow --name "$1" --version 1.0 --sequence 1)
    port=$(free_port)
    echo "{\"address\": \"127.0.0.1:$port\", \"dial_timeout\": \"10s\"}" > connection.json
    echo "{\"type\": \"ccaas\", \"label\": \"$1\"}" > metadata.json
    tar czf code.tar.gz connection.json && tar czf "$1.tar.gz" metadata.json code.tar.gz
    package=$1:$(sha256sum "$1.tar.gz" | cut -d ' ' -f 1)
    CHAINCODE_ID=$package CHAINCODE_SERVER_ADDRESS=127.0.0.1:$port "$2" > "$1.log" 2>&1 &
    pids+=($!)
    flow_step "$1 listens" until_true 30 grep -q "listens on port" "$1.log" || return
    to_orderer=(-o "127.0.0.1:$orderer_port" --tls --cafile "$orderer_ca") to_peers=()
    for number in 1 2; do
        to_peers+=(--peerAddresses "127.0.0.1:${peer_port[$number]}"
            --tlsRootCertFiles "$(peer_home $number)/tlsca/tlsca.org$number.example.com-cert.pem")
        flow_as $number
        flow_step "peer $number takes the package of $1" peer lifecycle chaincode install "$1.tar.gz"
        flow_step "organization $number approves $1" peer lifecycle chaincode approveformyorg \
            "${to_orderer[@]}" "${definition[@]}" --package-id "$package"
    done
    flow_step "the channel adopts $1" until_true 30 \
        peer lifecycle chaincode commit "${to_orderer[@]}" "${to_peers[@]}" "${definition[@]}"
    for number in 1 2; do
        flow_as $number
        flow_says "peer $number knows $1" "Version: 1.0, Sequence: 1" until_said 30 "Version: 1.0, Sequence: 1" \
            peer lifecycle chaincode querycommitted --channelID flow --name "$1"
    done
}

# sample_invoke NAME CALL: a transaction that both peers endorse, committed.
sample_invoke() {
    peer chaincode invoke "${to_orderer[@]}" "${to_peers[@]}" -C flow -n "$1" -c "$2" --waitForEvent
}

sample_valid() { flow_says "$1" "committed with status (VALID)" sample_invoke "$2" "$3"; }

# sample_query NUMBER NAME CALL: what the peer of an organization answers.
sample_query() { flow_as "$1" && peer chaincode query -C flow -n "$2" -c "$3"; }

sample_same() { # NAME CALL
    local of_fabric of_weft
    of_fabric=$(sample_query 1 "$@") && of_weft=$(sample_query 2 "$@") && [ "$of_fabric" = "$of_weft" ]
}

sample_assets() {
    flow_as 1
    sample_valid "Fabric's peer and Weft's endorse CreateAsset alike" assets \
        '{"Args":["CreateAsset","a1","amber","4","Ana","120"]}'
    sample_valid "and TransferAsset" assets '{"Args":["TransferAsset","a1","Bodo"]}'
    for organization in 1 2; do
        flow_says "peer $organization finds the asset by its owner" '"owner":"Bodo"' until_said 30 '"owner":"Bodo"' \
            sample_query $organization assets '{"Args":["GetAssetsByOwner","Bodo"]}'
    done
    flow_step "both tell the same history" sample_same assets '{"Args":["GetAssetHistory","a1"]}'
    flow_step "and the same metadata" sample_same assets '{"Args":["org.hyperledger.fabric:GetMetadata"]}'
    flow_step "a contract's error comes through Fabric's peer" \
        sample_fails "there is no asset none" 1 assets '{"Args":["ReadAsset","none"]}'
}

sample_fails() { # TEXT NUMBER NAME CALL
    local said text=$1
    shift
    ! said=$(sample_query "$@" 2>&1) && grep -qF "$text" <<< "$said"
}

sample_custody() {
    flow_as 1
    sample_valid "custody: organization 1 registers a container" custody \
        '{"Args":["Register","CSQU3054383","coffee","Santos"]}'
    sample_valid "and offers it to organization 2" custody '{"Args":["Offer","CSQU3054383","Org2MSP"]}'
    flow_as 2
    sample_valid "organization 2 accepts; the container's own policy wants both" custody \
        '{"Args":["Accept","CSQU3054383","Rotterdam"]}'
    flow_says "Fabric's peer knows the new holder" '"holder":"Org2MSP"' until_said 30 '"holder":"Org2MSP"' \
        sample_query 1 custody '{"Args":["Read","CSQU3054383"]}'
    flow_step "organization 1 alone can't change it any more" \
        sample_refused custody '{"Args":["Offer","CSQU3054383","Org1MSP"]}'
}

# sample_refused NAME CALL: organization 2, the holder, calls, and only the peer of organization 1 endorses.
sample_refused() {
    local said
    flow_as 2
    ! said=$(peer chaincode invoke "${to_orderer[@]}" "${to_peers[@]:0:4}" -C flow -n "$1" -c "$2" --waitForEvent 2>&1) \
        && grep -q ENDORSEMENT_POLICY_FAILURE <<< "$said"
}
