# Sourced by scripts/interop: updates that several organizations sign, connection profiles, and a peer's first and last
# hours on a channel; each with Fabric's and with Weft's program.

# link_tools: links by the names of Fabric's programs to Weft's.
link_tools() {
    [ -d "$work/tools" ] \
        || required "scripts/link-fabric-tools makes links" scripts/link-fabric-tools "$work/tools" "$WEFT"
}

# administration_checks: all of it, and again with the programs exchanged where two of them have a part.
administration_checks() {
    link_tools || return
    signature_checks qscc/GetChainInfo "$fabric/peer" "$work/tools/peer"
    signature_checks qscc/GetBlockByNumber "$work/tools/peer" "$fabric/peer"
    profile_checks
    membership_checks
}

# signature_checks RESOURCE SIGNING SUBMITTING: an update of the access to a resource, which the administrators of two
# organizations must sign: one signs the file with one program, another hands it in with the other program.
signature_checks() {
    local folder=$work/signatures/$(basename "$1") signing=$2 submitting=$3
    rm -rf "$folder" && mkdir -p "$folder"
    become utility admin "${address_of[utility]}"
    "$submitting" channel fetch config "$folder/config.block" -c "$channel" "${orderer_flags[@]}" 2> /dev/null
    required "configtxlator makes an update of the access to $1" make_update "$folder" \
        "group['groups']['Application']['values']['ACLs'] = {'mod_policy': 'Admins', 'version': '0',
            'value': {'acls': {'$1': {'policy_ref': '/Channel/Application/Readers'}}}}" || return
    cp "$folder/envelope.pb" "$folder/alone.pb"
    refused_with "one administrator is too few for it" "BAD_REQUEST" \
        "$submitting" channel update -f "$folder/alone.pb" -c "$channel" "${orderer_flags[@]}"
    become auditor admin "${address_of[auditor]}"
    required "peer channel signconfigtx by another one ($(whose "$signing"))" \
        "$signing" channel signconfigtx -f "$folder/envelope.pb"
    output_has "both configtxlator read the signature" "AuditorMSP" both_decode "$folder/envelope.pb"
    become utility admin "${address_of[utility]}"
    required "peer channel update with both signatures ($(whose "$submitting"))" \
        "$submitting" channel update -f "$folder/envelope.pb" -c "$channel" "${orderer_flags[@]}"
    required "and the update is in force" until_true 20 configuration_has "$folder" "\"$1\""
    level
}

whose() { if [ "$1" = "$fabric/peer" ]; then echo "Fabric's"; else echo "Weft's"; fi; }

# both_decode FILE: an envelope as JSON, if both programs print the same.
both_decode() {
    "$fabric/configtxlator" proto_decode --type common.Envelope --input "$1" > "$1.fabric" || return
    "$work/tools/configtxlator" proto_decode --type common.Envelope --input "$1" > "$1.weft" || return
    cmp "$1.fabric" "$1.weft" && cat "$1.weft"
}

# profile_checks: the peers out of a connection profile.
profile_checks() {
    local file=$work/profile.yaml organization program
    {
        printf 'channels:\n  %s:\n    peers:\n' "$channel"
        for organization in "${organizations[@]}"; do printf '      %s: { endorsingPeer: true }\n' "$organization"; done
        printf 'peers:\n'
        for organization in "${organizations[@]}"; do
            printf '  %s: { url: "%s", tlsCACerts: { path: "%s" } }\n' \
                "$organization" "${address_of[$organization]}" "$(authority "$organization")"
        done
    } > "$file"
    become utility user "${address_of[utility]}"
    for program in "$fabric/peer" "$work/tools/peer"; do
        output_has "peer chaincode invoke --connectionProfile ($(whose "$program"))" "committed with status (VALID)" \
            env FABRIC_LOGGING_SPEC=info "$program" chaincode invoke "${orderer_flags[@]}" \
            --connectionProfile "$file" -C "$channel" -n kv -c '{"Args":["put","profile","yes"]}' --waitForEvent
        level
    done
    same_reply "chaincode query of a profile's three peers" chaincode query --connectionProfile "$file" \
        -C "$channel" -n kv -c '{"Args":["get","profile"]}'
    same_reply "querycommitted of a profile's three peers" lifecycle chaincode querycommitted \
        --connectionProfile "$file" -C "$channel"
    same_reply "a profile that isn't there" chaincode query --connectionProfile "$work/nothing.yaml" \
        -C "$channel" -n kv -c '{"Args":["get","profile"]}'
}

# membership_checks: a peer of Weft, run by `peer node start` with Fabric's core.yaml, joins by Fabric's program, leaves
# while it is stopped, and joins again by Weft's.
membership_checks() {
    local weft_peer weft_pid folder
    start_peer "$work/tools/peer" weft0 || return
    weft_peer=$started_peer weft_pid=$started_pid folder=$network/weft0
    become utility admin "$weft_peer"
    same_reply "channel list of a peer without a channel" channel list
    required "Weft's peer joins by Fabric's peer channel join" "$fabric/peer" channel join -b "$network/$channel.block"
    required "and reaches the height of the others" until_true 60 height_is_at_least \
        "$(at utility height)"
    same_reply "channel list afterwards" channel list
    same_reply "joining once more" channel join -b "$network/$channel.block"
    refused_with "peer node unjoin of a peer that runs is refused" "stop it first" node_of weft0 node unjoin -c "$channel"
    kill "$weft_pid" && wait "$weft_pid" 2> /dev/null
    same_unjoin "unjoin of a channel that isn't there" -c nowhere
    same_unjoin "unjoin without a channel"
    required "peer node unjoin" node_of weft0 node unjoin -c "$channel"
    required "leaves nothing of the channel" test ! -e "$folder/weft/channels/$channel"
    start_peer "$work/tools/peer" weft0 || return
    weft_peer=$started_peer weft_pid=$started_pid
    become utility admin "$weft_peer"
    refused_with "the channel is gone" "Invalid chain ID" peer_cli channel getinfo -c "$channel"
    required "Weft's peer joins again by Weft's peer channel join" \
        "$work/tools/peer" channel join -b "$network/$channel.block"
    required "and has all blocks again" until_true 60 height_is_at_least "$(at utility height)"
    output_has "with the same hash of the chain" "$(chain_hash "${address_of[utility]}")" chain_hash "$weft_peer"
    kill "$weft_pid" && wait "$weft_pid" 2> /dev/null
}

# node_of NAME WORD...: Weft's `peer` on the data of a peer that start_peer started.
node_of() (
    export CORE_PEER_FILESYSTEMPATH=$network/$1
    shift
    "$work/tools/peer" "$@"
)

# same_unjoin NAME WORD...: both programs on data that has no channel.
same_unjoin() (
    export CORE_PEER_FILESYSTEMPATH=$work/no-data CORE_LEDGER_SNAPSHOTS_ROOTDIR=$work/no-data/snapshots
    local name=$1
    shift
    same_reply "$name" node unjoin "$@"
)
