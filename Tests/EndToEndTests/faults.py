"""Kills, starves and damages real nodes, and checks that they keep what they promised and say what is wrong.

WEFT names the executable. `--rounds N` makes a campaign of N crashes, `--seed S` repeats one. Full and read-only disks
are small tmpfs mounts, which need root; without it those tests are skipped by name. Run by scripts/end-to-end.
"""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import grpc
import pytest

import fabric
from fabric_protos.common import common_pb2
from fabric_protos.peer import transaction_pb2
from processes import check_chain, verdicts

PEERS = ["utility", "auditor", "agency"]


class Load:
    """Clients that submit through every peer, and note what they were promised."""

    def __init__(self, consortium, clients=4):
        self.consortium = consortium
        self.acknowledged, self.valid, self.failures = set(), set(), 0
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.client, args=(n,), daemon=True) for n in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def client(self, number):
        turn = number
        gateway = None
        while not self.ending.is_set():
            peer = PEERS[turn % len(PEERS)]
            try:
                gateway = gateway or self.consortium.gateway(peer, f"{peer}/user")
                transaction, prepared = gateway.endorse("kv", "put", f"load-{number}-{turn}", os.urandom(40).hex())
                gateway.send(transaction, prepared)
                self.acknowledged.add(transaction)
                if gateway.status(transaction, timeout=5).result == transaction_pb2.VALID:
                    self.valid.add(transaction)
            except grpc.RpcError:
                # A node is down: try the next one over a new connection.
                self.failures += 1
                gateway, turn = None, turn + 1
                self.ending.wait(0.1)


def check_nothing_lost(consortium, load):
    """All ledgers are equal and hold every transaction that a client was told is ordered or valid."""
    height = consortium.agreed()
    ends = {}
    for name in PEERS:
        blocks = consortium.blocks(name, height)
        ends[name] = check_chain(blocks, name)
        codes = verdicts(blocks)
        lost = load.acknowledged - codes.keys()
        assert not lost, f"{name} lost {len(lost)} acknowledged transactions, such as {min(lost)}"
        changed = {transaction for transaction in load.valid if codes[transaction] != transaction_pb2.VALID}
        assert not changed, f"{name}: {len(changed)} transactions were reported VALID and aren't: {min(changed)}"
    assert len(set(ends.values())) == 1, "the peers' ledgers differ"
    header, _ = check_chain(consortium.blocks("orderer", height), "orderer", committed=False)
    assert header == ends["utility"][0], "the orderer's chain differs from the peers'"


def check_ledgers_verify(consortium):
    consortium.down()
    for name in PEERS:
        done = consortium.run("ledger", "verify", consortium.data(name))
        assert done.returncode == 0, done.stdout + done.stderr
    consortium.up()


def submits(consortium, key, value="x", peer="utility"):
    """Whether a transaction becomes valid."""
    with contextlib.suppress(grpc.RpcError):
        gateway = consortium.gateway(peer, f"{peer}/user")
        transaction, prepared = gateway.endorse("kv", "put", key, value)
        gateway.send(transaction, prepared)
        return gateway.status(transaction, timeout=5).result == transaction_pb2.VALID
    return False


def test_nothing_acknowledged_is_lost_when_nodes_are_killed_under_load(consortium, seed, request):
    rounds = request.config.getoption("--rounds")
    print(f"seed {seed}: repeat with --seed {seed} --rounds {rounds}", flush=True)
    dice = random.Random(seed)
    plan = [["orderer"], ["utility"], ["auditor"], ["agency"], ["orderer", *PEERS]]
    with Load(consortium) as load:
        for number in range(rounds):
            victims = plan[number] if number < len(plan) else dice.sample(["orderer", *PEERS], dice.randint(1, 4))
            before = len(load.valid)
            consortium.wait(lambda: len(load.valid) > before + 5, 30, "the load does not get on")
            time.sleep(dice.uniform(0.02, 0.8))
            for victim in victims:
                consortium.stop(victim, signal.SIGKILL)
            time.sleep(dice.uniform(0, 0.3))
            consortium.up()
    assert load.valid and load.valid <= load.acknowledged
    print(f"{rounds} crashes, {len(load.acknowledged)} acknowledged, {len(load.valid)} seen valid, "
          f"{load.failures} calls failed", flush=True)
    check_nothing_lost(consortium, load)
    check_ledgers_verify(consortium)


