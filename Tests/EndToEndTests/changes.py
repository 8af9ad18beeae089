"""Changes a consortium of real processes while clients write to it: organizations join and leave, a second channel
comes up at run time, certificates are revoked, and identities of an intermediate authority and expired ones are tried.

WEFT names the executable. Run by scripts/end-to-end.
"""

import datetime
import hashlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

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
        self.endpoint = f"127.0.0.1:{free_port()}"
        home = self.consortium.root / "peers" / self.name
        home.mkdir(parents=True)
        self.configuration = home / "peer.yaml"
        # Whom it trusts beside its own organization, the channels say.
        self.configuration.write_text(json.dumps({
            "listen": self.endpoint, "data": str(home / "data"),
            "identity": {"mspID": self.msp_id, "folder": str(self.node / "msp")},
            "tls": {"certificate": str(self.node / "tls/server.crt"), "key": str(self.node / "tls/server.key"),
                    "roots": [str(self.node / "tls/ca.crt")], "clients": "required"},
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
        self.weft("channel", "submit", update, *peer.flags(channel))
        return said

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


class Writers:
    """Clients that write through one peer's gateway and note what they were promised, while others come and go."""

    def __init__(self, consortium, name, clients=3):
        self.consortium, self.name = consortium, name
        self.acknowledged, self.valid, self.failures = set(), set(), []
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(n,), daemon=True) for n in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def write(self, number):
        gateway, turn = self.consortium.gateway(self.name), 0
        while not self.ending.is_set():
            turn += 1
            try:
                transaction, prepared = gateway.endorse("kv", "put", f"change-{number}-{turn}", os.urandom(20).hex())
                gateway.send(transaction, prepared)
                self.acknowledged.add(transaction)
                if gateway.status(transaction, timeout=20).result == transaction_pb2.VALID:
                    self.valid.add(transaction)
                # What is shown needs no load.
                self.ending.wait(0.05)
            except grpc.RpcError as error:
                # Endorsers that see different configurations for a moment disagree; nothing was acknowledged then.
                self.failures.append(error.details())
                self.ending.wait(0.05)

    def go_on(self, count=5):
        """Returns once more transactions have become valid."""
        wanted = len(self.valid) + count
        self.consortium.wait(
            lambda: len(self.valid) >= wanted, f"no transaction becomes valid any more: {self.failures[-3:]}")


@pytest.fixture(scope="module")
def consortium(tmp_path_factory):
    consortium = Consortium(tmp_path_factory.mktemp("changes"), os.environ["WEFT"])
    try:
        consortium.up()
        yield consortium
    finally:
        consortium.down()


def test_a_second_channel_with_other_members_comes_up_at_run_time(consortium):
    agency = consortium.add("agency")
    orderer = consortium.network.node("orderer")["endpoint"]
    host, port = orderer.split(":")
    tls = consortium.orderer("orderers/node0.orderer.example/tls/server.crt")
    (consortium.root / "configtx.yaml").write_text(f"""
Organizations:
  - &Orderer
    Name: orderer
    ID: OrdererMSP
    MSPDir: {consortium.orderer("msp")}
    OrdererEndpoints: ["{orderer}"]
    Policies: &members
      Readers: {{ Type: Signature, Rule: "OR('OrdererMSP.member')" }}
      Writers: {{ Type: Signature, Rule: "OR('OrdererMSP.member')" }}
      Admins: {{ Type: Signature, Rule: "OR('OrdererMSP.admin')" }}
  - &Agency
    Name: agency
    ID: AgencyMSP
    MSPDir: {agency.folder / "msp"}
    Policies:
      Readers: {{ Type: Signature, Rule: "OR('AgencyMSP.member')" }}
      Writers: {{ Type: Signature, Rule: "OR('AgencyMSP.member')" }}
      Admins: {{ Type: Signature, Rule: "OR('AgencyMSP.admin')" }}
      Endorsement: {{ Type: Signature, Rule: "OR('AgencyMSP.peer')" }}
Profiles:
  Prices:
    Capabilities: {{ V3_0: true }}
    Policies: &usual
      Readers: {{ Type: ImplicitMeta, Rule: ANY Readers }}
      Writers: {{ Type: ImplicitMeta, Rule: ANY Writers }}
      Admins: {{ Type: ImplicitMeta, Rule: MAJORITY Admins }}
    Orderer:
      OrdererType: etcdraft
      EtcdRaft:
        Consenters: [ {{ Host: {host}, Port: {port}, ClientTLSCert: {tls}, ServerTLSCert: {tls} }} ]
      BatchTimeout: 200ms
      Organizations: [ *Orderer ]
      Capabilities: {{ V2_0: true }}
      Policies:
        <<: *usual
        BlockValidation: {{ Type: ImplicitMeta, Rule: ANY Writers }}
    Application:
      Organizations: [ *Agency ]
      Capabilities: {{ V2_5: true }}
      Policies:
        <<: *usual
        Endorsement: {{ Type: ImplicitMeta, Rule: MAJORITY Endorsement }}
        LifecycleEndorsement: {{ Type: ImplicitMeta, Rule: MAJORITY Endorsement }}
""")
    block = consortium.root / "prices.block"
    consortium.weft("configtxgen", "-configPath", consortium.root, "-profile", "Prices", "-channelID", "prices",
                    "-outputBlock", block)
    administration = consortium.network.node("orderer")["administration"]
    admin_tls = consortium.orderer("users/admin@orderer.example/tls")
    consortium.weft(
        "fabric", "osnadmin", "channel", "join", "--channelID", "prices", "--config-block", block,
        "-o", administration, "--ca-file", consortium.orderer("orderers/node0.orderer.example/tls/ca.crt"),
        "--client-cert", admin_tls / "client.crt", "--client-key", admin_tls / "client.key")

    # The orderer lets the agency's peer in because the new channel brings its TLS authority.
    agency.start_peer()
    consortium.weft("channel", "join", block, *agency.flags("prices"))
    assert consortium.weft("channel", "list", *agency.flags("prices")).split() == ["prices"]
    # Both administrators have to sign: the change is about orderers and about the agency.
    consortium.change(["orderer", "agency"], "set-batch", "max-messages=7", "set-acl", "resource=event/Block",
                      "policy=Admins", channel="prices", through="agency")
    assert "a block is full with 7 " in consortium.weft("channel", "show", *agency.flags("prices"))

    utility = consortium["utility"]
    assert consortium.weft("channel", "list", *utility.flags("prices")).split() == ["emissions"]
    # Strangers to a channel get nothing, from its peer or from the orderer.
    refused = consortium.try_weft("channel", "show", *agency.flags("emissions"))
    assert refused.returncode != 0
    connection, tls_hash = agency.connect("user")
    with connection:
        _, status = fabric.peer_blocks(connection, "prices", agency.identity("user"), tls_hash, 0, 0)
    assert status == common_pb2.FORBIDDEN, "the access list of the channel is not heeded"
    connection, tls_hash = agency.connect("admin")
    with connection:
        blocks, status = fabric.peer_blocks(connection, "prices", agency.identity("admin"), tls_hash, 0, 1)
    assert status == common_pb2.SUCCESS and len(blocks) == 2


def test_organizations_join_and_leave_while_others_write(consortium):
    genesis = consortium.root / "emissions.block"
    consortium.weft("channel", "fetch", "--genesis", genesis, *consortium["auditor"].flags("emissions"))
    with Writers(consortium, "auditor") as writers:
        writers.go_on()
        grid = consortium.add("grid")
        grid.start_peer()
        said = consortium.change(
            ["utility", "auditor"], "add-org", "name=grid", f"msp={grid.folder / 'msp'}", "msp-id=GridMSP",
            f"anchor={grid.endpoint}")
        assert "'AuditorMSP.admin' and 'UtilityMSP.admin'" in said
        consortium.weft("channel", "join", genesis, *grid.flags("emissions"))
        consortium.wait(lambda: consortium.height("grid") > 0, "the peer of the new organization does not catch up")
        consortium.approve(grid)
        writers.go_on()
        # Two of three endorse now; the utility's peer leaves, and with it what it would have endorsed.
        consortium.change(["auditor", "grid"], "remove-org", "org=utility")
        writers.go_on()
        utility = consortium["utility"]
        with pytest.raises(grpc.RpcError):
            consortium.gateway("utility").submit("kv", "put", "too", "late")
        with pytest.raises(grpc.RpcError):
            consortium.gateway("auditor", identity=utility.identity("user")).submit("kv", "put", "too", "late")
        consortium.change(["orderer"], "set-batch", "max-messages=5", "timeout=300ms")
        writers.go_on()
    check_nothing_lost(consortium, writers, ["auditor", "grid"])


def check_nothing_lost(consortium, writers, names):
    height = consortium.height(names[0])
    ends = {}
    for name in names:
        consortium.wait(lambda: consortium.height(name) >= height, f"{name} does not catch up")
        blocks = consortium.blocks(name, height)
        ends[name] = check_chain(blocks, name)
        codes = verdicts(blocks)
        lost = writers.acknowledged - codes.keys()
        assert not lost, f"{name} lost {len(lost)} acknowledged transactions, such as {min(lost)}"
        changed = {transaction for transaction in writers.valid if codes[transaction] != transaction_pb2.VALID}
        assert not changed, f"{name}: {len(changed)} transactions were reported VALID and aren't"
    assert len(set(ends.values())) == 1, "the peers' ledgers differ"


def test_a_revoked_identity_is_refused(consortium):
    auditor = consortium["auditor"]
    auditor.issue("leaver", "client")
    gateway = consortium.gateway("auditor", "leaver")
    assert gateway.submit("kv", "put", "before", "1")[1].result == transaction_pb2.VALID
    consortium.change(["auditor"], "revoke", "org=auditor", f"authority={auditor.folder}",
                      f"name=leaver@{auditor.domain}")
    with pytest.raises(grpc.RpcError) as refused:
        gateway.submit("kv", "put", "after", "1")
    assert "access denied" in reasons(refused.value)
    assert consortium.gateway("auditor").submit("kv", "put", "after", "1")[1].result == transaction_pb2.VALID


def reasons(error):
    """What the gateway says, with what each node said."""
    details = [value for name, value in error.trailing_metadata() or [] if name == "grpc-status-details-bin"]
    return error.details() + b"".join(details).decode(errors="replace")


def certificate(subject, key, issuer, issuer_key, begin, end, authority=False):
    """A certificate as a foreign authority would make it."""
    identifier = x509.SubjectKeyIdentifier.from_public_key
    # SubjectKeyIdentifier of the issuer as it stands in its own certificate.
    issuer_identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    usage = dict.fromkeys(["digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
                           "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"], False)
    usage["digital_signature"] = True
    usage["key_cert_sign"] = usage["crl_sign"] = authority
    return (x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(kind, value) for kind, value in subject]))
            .issuer_name(issuer.subject).public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(begin).not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=0 if authority else None), True)
            .add_extension(x509.KeyUsage(**usage), True)
            .add_extension(identifier(key.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_identifier), False)
            .sign(issuer_key, hashes.SHA256()))


