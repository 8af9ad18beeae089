# Sourced by scripts/interop: the tools that need no network (configtxgen, configtxlator, cryptogen), ours and Fabric's
# on the same input. Needs `required`, `refused_with` and the counting of checks.sh.

ours() { "$WEFT" fabric "$@"; }

# same NAME FILE FILE: the two files have the same bytes.
same() { required "$1" cmp "$2" "$3"; }

# config_of FILE: the configuration that a block in JSON carries, without what differs from run to run.
config_of() {
    python3 -c 'import json, sys
block = json.load(open(sys.argv[1]))
payload = block["data"]["data"][0]["payload"]
header = payload["header"]["channel_header"]
print(json.dumps([payload["data"], block["metadata"], header["type"], header["version"], header["channel_id"]],
    sort_keys=True))' "$1"
}

# layout FOLDER: the files of the folder, without names that are made of random keys, and without the register of
# `weft ca`, which Fabric's cryptogen has no use for.
layout() { (cd "$1" && find . -type f ! -name authority.json ! -name register.json ! -name .lock | sed 's|/[^/]*_sk$|/KEY|' | LC_ALL=C sort); }

translation_checks() {
    local vectors=Tests/ConformanceTests/Vectors out=$work/translation file type name
    mkdir -p "$out"
    while read -r type file; do
        name=$(basename "$(dirname "$file")")/$(basename "$file")
        "$fabric/configtxlator" proto_decode --type "$type" --input "$vectors/$file" --output "$out/fabric.json"
        ours configtxlator proto_decode --type "$type" --input "$vectors/$file" --output "$out/weft.json"
        same "configtxlator proto_decode --type $type prints the same for $name" "$out/fabric.json" "$out/weft.json"
        "$fabric/configtxlator" proto_encode --type "$type" --input "$out/weft.json" --output "$out/fabric.pb"
        ours configtxlator proto_encode --type "$type" --input "$out/fabric.json" --output "$out/weft.pb"
        # Fabric writes the maps of the outermost message in random order.
        if [ "$type" = common.ConfigUpdate ]; then
            ours configtxlator proto_decode --type "$type" --input "$out/fabric.pb" --output "$out/weft.pb"
            same "each side reads the JSON of the other" "$out/fabric.json" "$out/weft.pb"
        else
            same "each side makes the same bytes of the other's JSON" "$out/fabric.pb" "$out/weft.pb"
        fi
    done << 'END'
common.Block config/genesis/raft3-policies/genesis.block
common.Block config/genesis/bft4-org3/genesis.block
common.Block config/updates/13-add-org/config_block.block
common.Block config/updates/33-acl/config_block.block
common.Envelope config/updates/52-add-consenter/envelope.pb
common.ConfigUpdate config/updates/13-add-org/config_update.pb
common.ConfigUpdate config/updates/20-policy-new/config_update.pb
END
    # As scripts have it: through pipes.
    file=$vectors/config/genesis/raft1-org1/genesis.block
    "$fabric/configtxlator" proto_decode --type common.Block --input <(cat "$file") > "$out/fabric.json"
    ours configtxlator proto_decode --type common.Block --input <(cat "$file") --output /dev/stdout | cat > "$out/weft.json"
    same "configtxlator reads from a pipe and writes into one" "$out/fabric.json" "$out/weft.json"
    ours configtxlator proto_encode --type common.Block --input /dev/stdin --output /dev/stdout \
        < "$out/weft.json" | cat > "$out/weft.pb"
    "$fabric/configtxlator" proto_encode --type common.Block --input "$out/weft.json" --output "$out/fabric.pb"
    same "also standard input and output by their names" "$out/fabric.pb" "$out/weft.pb"
    update_checks "$vectors/config/genesis/raft1-org1/genesis.block" \
        "$vectors/config/updates/13-add-org/config_block.block" "$out"
}

# update_checks BLOCK BLOCK FOLDER: the update between the configurations of two blocks, computed by both.
update_checks() {
    local out=$3 which=0 block
    for block in "$1" "$2"; do
        which=$((which + 1))
        ours configtxlator proto_decode --type common.Block --input "$block" > "$out/block.json"
        python3 -c 'import json, sys
print(json.dumps(json.load(open(sys.argv[1]))["data"]["data"][0]["payload"]["data"]["config"]))' "$out/block.json" \
            | ours configtxlator proto_encode --type common.Config --output "$out/config$which.pb"
    done
    local flags=(--channel_id ch --original "$out/config1.pb" --updated "$out/config2.pb")
    "$fabric/configtxlator" compute_update "${flags[@]}" --output "$out/fabric.update"
    ours configtxlator compute_update "${flags[@]}" --output "$out/weft.update"
    ours configtxlator proto_decode --type common.ConfigUpdate --input "$out/fabric.update" > "$out/fabric.json"
    "$fabric/configtxlator" proto_decode --type common.ConfigUpdate --input "$out/weft.update" > "$out/weft.json"
    same "configtxlator compute_update finds the same update" "$out/fabric.json" "$out/weft.json"
    refused_with "and refuses two configurations that don't differ" \
        "no differences detected between original and updated config" \
        ours configtxlator compute_update --channel_id ch --original "$out/config1.pb" --updated "$out/config1.pb"
}