# Disks

@contextlib.contextmanager
def small_disk(consortium, name, spare=6 << 20):
    """Moves a stopped node's data onto a small file system, and back afterwards, with whatever it wrote."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small tmpfs")
    data = consortium.data(name)
    kept = data.with_name("data.kept")
    consortium.stop(name)
    data.rename(kept)
    data.mkdir()
    used = sum(f.stat().st_size for f in kept.rglob("*") if f.is_file())
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={2 * used + spare}", "tmpfs", data])
    if mounted.returncode != 0:
        data.rmdir()
        kept.rename(data)
        consortium.up()
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        shutil.copytree(kept, data, dirs_exist_ok=True)
        yield data
    finally:
        consortium.stop(name)
        subprocess.run(["mount", "-o", "remount,rw", data], check=True)
        shutil.rmtree(kept)
        shutil.copytree(data, kept, ignore=shutil.ignore_patterns("filler"))
        subprocess.run(["umount", data], check=True)
        data.rmdir()
        kept.rename(data)
        consortium.up()


def fill(folder):
    with (folder / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"\0" * 4096)


def says_disk_full(text):
    """The thing, the reason and the fix."""
    return "disk full" in text and re.search(r"free (some )?space", text) and "/data" in text


def test_an_orderer_on_a_full_disk_refuses_says_why_and_goes_on_after_space_is_made(consortium):
    with small_disk(consortium, "orderer") as disk:
        consortium.up()
        gateway = consortium.gateway()
        transaction, _ = gateway.submit("kv", "put", "before-full", "x")
        consortium.agreed()
        fill(disk)
        connection, _ = consortium.network.connect("orderer", "utility/user")
        acknowledged = {transaction}
        refusals = []
        for attempt in range(60):
            transaction, envelope = gateway.endorse("kv", "put", f"full-{attempt}", "x" * 50_000)
            envelope.signature = gateway.identity.sign(envelope.payload)
            answer = fabric.broadcast(connection, envelope)
            if answer.status == common_pb2.SUCCESS:
                acknowledged.add(transaction)
                continue
            refusals.append(answer)
            if len(refusals) == 3:
                break
        assert refusals, "everything fitted on a full disk"
        assert {answer.status for answer in refusals} == {common_pb2.SERVICE_UNAVAILABLE}, refusals
        assert all(says_disk_full(answer.info) for answer in refusals), refusals
        assert says_disk_full(consortium.log("orderer")), consortium.logs()
        assert consortium.process("orderer"), "the orderer ended"
        (disk / "filler").unlink()
        consortium.wait(lambda: submits(consortium, "after-full"), 40, "the orderer does not go on")
        consortium.agreed()
        for name in PEERS:
            codes = verdicts(consortium.blocks(name, consortium.agreed()))
            assert all(codes.get(transaction) == transaction_pb2.VALID for transaction in acknowledged), name


def test_a_peer_on_a_full_disk_says_why_and_goes_on_by_itself_after_space_is_made(consortium):
    with small_disk(consortium, "agency") as disk:
        consortium.up()
        process = consortium.process("agency")
        before = consortium.agreed()
        fill(disk)
        gateway = consortium.gateway()
        for attempt in range(60):
            transaction, prepared = gateway.endorse(
                "kv", "put", f"peer-full-{attempt}", "x" * 50_000, organizations=["UtilityMSP", "AuditorMSP"])
            gateway.send(transaction, prepared)
            assert gateway.status(transaction).result == transaction_pb2.VALID
            if "disk full" in consortium.log("agency"):
                break
        consortium.wait(lambda: says_disk_full(consortium.log("agency")), 10, "the peer did not say why")
        assert consortium.process("agency"), "the peer ended" + consortium.logs()
        # It still answers from what it has, and tells nobody that the transaction is committed.
        stalled = consortium.gateway("agency", "agency/user")
        assert stalled.evaluate("kv", "get", "before-full") is not None
        for call in (lambda: stalled.status(transaction, timeout=5), lambda: stalled.endorse("kv", "put", "k", "v")):
            with pytest.raises(grpc.RpcError) as caught:
                call()
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE, caught.value
            assert "suspended" in caught.value.details() and "disk full" in caught.value.details(), caught.value
        (disk / "filler").unlink()
        consortium.wait(lambda: submits(consortium, "after-peer-full", peer="agency"), 40, "the peer does not go on")
        assert consortium.agreed() > before
        assert consortium.process("agency") == process, "the peer was started again"
    check_ledgers_verify(consortium)


@pytest.mark.parametrize("name", ["orderer", "utility"])
def test_a_node_on_a_read_only_disk_ends_and_says_why(consortium, name):
    height = consortium.agreed()
    with small_disk(consortium, name) as disk:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        code, said = consortium.start_in_foreground(name)
        assert code == 1, said
        assert str(disk) in said and "read-only" in said.lower(), said
        assert re.search(r"writable|check|mount", said), said
    assert consortium.agreed() == height


# Starting

def test_a_network_that_is_started_again_endorses_at_once(consortium):
    # So long after the contract's definition, what peers tell of their contracts counts for certain.
    gateway = consortium.gateway()
    while consortium.agreed() < 70:
        for number in range(10):
            gateway.submit("kv", "put", "before-restart", str(number))
    consortium.down()
    consortium.up()
    gateway = consortium.gateway()
    # Longer than the peers need to tell each other what they have.
    ending = time.monotonic() + 5
    while time.monotonic() < ending:
        gateway.endorse("kv", "put", "restarted", "x")
        time.sleep(0.02)


def test_the_status_of_a_stopped_node_is_one_JSON_value_that_names_it(consortium):
    consortium.stop("agency")
    done = consortium.run("network", "status", "--folder", consortium.folder, "--json")
    consortium.up()
    assert done.returncode == 1 and "agency" in done.stderr
    nodes = {node["name"]: node for node in json.loads(done.stdout)["nodes"]}
    assert not nodes["agency"].get("height") and nodes["utility"]["height"] > 0


@pytest.mark.parametrize("name", ["orderer", "utility"])
def test_a_port_in_use_is_named(consortium, name):
    endpoint = consortium.network.node(name)["endpoint"]
    consortium.stop(name)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((endpoint.split(":")[0], int(endpoint.split(":")[1])))
        other.listen()
        code, said = consortium.start_in_foreground(name)
    consortium.up()
    assert code == 1, said
    assert endpoint in said and re.search("in use", said), said


@pytest.mark.parametrize("name", ["orderer", "utility"])
def test_a_data_folder_in_use_by_another_process_is_named(consortium, name, tmp_path):
    text = consortium.configuration(name).read_text()
    second = tmp_path / "second.yaml"
    second.write_text(re.sub(r'listen: "[^"]*"', 'listen: "127.0.0.1:0"', text))
    process = consortium.process(name)
    code, said = consortium.start_in_foreground(name, second)
    assert code == 1, said
    assert str(consortium.data(name)) in said and re.search("in use|another process|locked", said), said
    assert consortium.process(name) == process and submits(consortium, "beside-second")
    consortium.agreed()


def flip(folder, fraction):
    """Flips bits in the largest file that holds records; returns the file."""
    file = max((f for f in folder.iterdir() if f.suffix in (".ldb", ".log")), key=lambda f: f.stat().st_size)
    content = bytearray(file.read_bytes())
    for offset in range(8):
        content[int(len(content) * fraction) + offset] ^= 0xFF
    file.write_bytes(content)
    return file


def serves_no_damaged_block(consortium, name, height):
    """The node delivers its blocks up to the damaged one, and then says that it can't."""
    connection, tls_hash = consortium.network.connect(name, "utility/user")
    with connection:
        blocks, status = fabric.peer_blocks(
            connection, consortium.network.channel, consortium.network.identity("utility/user"), tls_hash,
            0, height - 1)
    assert status == common_pb2.SERVICE_UNAVAILABLE and len(blocks) < height, f"{status}: {len(blocks)} of {height}"
    check_chain(blocks, name)