def pem(value):
    if isinstance(value, x509.Certificate):
        return value.public_bytes(serialization.Encoding.PEM)
    return value.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                               serialization.NoEncryption())


def write_msp(folder, leaf, key):
    for name, content in [("signcerts/cert.pem", pem(leaf)), ("keystore/priv_sk", pem(key))]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def test_an_identity_of_an_intermediate_authority_works_and_an_expired_one_does_not(consortium):
    branch = consortium.add("branch")
    authority = branch.folder / "ca"
    root = x509.load_pem_x509_certificate(next(authority.glob("*-cert.pem")).read_bytes())
    root_key = serialization.load_pem_private_key(next(authority.glob("*_sk")).read_bytes(), None)
    # Nothing is valid before its authority is; authorities begin five minutes before they are made.
    begin, second = root.not_valid_before_utc, datetime.timedelta(seconds=1)
    end = begin + datetime.timedelta(days=9)
    name, unit = x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATIONAL_UNIT_NAME
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    between = certificate([(name, "ica.branch.example")], keys[0], root, root_key, begin + second, end, True)
    clerk = certificate([(unit, "client"), (name, "clerk")], keys[1], between, keys[0], begin + 2 * second, end)
    late = certificate([(unit, "client"), (name, "late")], keys[2], between, keys[0], begin + 2 * second, begin + 60 * second)

    # An authority that has another one below it issues no members itself, so roles are not bound to the root here.
    folder = branch.folder / "msp"
    (folder / "intermediatecerts").mkdir()
    (folder / "intermediatecerts/ica.pem").write_bytes(pem(between))
    settings = folder / "config.yaml"
    settings.write_text(re.sub(r"(?m)^\s+Certificate:.*\n", "", settings.read_text()))
    write_msp(consortium.root / "clerk", clerk, keys[1])
    write_msp(consortium.root / "late", late, keys[2])
    someone = fabric.Identity("BranchMSP", consortium.root / "clerk")
    expired = fabric.Identity("BranchMSP", consortium.root / "late")

    with pytest.raises(grpc.RpcError):
        consortium.gateway("auditor", identity=someone).submit("kv", "put", "branch", "too early")
    consortium.change(["auditor", "grid"], "add-org", "name=branch", f"msp={folder}", "msp-id=BranchMSP")
    assert consortium.gateway("auditor", identity=someone).submit("kv", "put", "branch", "1")[1].result \
        == transaction_pb2.VALID
    with pytest.raises(grpc.RpcError):
        consortium.gateway("auditor", identity=branch.identity("user")).submit("kv", "put", "branch", "by the root")
    with pytest.raises(grpc.RpcError) as refused:
        consortium.gateway("auditor", identity=expired).submit("kv", "put", "late", "1")
    assert "expired" in reasons(refused.value)


def test_a_peer_leaves_a_channel_and_joins_again(consortium):
    grid = consortium["grid"]
    running = consortium.try_weft("peer", "unjoin", "--config", grid.configuration, "--channel", "emissions")
    assert running.returncode == 1 and "stop it first" in running.stderr
    grid.stop_peer()
    consortium.weft("peer", "unjoin", "--config", grid.configuration, "--channel", "emissions")
    grid.log.unlink()
    grid.run_peer()
    assert consortium.weft("channel", "list", *grid.flags("emissions")).strip() == "the peer has joined no channel"
    consortium.weft("channel", "join", consortium.root / "emissions.block", *grid.flags("emissions"))
    height = consortium.height("auditor")
    consortium.wait(lambda: consortium.height("grid") >= height, "the peer does not catch up")
    assert check_chain(consortium.blocks("grid", height), "grid") \
        == check_chain(consortium.blocks("auditor", height), "auditor")
