# Sourced by scripts/interop: the checks. Each one works on the network that read_network described last.

# ---- counting

passing() { passed=$((passed + 1)); echo "ok      $1"; }
failing() {
    failed=$((failed + 1))
    echo "FAILED  $1"
    [ -z "${2:-}" ] || tail -5 <<< "$2" | sed 's/^/        /'
    return 1
}

# required NAME COMMAND: the command ends with 0.
required() {
    local name=$1 said
    shift
    if said=$("$@" 2>&1); then passing "$name"; else failing "$name" "$said"; fi
}

# output_has NAME TEXT COMMAND: the command ends with 0 and prints the text.
output_has() {
    local name=$1 text=$2 said
    shift 2
    if said=$("$@" 2>&1) && grep -qF -- "$text" <<< "$said"; then passing "$name"; else failing "$name" "$said"; fi
}

# refused_with NAME TEXT COMMAND: the command fails and prints the text.
refused_with() {
    local name=$1 text=$2 said
    shift 2
    if said=$("$@" 2>&1); then failing "$name" "not refused: $said"; return; fi
    if grep -qF -- "$text" <<< "$said"; then passing "$name"; else failing "$name" "$said"; fi
}

# until_true SECONDS COMMAND: repeats the command until it ends with 0.
until_true() {
    local last=$((SECONDS + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        [ "$SECONDS" -lt "$last" ] || return 1
        sleep 0.2
    done
}

# has_modules NAME...: PYTHON can import these; says what is skipped otherwise.
has_modules() {
    "$python" -c "import $(IFS=,; echo "$*")" 2> /dev/null \
        || { echo "-- skipped: PYTHON lacks one of $* (scripts/setup installs them)"; return 1; }
}

# suite TITLE SECONDS FILE FLAG...: each test of a file for pytest is a check. The networks that it makes are under `suites`.
suite() {
    local title=$1 seconds=$2 file=$3 line name log
    shift 3
    log=$work/suites/$(basename "$file" .py).log
    mkdir -p "$work/suites"
    FABRIC_LOGGING_SPEC=info WEFT=$WEFT PYTHONPATH=Tests/EndToEndTests PYTHONDONTWRITEBYTECODE=1 \
        timeout --signal=INT "$seconds" "$python" -m pytest -v --tb=short -p no:cacheprovider --basetemp "${log%.log}" \
        "$file" "$@" > "$log" 2>&1
    grep -qE '::test_.* (PASSED|FAILED|ERROR)' "$log" || failing "$title: the tests run" "$(tail -30 "$log")"
    while read -r line; do
        name=${line#*::}
        name=${name%% *}
        case $line in
        *PASSED*) passing "$title: $name" ;;
        *) failing "$title: $name" "$(why_failed "$name" "$log")" ;;
        esac
    done < <(grep -E '::test_.* (PASSED|FAILED|ERROR)' "$log")
    # pytest itself fails when it couldn't end the tests, or in what comes after them.
    grep -qE '^=+ .*[0-9]+ (passed|failed).* =+$' "$log" || failing "$title: the tests come to an end" "$(tail -5 "$log")"
}

# why_failed TEST LOG: the first lines of what pytest says of one failed test.
why_failed() {
    awk -v name=" $1 " '/^_+ .* _+$/ {inside = index($0, name) > 0} inside && /^E  /' "$2" | cut -c 1-300 | head -5
}

# ---- what is asked

height() { peer_cli channel getinfo -c "$channel" 2> /dev/null | sed -n 's/.*"height":\([0-9]*\).*/\1/p'; }
height_is_at_least() { [ "$(height)" -ge "$1" ]; }

# level: waits until all Weft peers have the same blocks; endorsements over different states don't go together.
level() {
    local organization target=0
    for organization in "${organizations[@]}"; do
        target=$(at "$organization" height; echo "$target")
        target=$(sort -n <<< "$target" | tail -1)
    done
    for organization in "${organizations[@]}"; do at "$organization" until_true 30 height_is_at_least "$target"; done
}

# at ORGANIZATION COMMAND: the command with the administrator of the organization, asking its Weft peer.
at() (become "$1" admin "${address_of[$1]}" && shift && "$@")

height_of_fabric_is() { become utility admin "$fabric_peer"; [ "$(height)" = "$1" ]; }

genesis_checks() {
    local block=$network/$channel.block
    output_has "configtxgen -inspectBlock reads Weft's genesis block" '"UtilityMSP"' \
        "$fabric/configtxgen" -inspectBlock "$block"
    required "configtxlator decodes Weft's genesis block" \
        "$fabric/configtxlator" proto_decode --type common.Block --input "$block" --output "$work/genesis.json"
    required "configtxlator encodes it again" \
        "$fabric/configtxlator" proto_encode --type common.Block --input "$work/genesis.json" \
        --output "$work/genesis.pb"
    required "and its bytes are the same" cmp "$block" "$work/genesis.pb"
    become utility admin "${address_of[utility]}"
    output_has "peer channel list names the channel" "$channel" peer_cli channel list
    required "peer channel fetch 0 from the orderer" \
        peer_cli channel fetch 0 "$work/fetched.block" -c "$channel" "${orderer_flags[@]}"
    required "is the genesis block" cmp "$block" "$work/fetched.block"
    required "peer channel fetch newest from a Weft peer" \
        peer_cli channel fetch newest "$work/newest.block" -c "$channel"
    output_has "peer lifecycle chaincode querycommitted lists the definitions" "Name: kv, Version: 1.0, Sequence: 1" \
        peer_cli lifecycle chaincode querycommitted -C "$channel"
    refused_with "querycommitted of an unknown contract says 404" "404 - namespace nowhere is not defined" \
        peer_cli lifecycle chaincode querycommitted -C "$channel" -n nowhere
}

# fabric_peer_checks PROGRAM: Fabric's peer joins the channel by the `peer` of either side.
fabric_peer_checks() {
    start_fabric_peer || return
    required "Fabric's peer joins with the genesis block ($(whose "$1") peer channel join)" \
        "$1" channel join -b "$network/$channel.block"
    become utility admin "${address_of[utility]}"
    required "Fabric's peer reaches the height of Weft's" until_true 60 height_of_fabric_is "$(height)"
}

# lifecycle_checks CONTRACT VERSION SEQUENCE: a definition, approved and committed with Fabric's peer CLI.
lifecycle_checks() {
    local definition=(-C "$channel" -n "$1" --version "$2" --sequence "$3") organization
    for organization in "${organizations[@]}"; do
        become "$organization" admin "${address_of[$organization]}"
        required "peer lifecycle chaincode approveformyorg: $1 $2 by $organization" \
            peer_cli lifecycle chaincode approveformyorg "${orderer_flags[@]}" "${definition[@]}"
    done
    level
    refused_with "the same approval once more is refused" "unchanged content" \
        peer_cli lifecycle chaincode approveformyorg "${orderer_flags[@]}" "${definition[@]}"
    output_has "checkcommitreadiness: $1 $2 is approved" '"UtilityMSP": true' \
        peer_cli lifecycle chaincode checkcommitreadiness "${definition[@]}" --output json
    output_has "queryapproved: $1" "sequence: $3, version: $2" \
        peer_cli lifecycle chaincode queryapproved -C "$channel" -n "$1"
    required "peer lifecycle chaincode commit: $1 $2" \
        peer_cli lifecycle chaincode commit "${orderer_flags[@]}" "${peer_flags[@]}" "${definition[@]}"
    output_has "querycommitted: $1 has sequence $3" "Version: $2, Sequence: $3" \
        peer_cli lifecycle chaincode querycommitted -C "$channel" -n "$1"
    level
}

# transaction_checks SECONDS: how long the benchmark measures, 0 for not at all; Fabric's orderer cuts a block after two
# seconds only.
transaction_checks() {
    local user=$network/organizations/utility/users/user@utility.example
    become utility user "${address_of[utility]}"
    output_has "peer chaincode invoke --waitForEvent on three Weft peers" "committed with status (VALID)" \
        env FABRIC_LOGGING_SPEC=info "$peer_program" chaincode invoke "${orderer_flags[@]}" "${peer_flags[@]}" \
        -C "$channel" -n kv -c '{"Args":["put","greeting","hello"]}' --waitForEvent
    output_has "peer chaincode query on a Weft peer" "hello" \
        peer_cli chaincode query -C "$channel" -n kv -c '{"Args":["get","greeting"]}'
    refused_with "one endorsement is too few: ENDORSEMENT_POLICY_FAILURE" "ENDORSEMENT_POLICY_FAILURE" \
        peer_cli chaincode invoke "${orderer_flags[@]}" "${peer_flags[@]:0:4}" \
        -C "$channel" -n kv -c '{"Args":["put","greeting","alone"]}' --waitForEvent
    refused_with "a contract's error reaches the client" "unknown function" \
        peer_cli chaincode query -C "$channel" -n kv -c '{"Args":["nothing"]}'
    output_has "weft tx submit through a Weft peer's gateway" "as VALID" weft_tx submit kv put key value
    [ "$1" = 0 ] || output_has "weft bench through a Weft peer's gateway" "transactions" \
        "$WEFT" bench transactions --peer "${address_of[utility]}" --channel "$channel" --peers 3 \
        --tls-root "$(authority utility)" --tls-certificate "$user/tls/client.crt" --tls-key "$user/tls/client.key" \
        --identity "$user/msp" --msp-id UtilityMSP --workers 8 --connections 1 --duration "$1" --warm-up 0.5
    level
}

# explain_checks: why a transaction was invalid, as Fabric's peer and Weft's let it be found out.
explain_checks() {
    local user=$network/organizations/utility/users/user@utility.example id
    local at_fabric=(--peer "$fabric_peer" --channel "$channel" --tls-root "$(authority utility)" --msp-id UtilityMSP
        --tls-certificate "$user/tls/client.crt" --tls-key "$user/tls/client.key" --identity "$user/msp")
    id=$(weft_tx submit --organization UtilityMSP kv put greeting alone 2>&1 | sed -n 's/.*weft tx explain //p')
    required "weft tx explain at Fabric's peer" until_true 60 "$WEFT" tx explain "$id" "${at_fabric[@]}"
    output_has "it tells the signatures that were lacking" "lacked  'AgencyMSP.peer'; or 'AuditorMSP.peer'" \
        "$WEFT" tx explain "$id" "${at_fabric[@]}"
    required "it says the same at Weft's peer" \
        test "$("$WEFT" tx explain "$id" "${at_fabric[@]}")" = "$(weft_tx explain "$id")"
}

# emissions_checks: the contract's agreement and audit, with writers that conflict because all are endorsed before the
# orderer, held for a moment, orders them.
emissions_checks() {
    local digest
    output_has "emissions: factors proposed" "as VALID" weft_tx submit --as utility/admin emissions ProposeFactors
    level
    digest=$(weft_tx evaluate emissions ListFactorSets 2> /dev/null | sed -n 's/.*"digest":"\([0-9a-f]*\)".*/\1/p')
    become agency user "${address_of[agency]}"
    required "emissions: approved with Fabric's peer CLI" \
        peer_cli chaincode invoke "${orderer_flags[@]}" "${peer_flags[@]}" -C "$channel" -n emissions --waitForEvent \
        -c "{\"Args\":[\"ApproveFactors\",\"{\\\"dataset\\\":\\\"eGRID2023-rev2\\\",\\\"digest\\\":\\\"$digest\\\"}\"]}"
    level
    output_has "emissions: utilities registered" "as VALID" \
        weft_tx submit --as agency/user emissions RegisterUtilities '{"operator":"UtilityMSP"}'
    level
    simultaneously AccreditAuditor agency/user '{"mspID":"AuditorMSP","name":"Auditor @","basis":"ISO 14064-3"}'
    simultaneously SubmitRecords auditor/user "{\"records\":[$(record @)]}"
    become utility user "${address_of[utility]}"
    output_has "emissions: the record is there for Fabric's peer CLI" '"milligramsCO2e"' \
        peer_cli chaincode query -C "$channel" -n emissions -c '{"Args":["QueryRecords","{}"]}'
}

record() {
    echo "{\"utility\":14328,\"account\":\"A-17\",\"periodStart\":\"2025-01-0$1\",\"periodEnd\":\"2025-02-01\"," \
        "\"wattHours\":10000000,\"dataset\":\"eGRID2023-rev2\",\"region\":\"CAMX\"}"
}

# simultaneously FUNCTION IDENTITY ARGUMENT: three transactions (@ in the argument is their number), of which one wins.
simultaneously() {
    local number clients=() said
    kill -STOP "$orderer_pid"
    for number in 1 2 3; do
        weft_tx submit --as "$2" emissions "$1" "${3//@/$number}" > "$work/client.$number" 2>&1 &
        clients+=($!)
    done
    # Long enough for three endorsements on a busy machine.
    sleep 5
    kill -CONT "$orderer_pid"
    wait "${clients[@]}"
    level
    said=$(cat "$work"/client.[123])
    if [ "$(grep -c 'as VALID' <<< "$said")" = 1 ] && [ "$(grep -cE 'MVCC|PHANTOM' <<< "$said")" = 2 ]; then
        passing "emissions: of three $1 at the same time one is valid, two conflict"
    else
        failing "emissions: of three $1 at the same time one is valid, two conflict" "$said"
    fi
}

# configuration_checks COUNT: a configuration update made by configtxlator and the peer CLI: so many transactions a block.
configuration_checks() {
    local folder=$work/update
    rm -rf "$folder" && mkdir "$folder"
    become orderer admin "${address_of[utility]}"
    CORE_PEER_TLS_ROOTCERT_FILE=$(authority utility)
    required "peer channel fetch config" \
        peer_cli channel fetch config "$folder/config.block" -c "$channel" "${orderer_flags[@]}"
    required "configtxlator makes a configuration update" make_update "$folder" "$(batch_of "$1")"
    required "peer channel update" \
        peer_cli channel update -f "$folder/envelope.pb" -c "$channel" "${orderer_flags[@]}"
    required "the new configuration block can be fetched" until_true 20 configuration_has "$folder" "\"max_message_count\": $1"
}

# batch_of COUNT: the change that make_update makes for so many transactions a block.
batch_of() { echo "group['groups']['Orderer']['values']['BatchSize']['value']['max_message_count'] = $1"; }

# make_update FOLDER CHANGE: envelope.pb, which makes a change, a line of Python on `group`, to that of config.block.
make_update() {
    local folder=$1 translate=$fabric/configtxlator
    "$translate" proto_decode --type common.Block --input "$folder/config.block" --output "$folder/block.json" || return
    python3 - "$folder" "$2" << 'PYTHON' || return
import json, sys
folder = sys.argv[1]
config = json.load(open(folder + "/block.json"))["data"]["data"][0]["payload"]["data"]["config"]
json.dump(config, open(folder + "/old.json", "w"))
exec(sys.argv[2], {"group": config["channel_group"]})
json.dump(config, open(folder + "/new.json", "w"))
PYTHON
    for name in old new; do
        "$translate" proto_encode --type common.Config --input "$folder/$name.json" \
            --output "$folder/$name.pb" || return
    done
    "$translate" compute_update --channel_id "$channel" --original "$folder/old.pb" --updated "$folder/new.pb" \
        --output "$folder/update.pb" || return
    "$translate" proto_decode --type common.ConfigUpdate --input "$folder/update.pb" \
        --output "$folder/update.json" || return
    python3 - "$folder" "$channel" << 'PYTHON' || return
import json, sys
folder, channel = sys.argv[1:]
envelope = {"payload": {
    "header": {"channel_header": {"channel_id": channel, "type": 2}},
    "data": {"config_update": json.load(open(folder + "/update.json"))}}}
json.dump(envelope, open(folder + "/envelope.json", "w"))
PYTHON
    "$translate" proto_encode --type common.Envelope --input "$folder/envelope.json" --output "$folder/envelope.pb"
}

# configuration_has FOLDER TEXT: the newest configuration that a Weft peer serves has this text.
configuration_has() {
    become utility admin "${address_of[utility]}"
    peer_cli channel fetch config "$1/newer.block" -c "$channel" || return
    "$fabric/configtxlator" proto_decode --type common.Block --input "$1/newer.block" > "$1/newer.json" || return
    grep -qF -- "$2" "$1/newer.json"
}

# restart_checks: Fabric's orderer goes away and comes back.
restart_checks() {
    kill "$orderer_pid"
    wait "$orderer_pid" 2> /dev/null
    start_fabric_orderer
    required "after a restart of the orderer Weft's peers go on" until_true 60 weft_tx submit kv put after restart
}

# ledger_checks: every block of every Weft peer is, byte for byte with its metadata (signatures, codes, commit hash),
# the block that Fabric's peer has.
ledger_checks() {
    local number last organization
    become utility admin "${address_of[utility]}"
    last=$(height)
    required "Fabric's peer has committed all $last blocks" until_true 60 height_of_fabric_is "$last"
    mkdir -p "$network/blocks"
    for organization in "${organizations[@]}"; do
        become "$organization" admin "${address_of[$organization]}"
        until_true 30 height_is_at_least "$last"
        for ((number = 0; number < last; number++)); do
            peer_cli channel fetch "$number" "$network/blocks/$organization.$number" -c "$channel" > /dev/null 2>&1
        done
    done
    become utility admin "$fabric_peer"
    for ((number = 0; number < last; number++)); do
        peer_cli channel fetch "$number" "$network/blocks/fabric.$number" -c "$channel" > /dev/null 2>&1
    done
    for organization in "${organizations[@]}"; do
        required "every block of Weft's peer $organization has the bytes of Fabric's peer (data, codes, commit hash)" \
            same_blocks "$organization" "$last"
    done
    required "among them are blocks with invalid transactions" invalid_transactions "$last"
    output_has "peer channel getinfo: the hash of the chain is the same" "$(chain_hash "$fabric_peer")" \
        chain_hash "${address_of[utility]}"
}

chain_hash() {
    become utility admin "$1"
    peer_cli channel getinfo -c "$channel" | sed -n 's/.*"currentBlockHash":"\([^"]*\)".*/\1/p' | grep .
}

same_blocks() {
    local number
    for ((number = 0; number < $2; number++)); do
        cmp "$network/blocks/fabric.$number" "$network/blocks/$1.$number" || return
    done
}

# invalid_transactions HEIGHT: codes 10 and 11 are among those that Fabric's peer wrote.
invalid_transactions() {
    local number
    for ((number = 0; number < $1; number++)); do
        "$fabric/configtxlator" proto_decode --type common.Block --input "$network/blocks/fabric.$number" \
            --output "$work/block.json" || return
        python3 -c 'import base64, json, sys
metadata = json.load(open(sys.argv[1]))["metadata"]["metadata"]
print(*base64.b64decode(metadata[2] or ""))' "$work/block.json"
    done > "$network/codes"
    grep -qw 10 "$network/codes" && grep -qw 11 "$network/codes"
}