def serves_nothing(consortium, name):
    """The node has ended, or answers that it can't serve the channel."""
    channel, identity = consortium.network.channel, consortium.network.identity("utility/user")
    connection, tls_hash = consortium.network.connect(name, "utility/user")
    deliver = fabric.orderer_blocks if name == "orderer" else fabric.peer_blocks
    with connection:
        try:
            blocks, status = deliver(connection, channel, identity, tls_hash, 0, 0)
            assert not blocks and status == common_pb2.SERVICE_UNAVAILABLE, status
            if name == "orderer":
                payload = common_pb2.Payload(
                    header=fabric.headers(common_pb2.ENDORSER_TRANSACTION, channel, identity, os.urandom(24)),
                    data=b"x").SerializeToString()
                answer = fabric.broadcast(
                    connection, common_pb2.Envelope(payload=payload, signature=identity.sign(payload)))
                assert answer.status == common_pb2.SERVICE_UNAVAILABLE and answer.info, answer
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE, error


@pytest.mark.parametrize(("name", "store"), [
    ("orderer", "consensus"), ("orderer", "log"), ("utility", "log"), ("utility", "derived")])
def test_a_damaged_database_is_named_and_never_served(consortium, seed, name, store):
    # Enough blocks that a file's middle is never its unfinished end.
    for number in range(3):
        key = f"damage-{store}-{number}"
        consortium.wait(lambda: submits(consortium, key, "x" * 20_000), 40, "nothing can be submitted")
    height = consortium.agreed()
    consortium.stop(name)
    folder = consortium.ledger(name) / store
    kept = folder.with_name(store + ".kept")
    shutil.copytree(folder, kept)
    file = flip(folder, random.Random(f"{seed} {name} {store}").uniform(0.2, 0.6))
    try:
        if name != "orderer":
            verified = consortium.run("ledger", "verify", consortium.data(name))
            assert verified.returncode in (1, 2), verified.stdout
            assert f"{store}/" in verified.stdout + verified.stderr, verified.stdout + verified.stderr
        with consortium.started(name) as said:
            damage = lambda: re.search("damaged|corrupt", said(), re.IGNORECASE)
            # What opening doesn't read, such as an old block, is found when somebody asks for it.
            consortium.wait(lambda: damage() or re.search("is ready", said()), 30, f"{name} is silent about {file}")
            if not damage() and store == "derived":
                # The log is whole; a key whose place is damaged is an error, never another value.
                with contextlib.suppress(grpc.RpcError):
                    assert consortium.gateway(name).evaluate("kv", "get", key) == b"x" * 20_000
                return
            if not damage():
                serves_no_damaged_block(consortium, name, height)
                consortium.wait(damage, 5, f"{name} says nothing of {file}")
            else:
                serves_nothing(consortium, name)
            assert str(folder) in said(), said()
            assert re.search("restore|copy|delete|rebuil|another", said()), said()
    finally:
        shutil.rmtree(folder)
        kept.rename(folder)
        consortium.up()
    assert consortium.agreed() == height


@pytest.mark.parametrize("name", ["orderer", "utility"])
@pytest.mark.parametrize(("change", "expected"), [
    (lambda text: text + "\nlisten: [unclosed\n", ["yaml:"]),
    (lambda text: "listne: 1\n" + text, ["yaml:1", "listne"]),
    (lambda text: re.sub(r"(?m)^listen:.*", "listen: {a: b}", text), ["yaml:1", "listen"]),
    (lambda text: re.sub(r'(?m)^listen:.*', 'listen: "127.0.0.1:99999"', text), ["yaml:1", "listen"]),
    (lambda text: re.sub(r'mspID: ".*"', "mspID: [1]", text), ["mspID"]),
    (lambda text: re.sub(r"(?m)^data:.*\n", "", text), ["data"]),
    (lambda text: re.sub(r"server.crt", "missing.crt", text), ["missing.crt"]),
], ids=["bad YAML", "unknown key", "wrong type", "impossible port", "nested wrong type", "missing key", "missing file"])
def test_a_broken_configuration_file_is_refused_by_place(consortium, name, change, expected, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text(change(consortium.configuration(name).read_text()))
    code, said = consortium.start_in_foreground(name, broken)
    assert code == 78, said
    assert all(part in said for part in expected), said