generation_checks() {
    local out=$work/generation profile organization
    mkdir -p "$out"
    cp scripts/interop.d/configtx.yaml "$out"
    required "cryptogen generate makes the identities" \
        ours cryptogen generate --config scripts/interop.d/crypto-config.yaml --output "$out/crypto-config" || return
    "$fabric/cryptogen" generate --config scripts/interop.d/crypto-config.yaml --output "$out/fabric-crypto" > /dev/null
    layout "$out/crypto-config" > "$out/weft.layout"
    layout "$out/fabric-crypto" > "$out/fabric.layout"
    required "in the same files as Fabric's" diff "$out/fabric.layout" "$out/weft.layout"
    for profile in Raft OldRaft BFT BFTOptions; do
        "$fabric/configtxgen" -configPath "$out" -profile "$profile" -channelID ch -outputBlock "$out/fabric.block" \
            > "$out/log" 2>&1 || failing "Fabric's configtxgen -profile $profile" "$(cat "$out/log")"
        required "configtxgen -profile $profile" \
            ours configtxgen -configPath "$out" -profile "$profile" -channelID ch -outputBlock "$out/weft.block"
        ours configtxgen -inspectBlock "$out/fabric.block" > "$out/fabric.json"
        "$fabric/configtxgen" -inspectBlock "$out/weft.block" > "$out/weft.json" 2> /dev/null
        config_of "$out/fabric.json" > "$out/fabric.config"
        config_of "$out/weft.json" > "$out/weft.config"
        same "makes the configuration that Fabric's makes" "$out/fabric.config" "$out/weft.config"
    done
    for organization in OrdererOrg Org1 Org2; do
        "$fabric/configtxgen" -configPath "$out" -printOrg "$organization" > "$out/fabric.json" 2> /dev/null
        ours configtxgen --configPath="$out" --printOrg "$organization" > "$out/weft.json"
        same "configtxgen -printOrg $organization prints the same" "$out/fabric.json" "$out/weft.json"
    done
    creation_checks "$out"
    environment_checks "$out"
    extension_checks "$out"
}

creation_checks() {
    local out=$1 base
    for base in "" OldRaft; do
        "$fabric/configtxgen" -configPath "$out" -profile Creation -channelID ch -channelCreateTxBaseProfile "$base" \
            -outputCreateChannelTx "$out/fabric.tx" 2> /dev/null
        ours configtxgen -configPath "$out" -profile Creation -channelID ch ${base:+-channelCreateTxBaseProfile "$base"} \
            -outputCreateChannelTx "$out/weft.tx" 2> /dev/null
        ours configtxgen -inspectChannelCreateTx "$out/fabric.tx" | grep -v '"timestamp"' > "$out/fabric.json"
        "$fabric/configtxgen" -inspectChannelCreateTx "$out/weft.tx" 2> /dev/null | grep -v '"timestamp"' > "$out/weft.json"
        same "configtxgen -outputCreateChannelTx${base:+ on $base} makes the same" "$out/fabric.json" "$out/weft.json"
    done
}

environment_checks() {
    local out=$1
    export CONFIGTX_PROFILES_RAFT_ORDERER_BATCHTIMEOUT=7s CONFIGTX_PROFILES_RAFT_ORDERER_BATCHSIZE_MAXMESSAGECOUNT=77
    FABRIC_CFG_PATH=$out "$fabric/configtxgen" -profile Raft -channelID ch -outputBlock "$out/fabric.block" 2> /dev/null
    FABRIC_CFG_PATH=$out ours configtxgen -profile Raft -channelID ch -outputBlock "$out/weft.block" 2> /dev/null
    unset CONFIGTX_PROFILES_RAFT_ORDERER_BATCHTIMEOUT CONFIGTX_PROFILES_RAFT_ORDERER_BATCHSIZE_MAXMESSAGECOUNT
    ours configtxgen -inspectBlock "$out/fabric.block" > "$out/fabric.json"
    ours configtxgen -inspectBlock "$out/weft.block" > "$out/weft.json"
    config_of "$out/fabric.json" > "$out/fabric.config"
    config_of "$out/weft.json" > "$out/weft.config"
    same "CONFIGTX_... overrides the same values" "$out/fabric.config" "$out/weft.config"
    output_has "and they are in the block" '"timeout": "7s"' cat "$out/weft.json"
}

# extension_checks FOLDER: each side extends what the other has made.
extension_checks() {
    local out=$1
    sed -e 's/Count: 2, SANS/Count: 3, SANS/' -e 's/Users: { Count: 1 }/Users: { Count: 3 }/' \
        scripts/interop.d/crypto-config.yaml > "$out/more.yaml"
    cat >> "$out/more.yaml" << 'END'
  - Name: Org3
    Domain: org3.example.com
    EnableNodeOUs: true
    Template: { Count: 1 }
    Users: { Count: 1 }
END
    (cd "$out/fabric-crypto" && find . -type f -exec sha256sum {} + | LC_ALL=C sort) > "$out/before"
    required "cryptogen extend adds to what Fabric's cryptogen made" \
        ours cryptogen extend --config "$out/more.yaml" --input "$out/fabric-crypto"
    (cd "$out/fabric-crypto" && find . -type f -exec sha256sum {} + | LC_ALL=C sort) > "$out/after"
    required "without touching what was there" test -z "$(LC_ALL=C comm -23 "$out/before" "$out/after")"
    required "and Fabric's cryptogen extends what ours made" \
        "$fabric/cryptogen" extend --config "$out/more.yaml" --input "$out/crypto-config"
    layout "$out/crypto-config" > "$out/fabric.layout"
    layout "$out/fabric-crypto" > "$out/weft.layout"
    required "with the same files" diff "$out/fabric.layout" "$out/weft.layout"
}
