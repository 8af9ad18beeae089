# Sourced by scripts/interop: `configtxlator start` of both sides, asked the same things with curl.
# Takes two configurations from translation_checks.

server_checks() {
    local out=$work/server side port block=Tests/ConformanceTests/Vectors/config/updates/13-add-org/config_block.block
    declare -A server
    mkdir -p "$out"
    for side in fabric weft; do
        port=$(free_port)
        local program=("$fabric/configtxlator")
        [ "$side" = fabric ] || program=("$WEFT" fabric configtxlator)
        FABRIC_LOGGING_SPEC=info "${program[@]}" start --hostname 127.0.0.1 --port "$port" \
            --CORS https://one.example --CORS https://two.example > "$out/$side.log" 2>&1 &
        pids+=($!)
        server[$side]=http://127.0.0.1:$port
        required "configtxlator start ($side) says where it serves" \
            until_true 20 grep -qF "Serving HTTP requests on 127.0.0.1:$port with CORS [https://one.example" "$out/$side.log"
    done
    asked "decodes a block" "$out/block.json" /protolator/decode/common.Block --data-binary "@$block"
    same "and both the same" "$out/block.json.fabric" "$out/block.json.weft"
    asked "encodes it" "$out/block.pb" /protolator/encode/common.Block --data-binary "@$out/block.json.weft"
    same "into the bytes that it was" "$out/block.pb.weft" "$out/block.pb.fabric"
    local update=/configtxlator/compute/update-from-configs
    asked "computes an update" "$out/update.pb" "$update" \
        -F channel=ch -F "original=@$work/translation/config1.pb" -F "updated=@$work/translation/config2.pb"
    for side in fabric weft; do
        curl -s --data-binary "@$out/update.pb.$side" "${server[weft]}/protolator/decode/common.ConfigUpdate" \
            > "$out/update.json.$side"
    done
    same "and both the same" "$out/update.json.fabric" "$out/update.json.weft"
    answered "a form without a file" "$update" -F channel=ch -F "original=@$work/translation/config1.pb"
    answered "no form" "$update" --data-binary "@$work/translation/config1.pb"
    answered "configurations that don't differ" "$update" \
        -F channel=ch -F "original=@$work/translation/config1.pb" -F "updated=@$work/translation/config1.pb"
    answered "another method" "$update" -X GET
    answered "another path" /protolator/nothing -X POST
    answered "a path with a slash at its end" /protolator/decode/common.Block/ -X POST
    same_status "an unknown type" /protolator/decode/common.Nothing -X POST
    same_status "no message" /protolator/decode/common.Block --data-binary garbage
    same_status "no JSON" /protolator/encode/common.Block --data-binary '{'
    preflight "a page of a named site" https://one.example POST Content-Type
    preflight "a page of another site" https://three.example POST Content-Type
    preflight "another method" https://one.example DELETE Content-Type
    preflight "another header" https://one.example POST X-Other
    for side in fabric weft; do
        curl -s -D - -o /dev/null -H "Origin: https://two.example" -X POST "${server[$side]}/" \
            | grep -i '^access-control\|^vary' | tr -d '\r' | sort > "$out/headers.$side"
    done
    same "the headers of an answer to a page" "$out/headers.fabric" "$out/headers.weft"
    for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null; wait "$pid" 2> /dev/null; done
    pids=()
}

# asked NAME FILE PATH FLAG...: both answer with 200; the answers are in FILE.fabric and FILE.weft.
asked() {
    local name=$1 file=$2 path=$3 side codes=
    shift 3
    for side in fabric weft; do
        codes+=$(curl -s -o "$file.$side" -w '%{http_code} ' "$@" "${server[$side]}$path")
    done
    required "configtxlator's server $name" test "$codes" = "200 200 "
}

# answered NAME PATH FLAG...: both give the same status and the same text.
answered() {
    local name=$1 path=$2 side
    shift 2
    for side in fabric weft; do
        curl -s -w '%{http_code} %header{location}\n' "$@" "${server[$side]}$path" > "$work/server/answer.$side"
    done
    same "the server's answer to $name" "$work/server/answer.fabric" "$work/server/answer.weft"
}

same_status() {
    local name=$1 path=$2 side
    shift 2
    for side in fabric weft; do
        curl -s -o /dev/null -w '%{http_code}\n' "$@" "${server[$side]}$path" > "$work/server/answer.$side"
    done
    same "the server's status for $name" "$work/server/answer.fabric" "$work/server/answer.weft"
}

# preflight NAME ORIGIN METHOD HEADER: what a browser asks before it lets a page use the server.
preflight() {
    local side
    for side in fabric weft; do
        curl -s -D - -o /dev/null -X OPTIONS -H "Origin: $2" -H "Access-Control-Request-Method: $3" \
            -H "Access-Control-Request-Headers: $4" "${server[$side]}/protolator/decode/common.Block" \
            | tr -d '\r' | grep -i '^HTTP\|^access-control\|^vary' | sort > "$work/server/answer.$side"
    done
    same "what a browser is told of $1" "$work/server/answer.fabric" "$work/server/answer.weft"
}
