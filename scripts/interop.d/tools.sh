# Sourced by scripts/interop: Weft's `peer` in the place of Fabric's, asked and told the same things.

# tools_checks VERSION SEQUENCE: both programs at a Weft peer and at Fabric's peer; then Weft's program alone
# defines contract kv anew, runs it, and updates the configuration.
tools_checks() {
    local tools=$work/tools
    link_tools || return
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

# same_reply NAME WORD...: Fabric's peer and Weft's, called with the same words, print the same, end with the same code, and,
# where they fail, for the same reason.
same_reply() {
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

# reason WHICH: why a program failed, without the identifier of the transaction. Go's text of a message has one space between
# fields or two, depending on the build.
reason() { grep '^Error:' "$work/error.$1" | head -1 | sed -E 's/[0-9a-f]{64}/ID/; s/  +/ /g'; }

# same_answers WHERE: what can be asked of any peer.
same_answers() {
    local questions=(-C "$channel" -n kv)
    same_reply "$1: channel list" channel list
    same_reply "$1: channel getinfo" channel getinfo -c "$channel"
    same_reply "$1: channel getinfo of no channel" channel getinfo -c nowhere
    same_reply "$1: channel fetch of no channel" channel fetch 0 "$work/none.block" -c nowhere
    same_reply "$1: channel fetch newest" channel fetch newest "$work/newest.block" -c "$channel"
    same_reply "$1: channel fetch oldest from the orderer" channel fetch oldest "$work/b" -c "$channel" "${orderer_flags[@]}"
    same_reply "$1: channel fetch config from the orderer" channel fetch config "$work/b" -c "$channel" "${orderer_flags[@]}"
    same_reply "$1: querycommitted" lifecycle chaincode querycommitted -C "$channel"
    same_reply "$1: querycommitted -n" lifecycle chaincode querycommitted "${questions[@]}"
    same_reply "$1: querycommitted -n of no contract" lifecycle chaincode querycommitted -C "$channel" -n nowhere
    same_reply "$1: querycommitted -O json" lifecycle chaincode querycommitted -C "$channel" -O json
    same_reply "$1: querycommitted -n -O json" lifecycle chaincode querycommitted "${questions[@]}" -O json
    same_reply "$1: queryapproved" lifecycle chaincode queryapproved "${questions[@]}"
    same_reply "$1: queryapproved --sequence" lifecycle chaincode queryapproved "${questions[@]}" --sequence 1
    same_reply "$1: queryapproved of no sequence" lifecycle chaincode queryapproved "${questions[@]}" --sequence 99
    same_reply "$1: queryapproved of no contract" lifecycle chaincode queryapproved -C "$channel" -n nowhere
    same_reply "$1: queryapproved -O json" lifecycle chaincode queryapproved "${questions[@]}" --output json
    same_reply "$1: checkcommitreadiness" lifecycle chaincode checkcommitreadiness "${questions[@]}" -v 9 --sequence 9
    same_reply "$1: query of no contract" chaincode query -C "$channel" -n nowhere -c '{"Args":["get","x"]}'
    same_reply "$1: query on no channel" chaincode query -C nowhere -n kv -c '{"Args":["get","x"]}'
}

# same_refusals: command lines that are wrong, and a contract's own answers.
same_refusals() {
    local call=(-C "$channel" -n kv -c)
    same_reply "a query" chaincode query "${call[@]}" '{"Args":["get","greeting"]}'
    same_reply "a query -x" chaincode query "${call[@]}" '{"function":"get","Args":["greeting"]}' -x
    same_reply "a query --raw" chaincode query "${call[@]}" '{"Args":["get","greeting"]}' --raw
    same_reply "a query of what isn't there" chaincode query "${call[@]}" '{"Args":["get","nothing"]}'
    same_reply "an invocation that fails" chaincode invoke "${call[@]}" '{"Args":["nothing"]}' "${orderer_flags[@]}"
    same_reply "a query of two peers" chaincode query "${call[@]}" '{"Args":["get","x"]}' "${peer_flags[@]:0:8}"
    same_reply "peers without TLS roots" chaincode query "${call[@]}" '{"Args":["get","x"]}' --peerAddresses localhost:1
    same_reply "no channel" chaincode invoke -n kv -c '{"Args":["get","x"]}'
    same_reply "no call" chaincode query -C "$channel" -n kv
    same_reply "no contract" chaincode query -C "$channel" -c '{"Args":["get","x"]}'
    same_reply "a wrong call" chaincode query "${call[@]}" '{"args":["get"],"more":1}'
    same_reply "an unknown command" channels
    same_reply "an unknown flag" channel list --nothing
    same_reply "an unknown letter" channel list -y
    same_reply "a flag without its value" channel getinfo --channelID
    same_reply "a flag with a wrong value" channel fetch 0 --tls=perhaps
    same_reply "a wrong number" lifecycle chaincode commit --sequence one
    same_reply "too many words" channel list more
    same_reply "a wrong block" channel fetch last -c "$channel"
    same_reply "no version" lifecycle chaincode commit -C "$channel" -n kv --sequence 2 "${orderer_flags[@]}"
    same_reply "two policies" lifecycle chaincode approveformyorg --signature-policy "OR('A.peer')" --channel-config-policy b
    same_reply "no update" channel update -c "$channel" -f "$work/nothing" "${orderer_flags[@]}"
    same_reply "an update of another kind" channel signconfigtx -f "$network/$channel.block"
}
