"""Peers that find, feed and heal each other, as real processes; and what they make of a client that speaks gossip badly.

WEFT names the executable. WEFT_GOSSIP_BLOCKS says how many blocks an emptied peer catches up on: a hundred by default, 5,000
in `scripts/end-to-end long`.
"""

import os
import signal
import subprocess
import time

import grpc
import pytest

import neighbours
from fabric_protos.gossip import message_pb2
from neighbours import Stranger

BLOCKS = int(os.environ.get("WEFT_GOSSIP_BLOCKS", 100))


@pytest.fixture
def network(tmp_path):
    network = neighbours.Neighbours(tmp_path, os.environ["WEFT"])
    try:
        yield network
    finally:
        network.down()


def test_peers_know_each_other_forget_those_who_die_and_welcome_them_back(network):
    network.up()
    network.see({name: 3 for name in network.peers})
    network.end("auditor1", signal.SIGKILL)
    network.see({name: 2 for name in network.peers if name != "auditor1"})
    network.start()
    network.see({name: 3 for name in network.peers})
    for name in network.peers:
        found = network.metrics(name)
        assert found["gossip_comm_messages_sent"][""] > 0 and found["gossip_comm_messages_received"][""] > 0
        assert network.value(name, "gossip_state_height") == network.block_height(name)


def test_an_emptied_peer_catches_up_from_other_peers_while_no_orderer_can_be_reached(network):
    network.up()
    network.see({name: 3 for name in network.peers})
    while network.block_height("auditor") < BLOCKS:
        left = BLOCKS - int(network.block_height("auditor"))
        network.put(min(left, 200))
    height = network.level()
    network.end("utility1")
    network.empty("utility1")
    network.end("orderer")
    network.start(["utility1"])
    begun = time.monotonic()
    network.wait(lambda: network.block_height("utility1") >= height, "it does not catch up", 600)
    print(f"{int(height)} blocks from other peers in {time.monotonic() - begun:.1f} s")
    network.start()
    network.put(1)
    assert network.level() == height + 1


def test_another_peer_takes_over_when_the_one_that_leads_its_organization_is_killed(network):
    network.up({"orgLeader": False, "useLeaderElection": True})
    halves = [["utility", "utility1"], ["auditor", "auditor1"]]
    for half in halves:
        network.wait(lambda: [network.leads(name) for name in half].count(True) == 1, f"{half} have not one leader")
    network.put(1)
    network.level()
    leader = next(name for name in ["utility", "utility1"] if network.leads(name))
    other = "utility1" if leader == "utility" else "utility"
    begun = time.monotonic()
    network.end(leader, signal.SIGKILL)
    network.wait(lambda: network.leads(other), f"{other} does not take over from {leader}")
    print(f"{other} leads {time.monotonic() - begun:.1f} s after {leader} was killed")
    others = [name for name in network.peers if name != leader]
    height = network.level(others)
    # The endorsements of both organizations are needed, and the clients' own peers may be those that are left.
    if leader == "utility1":
        network.put(1)
        assert network.level(others) == height + 1
    network.start()
    network.wait(lambda: [network.leads(name) for name in halves[0]].count(True) == 1, "not one leader")
    network.put(1)
    network.level()


def test_two_halves_that_were_cut_apart_find_together_again(network):
    network.up(doors=True)
    network.see({name: 3 for name in network.peers})
    halves = ["utility", "auditor", "orderer"], ["utility1", "auditor1"]
    network.doors.part(*halves)
    network.see({name: 1 for name in network.peers})
    network.put(5)
    height = network.level(["utility", "auditor"])
    assert all(network.block_height(name) < height for name in halves[1])
    network.doors.join()
    network.see({name: 3 for name in network.peers})
    assert network.level() >= height


def test_a_peer_whose_certificate_is_revoked_is_expelled(network):
    network.up()
    network.see({name: 3 for name in network.peers})
    utility = network["utility"]
    network.change(["utility"], "revoke", "org=utility", f"authority={utility.folder}",
                   f"name=node1.{utility.domain}", through="utility")
    network.see({name: 2 for name in network.peers if name != "utility1"})
    # It goes on trying, and is told why.
    network.wait(lambda: "revoked" in network.log("auditor"), "nothing says why")
    network.put(1)


def test_a_peer_with_new_certificates_and_keys_is_known_by_its_new_name(network):
    network.up()
    network.see({name: 3 for name in network.peers})
    utility, peer = network["utility"], "utility1"
    before = {name: len(network.log(name)) for name in network.peers}
    network.weft("ca", "renew", utility.folder, f"node1.{utility.domain}", "--new-keys")
    network.wait(lambda: "renewed the enrollment certificate" in network.log(peer)[before[peer]:], "it is not taken up")
    # The new name is welcome at all others, and the old one forgotten.
    for name in network.peers:
        if name != peer:
            network.wait(lambda: "of UtilityMSP is alive" in network.log(name)[before[name]:], f"{name} does not know it")
    network.see({name: 3 for name in network.peers})
    network.put(1)
    network.level()


