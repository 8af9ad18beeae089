"""Peers of several organizations that talk to each other, as real processes that tests kill, cut off and empty; and a peer
that is none, which says to them whatever a test wants. Used by gossip.py.
"""

import hashlib
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import threading

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import fabric
from fabric_protos.gossip import message_pb2, message_pb2_grpc
from members import free_port
from orderers import Cluster

# Everything that takes tens of seconds by default, so that tests needn't.
QUICK = {
    "aliveTimeInterval": "500ms", "aliveExpirationTimeout": "4s", "reconnectInterval": "2s", "pullInterval": "1s",
    "publishStateInfoInterval": "1s", "requestStateInfoInterval": "1s", "membershipTrackerInterval": "1s",
    "state": {"checkInterval": "1s", "responseTimeout": "2s"},
    "election": {"startupGracePeriod": "2s", "membershipSampleInterval": "500ms", "leaderAliveThreshold": "3s",
                 "leaderElectionDuration": "1s"},
}


class Neighbours(Cluster):
    """Two organizations with two peers each, and one orderer, which the test runs one by one."""

    def __init__(self, root, executable):
        super().__init__(root, executable, 1)
        self.processes, self.doors = {}, None

    def up(self, gossip=None, doors=False):
        """Makes the network and starts all of it.

        `gossip` adds to what the peers' files say of gossip; with `doors`, what reaches a node comes through a door that
        can be shut.
        """
        self.weft("network", "up", "--folder", self.folder, "--orgs", 2, "--peers", 2, "--base-port", 0, "--contract", "kv")
        self.know()
        self.stop()
        if doors:
            self.doors = Doors(self)
        for name in self.peers:
            self.configure(name, {**QUICK, **(gossip or {})})
        self.start()

    @property
    def peers(self):
        return self.network.peers()

    def file(self, name):
        return self.folder / "nodes" / name / ("orderer.yaml" if name == "orderer" else "peer.yaml")

    def configure(self, name, gossip):
        text = self.file(name).read_text()
        if self.doors:
            # The node listens elsewhere, and its door where others look for it.
            endpoint, listen = self.network.node(name)["endpoint"], self.doors.behind[name]
            assert endpoint in text
            text = text.replace(endpoint, listen, 1).replace(f"advertise: {listen}", f"advertise: {endpoint}", 1)
            if "advertise" not in text:
                text += f"\nadvertise: {endpoint}\n"
            orderer = self.network.node("orderer")["endpoint"]
            text += f"\norderers: {{ \"{orderer}\": \"{self.doors.orderers[name]}\" }}\n"
        self.file(name).write_text(text + f"\ngossip: {json.dumps(gossip)}\n")

    def start(self, names=None):
        """Starts what doesn't run, and waits until it serves."""
        for name in names or ["orderer", *self.peers]:
            if name in self.processes and self.processes[name].poll() is None:
                continue
            log = self.folder / "nodes" / name / "log"
            written = len(self.log(name)) if log.exists() else 0
            role = "orderer" if name == "orderer" else "peer"
            with log.open("a") as output:
                self.processes[name] = subprocess.Popen(
                    [self.executable, role, "start", "--config", self.file(name)], stdout=output, stderr=output)
            (self.folder / "nodes" / name / "pid").write_text(str(self.processes[name].pid))
            ready = "Beginning to serve requests" if name == "orderer" else "peer is ready"
            self.wait(lambda: ready in self.log(name)[written:], f"{name} does not start")

    def end(self, name, number=signal.SIGTERM):
        self.processes[name].send_signal(number)
        self.processes[name].wait(60)

    def empty(self, name):
        """Takes away all that a peer that has ended has stored."""
        shutil.rmtree(self.folder / "nodes" / name / "data")

    def down(self):
        for process in self.processes.values():
            process.kill()
            process.wait()
        if self.doors:
            self.doors.close()
        self.try_weft("network", "down", "--folder", self.folder)

    def known(self, name):
        """How many other peers a peer knows on the channel."""
        return self.value(name, "gossip_membership_total_peers_known")

    def leads(self, name):
        return self.value(name, "gossip_leader_election_leader") == 1

    def value(self, name, metric):
        return next(iter(self.metrics(name).get(metric, {"": 0}).values()))

    def block_height(self, name):
        return self.value(name, "ledger_blockchain_height")

    def see(self, counts):
        """Waits until peers know so many others."""
        for name, count in counts.items():
            self.wait(lambda: self.known(name) == count, f"{name} does not know {count} others but {self.known(name)}")

    def level(self, names=None, seconds=60):
        """Waits until peers have the same height, and returns it."""
        names, heights = names or self.peers, []

        def same():
            heights[:] = [self.block_height(name) for name in names]
            return len(set(heights)) == 1
        self.wait(same, f"the peers differ: {heights}", seconds)
        return heights[0]

    def put(self, count, through="auditor"):
        """Has so many transactions committed, each in a block of its own."""
        gateway = self.gateway(through)
        for number in range(count):
            assert gateway.submit("kv", "put", f"{through}{number}", os.urandom(4).hex())[1].result == 0


