# Sourced by scripts/interop: Weft's `peer` in the place of Fabric's, asked and told the same things.

# tools_checks VERSION SEQUENCE: both programs at a Weft peer and at Fabric's peer; then Weft's program alone
# defines contract kv anew, runs it, and updates the configuration.
tools_checks() {
    local tools=$work/tools
    [ -d "$tools" ] || required "scripts/link-fabric-tools makes links" scripts/link-fabric-tools "$tools" "$WEFT" || return
    become utility admin "${address_of[utility]}"
    same_answers "at a Weft peer"
    become utility admin "$fabric_peer"
    same_answers "at Fabric's peer"
    become utility admin "${address_of[utility]}"
    same_refusals
    peer_program=$tools/peer
    echo "-- Weft's peer program at work"
    become utility admin "$fabric_peer"
    refused_with "peer channel join: Fabric's peer is in the channel already" "already exists with state [ACTIVE]" \
        peer_cli channel join -b "$network/$channel.block"
    lifecycle_checks kv "$1" "$2"
    transaction_checks 0
    configuration_checks 322
    peer_program=$fabric/peer
}

# same NAME WORD...: Fabric's peer and Weft's, called with the same words, print the same, end with the same code, and,
# where they fail, for the same reason.
same() {
    local name=$1 codes=() program
    shift
    for program in "$fabric/peer" "$work/tools/peer"; do
        "$program" "$@" > "$work/same.${#codes[@]}" 2> "$work/error.${#codes[@]}"
        codes+=($?)
    done
    # Fabric's peer lists things in another order each time.
    if [ "${codes[0]}" = "${codes[1]}" ] && cmp -s <(sort "$work/same.0") <(sort "$work/same.1") \
        && [ "$(reason 0)" = "$(reason 1)" ]; then
        passing "$name"
    else
        failing "$name" "codes ${codes[*]}; $(diff "$work/same.0" "$work/same.1" | head -3); $(reason 0) | $(reason 1)"
    fi
}

# reason WHICH: why a program failed, without the identifier of the transaction.
reason() { grep '^Error:' "$work/error.$1" | head -1 | sed -E 's/[0-9a-f]{64}/ID/'; }

# same_answers WHERE: what can be asked of any peer.
same_answers() {
    local questions=(-C "$channel" -n kv)
    same "$1: channel list" channel list
    same "$1: channel getinfo" channel getinfo -c "$channel"
    same "$1: channel getinfo of no channel" channel getinfo -c nowhere
    same "$1: channel fetch of no channel" channel fetch 0 "$work/none.block" -c nowhere
    same "$1: channel fetch newest" channel fetch newest "$work/newest.block" -c "$channel"
    same "$1: channel fetch oldest from the orderer" channel fetch oldest "$work/b" -c "$channel" "${orderer_flags[@]}"
    same "$1: channel fetch config from the orderer" channel fetch config "$work/b" -c "$channel" "${orderer_flags[@]}"
    same "$1: querycommitted" lifecycle chaincode querycommitted -C "$channel"
    same "$1: querycommitted -n" lifecycle chaincode querycommitted "${questions[@]}"
    same "$1: querycommitted -n of no contract" lifecycle chaincode querycommitted -C "$channel" -n nowhere
    same "$1: querycommitted -O json" lifecycle chaincode querycommitted -C "$channel" -O json
    same "$1: querycommitted -n -O json" lifecycle chaincode querycommitted "${questions[@]}" -O json
    same "$1: queryapproved" lifecycle chaincode queryapproved "${questions[@]}"
    same "$1: queryapproved -O json" lifecycle chaincode queryapproved "${questions[@]}" --output json
    same "$1: checkcommitreadiness" lifecycle chaincode checkcommitreadiness "${questions[@]}" -v 9 --sequence 9
    same "$1: query of no contract" chaincode query -C "$channel" -n nowhere -c '{"Args":["get","x"]}'
    same "$1: query on no channel" chaincode query -C nowhere -n kv -c '{"Args":["get","x"]}'
}

# same_refusals: command lines that are wrong, and a contract's own answers.
same_refusals() {
    local call=(-C "$channel" -n kv -c)
    same "a query" chaincode query "${call[@]}" '{"Args":["get","greeting"]}'
    same "a query -x" chaincode query "${call[@]}" '{"function":"get","Args":["greeting"]}' -x
    same "a query --raw" chaincode query "${call[@]}" '{"Args":["get","greeting"]}' --raw
    same "a query of what isn't there" chaincode query "${call[@]}" '{"Args":["get","nothing"]}'
    same "an invocation that fails" chaincode invoke "${call[@]}" '{"Args":["nothing"]}' "${orderer_flags[@]}"
    same "a query of two peers" chaincode query "${call[@]}" '{"Args":["get","x"]}' "${peer_flags[@]:0:8}"
    same "peers without TLS roots" chaincode query "${call[@]}" '{"Args":["get","x"]}' --peerAddresses localhost:1
    same "no channel" chaincode invoke -n kv -c '{"Args":["get","x"]}'
    same "no call" chaincode query -C "$channel" -n kv
    same "no contract" chaincode query -C "$channel" -c '{"Args":["get","x"]}'
    same "a wrong call" chaincode query "${call[@]}" '{"args":["get"],"more":1}'
    same "an unknown command" channels
    same "an unknown flag" channel list --nothing
    same "an unknown letter" channel list -y
    same "a flag without its value" channel getinfo --channelID
    same "a flag with a wrong value" channel fetch 0 --tls=perhaps
    same "a wrong number" lifecycle chaincode commit --sequence one
    same "too many words" channel list more
    same "a wrong block" channel fetch last -c "$channel"
    same "no version" lifecycle chaincode commit -C "$channel" -n kv --sequence 2 "${orderer_flags[@]}"
    same "two policies" lifecycle chaincode approveformyorg --signature-policy "OR('A.peer')" --channel-config-policy b
    same "no update" channel update -c "$channel" -f "$work/nothing" "${orderer_flags[@]}"
    same "an update of another kind" channel signconfigtx -f "$network/$channel.block"
}
