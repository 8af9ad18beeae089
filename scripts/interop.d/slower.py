"""Gives the BFT options of a genesis block times that Fabric's orderers keep on a small, busy machine.

slower.py CONFIGTXLATOR BLOCK changes the file.
"""
import base64
import hashlib
import json
import subprocess
import sys

program, file = sys.argv[1:]


def translate(command, kind, data):
    return subprocess.run(
        [program, command, "--type", kind, "--input", "/dev/stdin"], input=data, stdout=subprocess.PIPE, check=True
    ).stdout


with open(file, "rb") as block_file:
    block = json.loads(translate("proto_decode", "common.Block", block_file.read()))
envelope = block["data"]["data"][0]
orderer = envelope["payload"]["data"]["config"]["channel_group"]["groups"]["Orderer"]
orderer["values"]["ConsensusType"]["value"]["metadata"].update(
    leader_heartbeat_timeout="5s",
    request_forward_timeout="2s",
    request_complain_timeout="10s",
    view_change_resend_interval="2s",
    view_change_timeout="20s",
)
encoded = translate("proto_encode", "common.Envelope", json.dumps(envelope).encode())
block["header"]["data_hash"] = base64.b64encode(hashlib.sha256(encoded).digest()).decode()
with open(file, "wb") as block_file:
    block_file.write(translate("proto_encode", "common.Block", json.dumps(block).encode()))
