# Sourced by scripts/interop: channels of a running orderer, by the channel participation API. Fabric's osnadmin
# administers Weft's orderer and Weft's osnadmin Fabric's, with the same checks.

# participation_checks ADDRESS COMMAND...: a second channel is joined, changed and removed with an osnadmin.
participation_checks() {
    local address=$1 folder=$network/second
    shift
    local node=$network/organizations/orderer/orderers/node0.orderer.example/tls
    local user=$network/organizations/orderer/users/admin@orderer.example/tls
    local flags=(-o "$address" --ca-file "$node/ca.crt" --client-cert "$user/client.crt" --client-key "$user/client.key")
    mkdir -p "$folder"
    required "configtxgen makes a second channel's genesis block" make_second_channel "$folder" || return
    refused_with "osnadmin takes one address only" "flag 'orderer-address' cannot be repeated" \
        "$@" channel list "${flags[@]}" -o "$address"
    refused_with "osnadmin channel without a command is refused" "must select a subcommand" "$@" channel
    output_has "osnadmin channel list names the channel" "\"/participation/v1/channels/$channel\"" \
        "$@" channel list "${flags[@]}"
    output_has "osnadmin channel join answers 201" "Status: 201" \
        "$@" channel join --channelID second --config-block "$folder/second.block" "${flags[@]}"
    output_has "a second join answers 405" "Status: 405" \
        "$@" channel join --channelID second --config-block "$folder/second.block" "${flags[@]}"
    output_has "osnadmin channel list tells about the channel" '"consensusRelation": "consenter"' \
        "$@" channel list --channelID second "${flags[@]}"
    required "osnadmin channel fetch gets the genesis block" \
        "$@" channel fetch --channelID second --blockID 0 --outputfile "$folder/fetched.block" "${flags[@]}"
    required "which is the one that was given" cmp "$folder/second.block" "$folder/fetched.block"
    required "peer signs an update of the second channel" sign_second_update "$folder"
    # An orderer that has only just joined may not have elected itself.
    until_true 30 updated "$folder" "$@" channel update --channelID second \
        --config-update-envelope "$folder/envelope.pb" "${flags[@]}"
    output_has "osnadmin channel update answers 201" "Status: 201" cat "$folder/update.log"
    output_has "the same update once more answers 400" "Status: 400" \
        "$@" channel update --channelID second --config-update-envelope "$folder/envelope.pb" "${flags[@]}"
    output_has "osnadmin channel remove answers 204" "Status: 204" "$@" channel remove --channelID second "${flags[@]}"
    required "and the channel is gone" until_true 20 gone "$@" channel list --channelID second "${flags[@]}"
    output_has "removing it once more answers 404" "Status: 404" "$@" channel remove --channelID second "${flags[@]}"
    output_has "it can be joined again" '"height": 1' \
        "$@" channel join --channelID second --config-block "$folder/second.block" "${flags[@]}"
    output_has "and removed again" "Status: 204" "$@" channel remove --channelID second "${flags[@]}"
    user=$network/organizations/utility/users/admin@utility.example/tls
    refused_with "a certificate of another authority is not let in" "Error:" "$@" channel list -o "$address" \
        --ca-file "$node/ca.crt" --client-cert "$user/client.crt" --client-key "$user/client.key"
}

updated() {
    local folder=$1
    shift
    "$@" > "$folder/update.log" 2>&1 && grep -q "Status: 201" "$folder/update.log"
}

gone() { "$@" | grep -q "Status: 404"; }

make_second_channel() {
    local organizations=$network/organizations certificate
    certificate=$organizations/orderer/orderers/node0.orderer.example/tls/server.crt
    cat > "$1/configtx.yaml" << YAML
Profiles:
  Second:
    Policies: &policies
      Readers: { Type: ImplicitMeta, Rule: ANY Readers }
      Writers: { Type: ImplicitMeta, Rule: ANY Writers }
      Admins: { Type: ImplicitMeta, Rule: MAJORITY Admins }
    Capabilities: { V2_0: true }
    Orderer:
      OrdererType: etcdraft
      BatchTimeout: 1s
      BatchSize: { MaxMessageCount: 10, AbsoluteMaxBytes: 10 MB, PreferredMaxBytes: 2 MB }
      EtcdRaft:
        Consenters:
          - { Host: "${orderer%:*}", Port: ${orderer##*:}, ClientTLSCert: "$certificate", ServerTLSCert: "$certificate" }
      Capabilities: { V2_0: true }
      Policies:
        <<: *policies
        BlockValidation: { Type: ImplicitMeta, Rule: ANY Writers }
      Organizations:
        - Name: orderer
          ID: OrdererMSP
          MSPDir: $organizations/orderer/msp
          OrdererEndpoints: ["$orderer"]
          Policies: &members
            Readers: { Type: Signature, Rule: "OR('OrdererMSP.member')" }
            Writers: { Type: Signature, Rule: "OR('OrdererMSP.member')" }
            Admins: { Type: Signature, Rule: "OR('OrdererMSP.admin')" }
    Application:
      Capabilities: { V2_5: true }
      Policies:
        <<: *policies
        Endorsement: { Type: ImplicitMeta, Rule: MAJORITY Endorsement }
        LifecycleEndorsement: { Type: ImplicitMeta, Rule: MAJORITY Endorsement }
      Organizations:
        - Name: utility
          ID: UtilityMSP
          MSPDir: $organizations/utility/msp
          Policies:
            Readers: { Type: Signature, Rule: "OR('UtilityMSP.member')" }
            Writers: { Type: Signature, Rule: "OR('UtilityMSP.member')" }
            Admins: { Type: Signature, Rule: "OR('UtilityMSP.admin')" }
            Endorsement: { Type: Signature, Rule: "OR('UtilityMSP.peer')" }
YAML
    "$fabric/configtxgen" -configPath "$1" -profile Second -channelID second -outputBlock "$1/second.block"
}

sign_second_update() (
    channel=second
    become orderer admin "${address_of[utility]}"
    cp "$1/second.block" "$1/config.block"
    make_update "$1" "$(batch_of 321)" && peer_cli channel signconfigtx -f "$1/envelope.pb"
)