# Bad input

WEAK = "auditor1"


def refusals(network, text):
    return [line for line in network.log(WEAK).splitlines() if "refused a peer's stream" in line and text in line]


@pytest.fixture(scope="module")
def open_network(tmp_path_factory):
    """One peer asks clients for no certificate, so that strangers get as far as the service."""
    network = neighbours.Neighbours(tmp_path_factory.mktemp("open"), os.environ["WEFT"])
    try:
        network.up()
        network.end(WEAK)
        text = network.file(WEAK).read_text()
        assert "clients: required" in text
        network.file(WEAK).write_text(text.replace("clients: required", "clients: none", 1))
        network.start()
        network.see({name: 3 for name in network.peers})
        processes = {name: network.processes[name].pid for name in network.processes}
        yield network
        # Whatever was said: the same processes run, know each other, and commit.
        assert processes == {name: p.pid for name, p in network.processes.items() if p.poll() is None}, network.logs()
        network.see({name: 3 for name in network.peers})
        network.put(1)
        network.level()
    finally:
        network.down()


def test_a_probe_is_answered_and_the_stream_ends(open_network):
    with Stranger(open_network, WEAK) as stranger:
        stranger.stub.Ping(message_pb2.Empty(), timeout=10)
        stranger.say(stranger.greeting(probe=True))
        assert stranger.end()[0] == grpc.StatusCode.OK


REFUSED = {
    "a wrong hash": (lambda s: s.greeting(tls_hash=b"\x01" * 32), "in remote hash of TLS cert, but got"),
    "no hash": (lambda s: s.greeting(tls_hash=b""), "in remote hash of TLS cert, but got []"),
    "no signature": (lambda s: s.greeting(sign=False), "Empty signature"),
    "no name": (lambda s: s.greeting(pki_id=b""), "no PKI-ID"),
    "another's name": (lambda s: s.greeting(pki_id=b"\x07" * 32), "identity doesn't match the computed pkiID"),
    "garbage": (lambda s: message_pb2.Envelope(payload=b"\xff\xfe garbage"), "wrong type"),
    "nothing": (lambda s: message_pb2.Envelope(), "wrong type"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_who_does_not_say_well_who_it_is_is_refused(open_network, case):
    make, text = REFUSED[case]
    for _ in range(5):
        with Stranger(open_network, WEAK) as stranger:
            stranger.say(make(stranger))
            code, details = stranger.end()
            assert code == grpc.StatusCode.UNKNOWN and text in details, (code, details)
    assert len(refusals(open_network, text)) <= 1


def test_who_shows_no_certificate_is_refused(open_network):
    with Stranger(open_network, WEAK, shows_certificate=False) as stranger:
        stranger.say(stranger.greeting())
        assert stranger.end() == (grpc.StatusCode.UNKNOWN, "no TLS certificate")


def test_who_says_nothing_is_let_go_and_so_are_many(open_network):
    begun = time.monotonic()
    streams = [Stranger(open_network, WEAK) for _ in range(20)]
    calls = [stream.stub.GossipStream(iter(stream.waiting.get, None)) for stream in streams for _ in range(15)]
    codes = []
    for call in calls:
        try:
            for _ in call:
                pass
        except grpc.RpcError as error:
            codes.append(error.code())
    assert len(codes) == len(calls)
    assert set(codes) == {grpc.StatusCode.UNKNOWN, grpc.StatusCode.RESOURCE_EXHAUSTED}, set(codes)
    print(f"{len(calls)} half handshakes ended after {time.monotonic() - begun:.1f} s")
    for stream in streams:
        stream.waiting.put(None)
        stream.channel.close()
    assert len(refusals(open_network, "")) < 20


def test_a_flood_from_a_member_is_bounded_and_noted_once(open_network):
    before = len(open_network.log(WEAK))
    with Stranger(open_network, WEAK, user="user") as stranger:
        stranger.say(stranger.greeting())
        next(stranger.call)
        hello = message_pb2.GossipMessage(
            tag=message_pb2.GossipMessage.EMPTY,
            hello=message_pb2.GossipHello(nonce=1, msg_type=message_pb2.IDENTITY_MSG)).SerializeToString()
        for number in range(20_000):
            stranger.say(message_pb2.Envelope(payload=hello if number % 2 else os.urandom(40)))
        # Others are served meanwhile.
        open_network.put(3)
        open_network.wait(lambda: stranger.waiting.qsize() == 0, "the flood is not taken")
    noted = [line for line in open_network.log(WEAK)[before:].splitlines()
             if "WARN" in line and stranger.pki_id.hex()[:12] in line]
    assert 0 < len(noted) < 5, noted
    assert memory(open_network.processes[WEAK].pid) < 1 << 30


def memory(process):
    return int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(process)])) * 1024
