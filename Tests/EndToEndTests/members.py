"""A consortium of real processes whose members, channels and certificates change while clients write to it.

Used by changes.py and renewals.py.
"""

import hashlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import fabric
from fabric_protos.common import common_pb2
from fabric_protos.peer import events_pb2_grpc, transaction_pb2
from processes import check_chain, verdicts


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Organization:
    """An organization with its offline authority, and one peer that the test runs."""

    def __init__(self, consortium, name, folder=None):
        self.consortium, self.name = consortium, name
        self.msp_id = f"{name.capitalize()}MSP"
        self.domain = f"{name}.example"
        self.folder = folder or consortium.root / "organizations" / name
        self.endpoint, self.process = None, None
        if folder is None:
            consortium.weft("ca", "init", self.folder, "--domain", self.domain, "--msp", self.msp_id)
            consortium.weft("ca", "issue", self.folder, "node0", "--role", "peer", "--host", "127.0.0.1")
            self.issue("admin", "admin")
            self.issue("user", "client")

    def issue(self, name, role):
        self.consortium.weft("ca", "issue", self.folder, name, "--role", role)

    def member(self, name):
        return self.folder / "users" / f"{name}@{self.domain}"

    def identity(self, name):
        return fabric.Identity(self.msp_id, self.member(name) / "msp")

    @property
    def node(self):
        return self.folder / "peers" / f"node0.{self.domain}"

    def signing(self, name="admin"):
        """The flags of a command that signs offline."""
        return ["--identity", self.member(name) / "msp", "--msp-id", self.msp_id]

    def flags(self, channel, name="admin"):
        """The flags of a command that talks to the organization's peer."""
        tls = self.member(name) / "tls"
        return [*self.signing(name), "--peer", self.endpoint, "--tls-root", self.node / "tls/ca.crt",
                "--tls-certificate", tls / "client.crt", "--tls-key", tls / "client.key", "--channel", channel]

    def connect(self, name="user"):
        tls = self.member(name) / "tls"
        certificate = (tls / "client.crt").read_bytes()
        credentials = grpc.ssl_channel_credentials(
            (self.node / "tls/ca.crt").read_bytes(), (tls / "client.key").read_bytes(), certificate)
        der = x509.load_pem_x509_certificate(certificate).public_bytes(serialization.Encoding.DER)
        return grpc.secure_channel(self.endpoint, credentials), hashlib.sha256(der).digest()

    def start_peer(self):
        self.endpoint, self.operations = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        home = self.consortium.root / "peers" / self.name
        home.mkdir(parents=True)
        self.configuration = home / "peer.yaml"
        # Whom it trusts beside its own organization, the channels say.
        self.configuration.write_text(json.dumps({
            "listen": self.endpoint, "data": str(home / "data"),
            "identity": {"mspID": self.msp_id, "folder": str(self.node / "msp")},
            "tls": {"certificate": str(self.node / "tls/server.crt"), "key": str(self.node / "tls/server.key"),
                    "roots": [str(self.node / "tls/ca.crt")], "clients": "required"},
            "operations": {"listen": self.operations, "tls": {
                "certificate": str(self.node / "tls/server.crt"), "key": str(self.node / "tls/server.key"),
                "roots": [str(self.node / "tls/ca.crt")], "clients": "required"}},
            "channels": [],
        }))
        self.log = home / "log"
        self.run_peer()

    def run_peer(self):
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [self.consortium.executable, "peer", "start", "--config", self.configuration], stdout=log, stderr=log)
        self.consortium.wait(lambda: "peer is ready" in self.log.read_text(), f"{self.name}'s peer did not start")

    def stop_peer(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
            self.process = None


class Consortium:
    """Two organizations that `weft network up` runs, and more that join."""

    channel = "emissions"

    def __init__(self, root, executable):
        self.root, self.executable = pathlib.Path(root), executable
        self.folder = self.root / "network"
        self.organizations = {}

    def try_weft(self, *arguments, environment=None):
        return subprocess.run(
            [self.executable, *map(str, arguments)], capture_output=True, text=True, timeout=120,
            env={**os.environ, **(environment or {})})

    def weft(self, *arguments, environment=None):
        done = self.try_weft(*arguments, environment=environment)
        assert done.returncode == 0, f"weft {' '.join(map(str, arguments))}:\n{done.stdout}{done.stderr}{self.logs()}"
        return done.stdout

    def logs(self):
        files = sorted(self.root.glob("network/nodes/*/log")) + sorted(self.root.glob("peers/*/log"))
        return "".join(f"\n--- {f}\n" + "\n".join(f.read_text(errors="replace").splitlines()[-12:]) for f in files)

    def wait(self, condition, message, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, message + self.logs()
            time.sleep(0.1)

    def up(self):
        self.weft("network", "up", "--folder", self.folder, "--orgs", 2, "--base-port", 0, "--contract", "kv")
        self.know()

    def know(self):
        """Learns who is in the network that was started."""
        self.network = fabric.Network(self.folder)
        for name in ["utility", "auditor"]:
            organization = Organization(self, name, self.folder / "organizations" / name)
            organization.endpoint = self.network.node(name)["endpoint"]
            self.organizations[name] = organization
        self.organizations["orderer"] = Organization(self, "orderer", self.orderer("."))

    def down(self):
        for organization in self.organizations.values():
            organization.stop_peer()
        self.try_weft("network", "down", "--folder", self.folder)

    def add(self, name):
        self.organizations[name] = Organization(self, name)
        return self.organizations[name]

    def join(self, name, signers):
        """Has a new organization join the channel, with a peer of its own; returns what `weft channel edit` said."""
        organization = self[name] if name in self.organizations else self.add(name)
        if organization.process is None:
            organization.start_peer()
        said = self.change(
            signers, "add-org", f"name={name}", f"msp={organization.folder / 'msp'}", f"msp-id={organization.msp_id}",
            f"anchor={organization.endpoint}")
        self.weft("channel", "join", self.genesis(), *organization.flags(self.channel))
        self.wait(lambda: self.height(name) > 0, "the peer of the new organization does not catch up")
        self.approve(organization)
        return said

    def genesis(self):
        """The channel's genesis block, in a file."""
        path = self.root / "emissions.block"
        if not path.exists():
            self.weft("channel", "fetch", "--genesis", path, *self["auditor"].flags(self.channel))
        return path

    def __getitem__(self, name):
        return self.organizations[name]

    def orderer(self, path):
        return self.folder / "organizations/orderer" / path

    def change(self, signers, *operations, channel=channel, through="auditor"):
        """Changes a channel's configuration by the signatures of some organizations' administrators."""
        peer = self[through]
        block, update = self.root / "now.block", self.root / "change.pb"
        self.weft("channel", "fetch", block, *peer.flags(channel))
        said = self.weft("channel", "edit", "--out", update, "--config", block, *operations)
        for signer in signers:
            self.weft("channel", "sign", update, "--config", block, *self[signer].signing())
        end = time.monotonic() + 60
        while True:
            done = self.try_weft("channel", "submit", update, *peer.flags(channel))
            if done.returncode == 0:
                return said
            # A consenter that has just come counts once the leader has heard from it.
            said_why = done.stdout + done.stderr
            assert "nodes are alive" in said_why and time.monotonic() < end, said_why + self.logs()
            time.sleep(0.1)

    def gateway(self, name, user="user", identity=None):
        connection, _ = self[name].connect(user if identity is None else "user")
        return fabric.Gateway(connection, self.channel, identity or self[name].identity(user))

    def height(self, name, channel=channel):
        """The height of an organization's peer; 0 while that peer does not know the organization as a member yet."""
        done = self.try_weft("block", "show", "newest", "--json", *self[name].flags(channel))
        return int(json.loads(done.stdout)["number"]) + 1 if done.returncode == 0 else 0

    def blocks(self, name, height, channel=channel):
        connection, tls_hash = self[name].connect()
        request = fabric.seek(channel, self[name].identity("user"), tls_hash, 0, height - 1)
        blocks = []
        with connection:
            for message in events_pb2_grpc.DeliverStub(connection).Deliver(iter([request]), timeout=180):
                if message.WhichOneof("Type") == "block":
                    blocks.append(message.block)
                else:
                    assert message.status == common_pb2.SUCCESS, f"{name} ended its blocks with {message.status}"
        return blocks

    def fabric_peer(self, organization, *arguments):
        """Calls Fabric's `peer` (Weft by that name) as an organization's administrator."""
        tls = organization.member("admin") / "tls"
        (self.root / "core.yaml").write_text("peer: {}\n")
        return self.weft("fabric", "peer", *arguments, environment={
            "FABRIC_CFG_PATH": str(self.root),
            "CORE_PEER_ADDRESS": organization.endpoint, "CORE_PEER_LOCALMSPID": organization.msp_id,
            "CORE_PEER_MSPCONFIGPATH": str(organization.member("admin") / "msp"),
            "CORE_PEER_TLS_ENABLED": "true", "CORE_PEER_TLS_ROOTCERT_FILE": str(organization.node / "tls/ca.crt"),
            "CORE_PEER_TLS_CLIENTAUTHREQUIRED": "true",
            "CORE_PEER_TLS_CLIENTCERT_FILE": str(tls / "client.crt"),
            "CORE_PEER_TLS_CLIENTKEY_FILE": str(tls / "client.key"),
        })

    def approve(self, organization, contract="kv"):
        tls = organization.member("admin") / "tls"
        self.fabric_peer(
            organization, "lifecycle", "chaincode", "approveformyorg", "--channelID", self.channel, "--name", contract,
            "--version", "1.0", "--sequence", "1", "-o", self.network.node("orderer")["endpoint"], "--tls",
            "--cafile", self.orderer("orderers/node0.orderer.example/tls/ca.crt"), "--clientauth",
            "--certfile", tls / "client.crt", "--keyfile", tls / "client.key")


class Load:
    """`weft bench`, which writes through one peer's gateway, and what it was promised, while others come and go."""

    def __init__(self, consortium, name, workers=3):
        self.consortium, self.name = consortium, name
        self.record = consortium.root / f"promised-{name}-{time.monotonic_ns()}"
        self.command = [
            consortium.executable, "bench", *consortium[name].flags(consortium.channel, "user"), "--workers", workers,
            "--connections", 2, "--keys", 1000, "--warm-up", 0, "--duration", 3600, "--acknowledged", self.record, "--json"]

    def __enter__(self):
        self.process = subprocess.Popen(
            list(map(str, self.command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return self

    def __exit__(self, kind, *_):
        """Ends the load, which waits for what it has begun."""
        self.process.send_signal(signal.SIGINT)
        try:
            output, complaints = self.process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            output, complaints = self.process.communicate()
        if kind is None:
            assert self.process.returncode == 0, f"weft bench ended with {self.process.returncode}: {output}{complaints}"
            self.report = json.loads(output)
            self.acknowledged, self.valid = self.promises("acknowledged"), self.promises("valid")
            assert len(self.acknowledged) == self.report["recorded"]["acknowledged"]
            assert len(self.valid) == self.report["recorded"]["valid"]

    def promises(self, kind):
        """The transactions that were acknowledged, or reported valid, so far."""
        lines = self.record.read_text().splitlines() if self.record.exists() else []
        # The last line may be on its way.
        return {line.split()[1] for line in lines if line.startswith(f"{kind} ") and len(line) >= len(kind) + 65}

    def go_on(self, count=10):
        """Returns once more transactions have become valid."""
        wanted = len(self.promises("valid")) + count
        self.consortium.wait(
            lambda: self.process.poll() is not None or len(self.promises("valid")) >= wanted,
            "no transaction becomes valid any more")
        assert self.process.poll() is None, f"weft bench ended: {self.process.communicate()}"


def check_nothing_lost(consortium, load, names):
    """What was acknowledged is in every peer's ledger, with the verdict that was reported."""
    height = consortium.height(names[0])
    ends = {}
    for name in names:
        consortium.wait(lambda: consortium.height(name) >= height, f"{name} does not catch up")
        blocks = consortium.blocks(name, height)
        ends[name] = check_chain(blocks, name)
        codes = verdicts(blocks)
        lost = load.acknowledged - codes.keys()
        assert not lost, f"{name} lost {len(lost)} acknowledged transactions, such as {min(lost)}"
        changed = {transaction for transaction in load.valid if codes[transaction] != transaction_pb2.VALID}
        assert not changed, f"{name}: {len(changed)} transactions were reported VALID and aren't"
    assert len(set(ends.values())) == 1, "the peers' ledgers differ"
    print(f"{len(load.acknowledged)} acknowledged, {len(load.valid)} valid, {height} blocks, "
          f"{load.report['failed']} failed: {load.report['reasons']}")