class Doors:
    """A proxy in front of each peer, and one in front of the orderer for each peer, which hold back what comes from or goes
    to the other half while the halves are apart."""

    def __init__(self, network):
        self.network, self.halves = network, None
        self.joined = threading.Condition()
        self.sockets, self.behind, self.orderers = [], {}, {}
        for name in network.peers:
            self.behind[name] = f"127.0.0.1:{free_port()}"
            door = self.listen(int(network.network.node(name)["endpoint"].split(":")[1]))
            threading.Thread(target=self.serve, args=(door, name, self.behind[name], None), daemon=True).start()
            door = self.listen(0)
            self.orderers[name] = f"127.0.0.1:{door.getsockname()[1]}"
            endpoint = network.network.node("orderer")["endpoint"]
            threading.Thread(target=self.serve, args=(door, "orderer", endpoint, name), daemon=True).start()

    def listen(self, port):
        door = socket.create_server(("127.0.0.1", port))
        self.sockets.append(door)
        return door

    def close(self):
        self.join()
        for door in self.sockets:
            door.close()

    def part(self, *halves):
        """Lets nothing pass from one half to the other."""
        with self.joined:
            self.halves = halves

    def join(self):
        with self.joined:
            self.halves = None
            self.joined.notify_all()

    def serve(self, door, name, target, client):
        while True:
            try:
                near, (_, port) = door.accept()
            except OSError:
                return
            threading.Thread(target=self.connect, args=(near, port, name, target, client), daemon=True).start()

    def connect(self, near, port, name, target, client):
        pair = (client or self.owner(port), name)
        self.hold(pair)
        host, far_port = target.split(":")
        try:
            far = socket.create_connection((host, int(far_port)))
        except OSError:
            return near.close()
        for source, sink in [(near, far), (far, near)]:
            threading.Thread(target=self.carry, args=(source, sink, pair), daemon=True).start()

    def owner(self, port):
        """The peer whose connection has this port at its own end; None for the test's own."""
        inodes = set()
        for table in ["tcp", "tcp6"]:
            with open(f"/proc/net/{table}", encoding="ascii") as lines:
                for line in list(lines)[1:]:
                    fields = line.split()
                    if int(fields[1].rsplit(":", 1)[1], 16) == port:
                        inodes.add(f"socket:[{fields[9]}]")
        for name, process in list(self.network.processes.items()):
            try:
                for handle in os.listdir(f"/proc/{process.pid}/fd"):
                    if os.readlink(f"/proc/{process.pid}/fd/{handle}") in inodes:
                        return name
            except OSError:
                continue
        return None

    def passes(self, pair):
        return self.halves is None or None in pair or any(set(pair) <= set(half) for half in self.halves)

    def hold(self, pair):
        with self.joined:
            self.joined.wait_for(lambda: self.passes(pair))

    def carry(self, source, sink, pair):
        try:
            while content := source.recv(1 << 16):
                self.hold(pair)
                sink.sendall(content)
        except OSError:
            pass
        for end in [source, sink]:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Stranger:
    """The far end of a gossip stream, which says what the test wants."""

    def __init__(self, network, name, organization="utility", user="admin", shows_certificate=True):
        folder = network[organization].member(user)
        self.identity = fabric.Identity(network[organization].msp_id, folder / "msp")
        certificate = (folder / "tls/client.crt").read_bytes()
        own = (folder / "tls/client.key").read_bytes(), certificate
        node = network.network.node(name)
        credentials = grpc.ssl_channel_credentials(
            network.network.path(node["tlsRoots"]).read_bytes(), *(own if shows_certificate else (None, None)))
        der = x509.load_pem_x509_certificate(certificate).public_bytes(serialization.Encoding.DER)
        self.tls_hash = hashlib.sha256(der).digest()
        self.channel = grpc.secure_channel(node["endpoint"], credentials)
        self.stub = message_pb2_grpc.GossipStub(self.channel)
        self.waiting, self.call = queue.Queue(), None

    def __enter__(self):
        self.call = self.stub.GossipStream(iter(self.waiting.get, None))
        return self

    def __exit__(self, *_):
        self.waiting.put(None)
        self.call.cancel()
        self.channel.close()

    @property
    def pki_id(self):
        return hashlib.sha256(self.identity.msp_id.encode() + self.identity.certificate).digest()

    def greeting(self, tls_hash=None, probe=False, pki_id=None, sign=True):
        """The message that says who this is."""
        payload = message_pb2.GossipMessage(
            tag=message_pb2.GossipMessage.EMPTY,
            conn=message_pb2.ConnEstablish(
                pki_id=self.pki_id if pki_id is None else pki_id, identity=self.identity.serialized,
                tls_cert_hash=self.tls_hash if tls_hash is None else tls_hash, probe=probe)).SerializeToString()
        return message_pb2.Envelope(payload=payload, signature=self.identity.sign(payload) if sign else b"")

    def say(self, *envelopes):
        for envelope in envelopes:
            self.waiting.put(envelope)

    def end(self, seconds=20):
        """Waits until the other side ends the stream; its status and text."""
        answers = []
        done = threading.Event()
        if not self.call.add_callback(done.set):
            done.set()
        threading.Thread(target=lambda: answers.extend(self.read()), daemon=True).start()
        assert done.wait(seconds), "the stream goes on"
        return self.call.code(), self.call.details()

    def read(self):
        try:
            for envelope in self.call:
                yield envelope
        except grpc.RpcError:
            return
