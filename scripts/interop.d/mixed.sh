# Sourced by scripts/interop: a channel of three organizations, one with peers of both kinds, one with Weft's, one with Fabric's
# alone, whose contract is endorsed across both kinds and keeps private data (mixed.py).

mixed_checks() {
    local programs
    has_modules pytest grpc cryptography fabric_protos || return
    programs=${SAMPLES:-$(swift build --show-bin-path)}
    [ -x "$programs/BehaviourContract" ] || swift build --product BehaviourContract > /dev/null || return
    FABRIC_BIN=$fabric SAMPLES=$programs suite "mixed channel" 1800 scripts/interop.d/mixed.py
}
