"""Fabric's peers and Weft's on one channel, in the same organization and in different ones, one organization having Fabric's
alone: a contract that both kinds of tools define, endorsed across both kinds by the gateway of either, and its private data both
ways. Run by mixed.sh. WEFT names the weft executable, FABRIC_BIN the folder of Fabric's programs, SAMPLES that of the contract.

    utility   utility (Weft)     utility1 (Fabric)
    auditor   auditor (Weft)     auditor1 (Weft)
    agency    agency (Fabric)    agency1 (Fabric)
"""

import hashlib
import json
import os
import pathlib
import signal
import subprocess

import grpc
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

import contracts
import fabric
import neighbours
from fabric_protos.common import common_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import transaction_pb2

FABRIC_BIN = pathlib.Path(os.environ["FABRIC_BIN"])
FABRIC = ["utility1", "agency", "agency1"]
WEFT = ["utility", "auditor", "auditor1"]
# The two organizations with peers of one kind alone. The third, with one of each kind, is no member of their collections.
MEMBERS = {"auditor": ["auditor", "auditor1"], "agency": ["agency", "agency1"]}
GOSSIP = {**neighbours.QUICK, "aliveTimeInterval": "1s", "aliveExpirationTimeout": "6s", "pvtData": {
    "pullRetryThreshold": "3s", "pushAckTimeout": "5s", "reconcileSleepInterval": "1s"}}
COLLECTIONS = [
    {"name": name, "policy": "OR('AuditorMSP.member', 'AgencyMSP.member')", "requiredPeerCount": required,
     "maxPeerCount": maximum, "blockToLive": 0, "memberOnlyRead": False, "memberOnlyWrite": False,
     "endorsementPolicy": {"signaturePolicy": "OR('AuditorMSP.peer', 'AgencyMSP.peer')"}}
    # Endorsed once all three other peers of members have it; given to nobody before it is asked for.
    for name, required, maximum in [("pushed", 3, 3), ("fetched", 0, 0)]]
POLICY = "AND('AgencyMSP.peer', 'AuditorMSP.peer')"


def settings(values, prefix="CORE_PEER_GOSSIP"):
    """Keys of a peer's file as the environment of Fabric's peer."""
    found = {}
    for key, value in values.items():
        name = f"{prefix}_{key.upper()}"
        found.update(settings(value, name) if isinstance(value, dict) else {name: str(value)})
    return found


class Mixed(neighbours.Neighbours):
    """Three organizations with two peers each, of which three are Fabric's, with the identities and at the addresses that
    `weft network up` gave them."""

    def up(self):
        self.weft("network", "up", "--folder", self.folder, "--orgs", 3, "--peers", 2, "--base-port", 0)
        self.know()
        self.stop()
        self.builder()
        for name in FABRIC:
            self.empty(name)
        for name in WEFT:
            self.configure(name, GOSSIP)
        self.start()
        self.see({name: 5 for name in self.peers})
        self.level()

    def builder(self):
        """Fabric's settings, with the builder for contracts as services that comes with Fabric, in a few lines."""
        folder = self.root / "builder/bin"
        folder.mkdir(parents=True)
        for name, lines in {
            "detect": '[ "$(jq -r .type "$2/metadata.json")" = ccaas ]',
            "build": 'cp "$1/connection.json" "$3/"',
            "release": 'mkdir -p "$2/chaincode/server" && cp "$1/connection.json" "$2/chaincode/server/"',
        }.items():
            (folder / name).write_text(f"#!/bin/sh\n{lines}\n")
            (folder / name).chmod(0o755)
        core = (FABRIC_BIN / "sampleconfig/core.yaml").read_text()
        there = "/opt/hyperledger/ccaas_builder"
        assert there in core
        (self.root / "core.yaml").write_text(core.replace(there, str(folder.parent)))

    def start(self, names=None):
        names = names or ["orderer", *self.peers]
        if of_weft := [name for name in names if name not in FABRIC]:
            super().start(of_weft)
        for name in FABRIC:
            if name in names and (name not in self.processes or self.processes[name].poll() is not None):
                self.start_fabric(name)

    def start_fabric(self, name):
        node, endpoint = self.identity_folder(name), self.network.node(name)["endpoint"]
        data = self.folder / "nodes" / name / "data"
        is_new = not data.exists()
        environment = {
            **os.environ, **settings(GOSSIP), "FABRIC_CFG_PATH": str(self.root), "FABRIC_LOGGING_SPEC": "info",
            "CORE_PEER_ID": name, "CORE_PEER_LISTENADDRESS": endpoint, "CORE_PEER_ADDRESS": endpoint,
            "CORE_PEER_LOCALMSPID": self.network.node(name)["mspID"], "CORE_PEER_MSPCONFIGPATH": f"{node}/msp",
            "CORE_PEER_TLS_ENABLED": "true", "CORE_PEER_TLS_CLIENTAUTHREQUIRED": "true",
            "CORE_PEER_TLS_CERT_FILE": f"{node}/tls/server.crt", "CORE_PEER_TLS_KEY_FILE": f"{node}/tls/server.key",
            "CORE_PEER_TLS_ROOTCERT_FILE": f"{node}/tls/ca.crt",
            "CORE_PEER_TLS_CLIENTROOTCAS_FILES": f"{node}/tls/ca.crt",
            "CORE_PEER_TLS_CLIENTCERT_FILE": f"{node}/tls/server.crt",
            "CORE_PEER_TLS_CLIENTKEY_FILE": f"{node}/tls/server.key",
            "CORE_PEER_FILESYSTEMPATH": str(data), "CORE_LEDGER_SNAPSHOTS_ROOTDIR": f"{data}/snapshots",
            "CORE_PEER_CHAINCODELISTENADDRESS": f"127.0.0.1:{contracts.free_port()}", "CORE_VM_ENDPOINT": "",
            "CORE_OPERATIONS_LISTENADDRESS": self.network.node(name)["operations"],
            # What was asked for in vain is asked for again after an hour, if not set; every other time with this.
            "CORE_LEDGER_PVTDATASTORE_DEPRIORITIZEDDATARECONCILERINTERVAL": "1500ms",
            "CORE_METRICS_PROVIDER": "prometheus", "CORE_PEER_GOSSIP_BOOTSTRAP": endpoint,
            "CORE_PEER_GOSSIP_ENDPOINT": endpoint, "CORE_PEER_GOSSIP_EXTERNALENDPOINT": endpoint,
        }
        log = self.folder / "nodes" / name / "log"
        log.touch()
        written = len(self.log(name))
        with log.open("a") as output:
            self.processes[name] = subprocess.Popen(
                [FABRIC_BIN / "peer", "node", "start"], env=environment, stdout=output, stderr=output)
        self.wait(lambda: "Started peer with ID" in self.log(name)[written:], f"{name} does not start")
        if is_new:
            self.run(FABRIC_BIN / "peer", name, "channel", "join", "-b", self.folder / f"{self.channel}.block")

    def organization(self, name):
        return name.rstrip("1")

    def identity_folder(self, name):
        return self.network.path(self.network.node(name)["tlsRoots"]).parent.parent

    def roots(self, name):
        return self.network.path(self.network.node(name)["tlsRoots"])

    def run(self, program, name, *arguments):
        """Calls Fabric's `peer`, or Weft's in its place, as an administrator of a peer's organization, at that peer."""
        command = [program, *(["fabric", "peer"] if program == self.executable else []), *map(str, arguments)]
        admin = next(entry for entry in self.network.description["identities"]
                     if entry["name"] == f"{self.organization(name)}/admin")
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={
            **os.environ, "FABRIC_CFG_PATH": str(self.root), "FABRIC_LOGGING_SPEC": "error",
            "CORE_PEER_ADDRESS": self.network.node(name)["endpoint"], "CORE_PEER_LOCALMSPID": admin["mspID"],
            "CORE_PEER_MSPCONFIGPATH": str(self.network.path(admin["msp"])), "CORE_PEER_TLS_ENABLED": "true",
            "CORE_PEER_TLS_CLIENTAUTHREQUIRED": "true", "CORE_PEER_TLS_ROOTCERT_FILE": str(self.roots(name)),
            "CORE_PEER_TLS_CLIENTCERT_FILE": str(self.network.path(admin["tlsCertificate"])),
            "CORE_PEER_TLS_CLIENTKEY_FILE": str(self.network.path(admin["tlsKey"]))})
        assert done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}{self.logs()}"
        return done.stdout

    def to_orderer(self, name):
        admin = next(entry for entry in self.network.description["identities"]
                     if entry["name"] == f"{self.organization(name)}/admin")
        return ["-o", self.network.node("orderer")["endpoint"], "--tls", "--cafile", self.roots("orderer"), "--clientauth",
                "--certfile", self.network.path(admin["tlsCertificate"]), "--keyfile", self.network.path(admin["tlsKey"])]

    def deploy(self, contract):
        """Every peer has the package, each organization approves by another tool at another kind of peer, and the last one
        commits."""
        package, collections = self.root / "mixed.tar.gz", self.root / "collections.json"
        package.write_bytes(contract.package)
        collections.write_text(json.dumps(COLLECTIONS))
        # Each kind of tool at each kind of peer.
        for program, name in [(FABRIC_BIN / "peer", "utility"), (self.executable, "utility1"),
                              (FABRIC_BIN / "peer", "agency1"), (self.executable, "auditor1")]:
            self.run(program, name, "lifecycle", "chaincode", "install", package)
        self.run(FABRIC_BIN / "peer", "utility", "lifecycle", "chaincode", "approveformyorg", *self.to_orderer("utility"),
                 "-C", self.channel, "-n", contract.name, "--version", "1.0", "--sequence", 1, "--signature-policy", POLICY,
                 "--collections-config", collections, "--package-id", contract.identifier)
        for name in ["agency", "auditor"]:
            self.weft("contract", "deploy", package, "--name", contract.name, "--policy", POLICY, "--collections",
                      collections, "--network", self.folder, "--as", f"{name}/admin", "--peer", name)

    def layouts(self, name, *call):
        """Who must endorse a call of the contract, as Fabric's `discover` is told by a peer: layouts, of how many from which
        peers."""
        admin = self.network.path("organizations/utility/users/admin@utility.example")
        key, certificate = next((admin / "msp/keystore").iterdir()), next((admin / "msp/signcerts").iterdir())
        roots = self.root / "roots.pem"
        roots.write_text("".join(self.roots(peer).read_text() for peer in self.peers))
        done = subprocess.run(
            [FABRIC_BIN / "discover", "--peerTLSCA", roots, "--userKey", key, "--userCert", certificate, "--MSP", "UtilityMSP",
             "--tlsCert", admin / "tls/client.crt", "--tlsKey", admin / "tls/client.key", "endorsers", "--channel",
             self.channel, "--server", self.network.node(name)["endpoint"], "--chaincode", "mixed", *call],
            capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            return done.stdout + done.stderr
        # Groups have names of no meaning: they stand for their peers.
        descriptor, = json.loads(done.stdout)
        return sorted(
            sorted((count, *sorted((peer["MSPID"], peer["Endpoint"]) for peer in descriptor["EndorsersByGroups"][group]))
                   for group, count in layout["quantities_by_group"].items())
            for layout in descriptor["Layouts"])

    def one_of(self, organization):
        """One from all peers of an organization, as in a layout."""
        return (1, *sorted((f"{organization.capitalize()}MSP", self.network.node(name)["endpoint"])
                           for name in self.peers if self.organization(name) == organization))

    def meet(self):
        """Waits until all nodes run, and all peers are at the same height and know each other with what they endorse."""
        self.start()
        self.see({name: 5 for name in self.peers})
        self.level()
        everybody = [[self.one_of("agency"), self.one_of("auditor")]]
        for name in self.peers:
            self.wait(lambda: self.layouts(name) == everybody, f"{name} knows other endorsers: {self.layouts(name)}")

    def gateway(self, name):
        """A client of a peer's organization at the gateway of that peer."""
        client = f"{self.organization(name)}/user"
        connection, _ = self.network.connect(name, client)
        return fabric.Gateway(connection, self.channel, self.network.identity(client))

    def propose(self, name, *arguments, value=None):
        """What one peer answers to a proposal of a client of its own organization."""
        client = f"{self.organization(name)}/user"
        connection, _ = self.network.connect(name, client)
        transient = {"value": value.encode()} if value else None
        identifier, signed = fabric.proposal(
            self.channel, "mixed", arguments, self.network.identity(client), transient=transient)
        with connection:
            return identifier, signed, fabric.endorser(connection, signed)

    def endorse(self, name, collection, key, value):
        """Has a private value endorsed by one peer; returns how to have it ordered."""
        identifier, signed, answer = self.propose(name, "put_private", collection, key, value=value)
        assert answer.response.status == 200, answer.response.message
        client = f"{self.organization(name)}/user"

        def order():
            connection, _ = self.network.connect("orderer", client)
            with connection:
                ordered = fabric.broadcast(
                    connection, fabric.assemble(signed, [answer], self.network.identity(client)))
            assert ordered.status == common_pb2.SUCCESS, ordered.info
            return identifier
        return order

    def committed(self, name, identifier):
        """A peer has a transaction, as VALID."""
        status = self.gateway(name).status(identifier)
        assert status.result == transaction_pb2.VALID, f"{name}: {status.result}"

    def read(self, name, collection, key):
        """A private value as a peer has it; None if it can't give it."""
        answer = self.propose(name, "get_private", collection, key)[2].response
        return answer.payload.decode() if answer.status == 200 and answer.payload else None

    def stored(self, name, value):
        """Whether a value is anywhere among the files of a peer."""
        files = (self.folder / "nodes" / name / "data").rglob("*")
        return any(value.encode() in file.read_bytes() for file in files if file.is_file())


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    network, contract = Mixed(tmp_path_factory.mktemp("mixed"), os.environ["WEFT"]), None
    try:
        network.up()
        contract = contracts.Program(network.network, "mixed", "BehaviourContract")
        contract.start()
        network.deploy(contract)
        yield network
    finally:
        if contract:
            contract.stop()
        network.down()


@pytest.fixture(autouse=True)
def whole(mixed):
    mixed.meet()


def secret():
    return os.urandom(24).hex()


def endorsers(prepared):
    """Who signed a transaction: each one's organization and name."""
    transaction = transaction_pb2.Transaction.FromString(common_pb2.Payload.FromString(prepared.payload).data)
    action = transaction_pb2.ChaincodeActionPayload.FromString(transaction.actions[0].payload).action
    found = set()
    for endorsement in action.endorsements:
        identity = identities_pb2.SerializedIdentity.FromString(endorsement.endorser)
        subject = x509.load_pem_x509_certificate(identity.id_bytes).subject
        host, organization, _ = subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value.split(".")
        assert identity.mspid == f"{organization.capitalize()}MSP"
        found.add(organization + host.removeprefix("node").replace("0", ""))
    return found


def submit(mixed, name, key, value):
    """Has a key written through the gateway of a peer; returns who endorsed."""
    gateway = mixed.gateway(name)
    try:
        identifier, prepared = gateway.endorse("mixed", "put", key, value)
    except grpc.RpcError as error:
        told = [content for _, content in error.trailing_metadata() if isinstance(content, bytes)]
        pytest.fail(f"{error.details()}: {told}")
    gateway.send(identifier, prepared)
    assert gateway.status(identifier).result == transaction_pb2.VALID
    return endorsers(prepared)


def test_all_peers_know_the_definition_that_tools_of_both_kinds_made(mixed):
    told = {mixed.run(program, name, "lifecycle", "chaincode", "querycommitted", "-C", mixed.channel, "-n", "mixed",
                      "--output", "json")
            for name in mixed.peers for program in [FABRIC_BIN / "peer", mixed.executable]}
    assert len(told) == 1, told
    definition = json.loads(told.pop())
    assert definition["sequence"] == 1 and set(definition["approvals"].values()) == {True}, definition
    assert len(definition["collections"]["config"]) == 2, definition


def test_discovery_of_both_kinds_names_endorsers_of_both(mixed):
    agency, auditor = mixed.one_of("agency"), mixed.one_of("auditor")
    for name in mixed.peers:
        # Both organizations for the contract's state; one of them for what it writes to a collection alone.
        assert mixed.layouts(name) == [[agency, auditor]], name
        assert mixed.layouts(name, "--collection", "mixed:fetched") == [[agency], [auditor]], name


@pytest.mark.parametrize("name", ["utility", "auditor", "utility1", "agency"])
def test_a_gateway_of_each_kind_has_peers_of_the_other_endorse(mixed, name):
    kind = "Fabric" if name in FABRIC else "Weft"
    value = secret()
    signed = submit(mixed, name, f"by-{name}", value)
    assert {mixed.organization(peer) for peer in signed} == {"agency", "auditor"}, signed
    mixed.level()
    for peer in mixed.peers:
        assert mixed.gateway(peer).evaluate("mixed", "get", f"by-{name}") == value.encode(), f"{peer}, {kind}'s gateway"


@pytest.mark.parametrize("gateway, stopped", [("utility", "agency"), ("agency", "auditor")])
def test_a_gateway_works_around_a_stopped_endorser_of_the_other_kind(mixed, gateway, stopped):
    for peer in [stopped, f"{stopped}1"]:
        mixed.end(peer, signal.SIGKILL)
        # At once, when it is still taken for alive, and when it is known to be gone.
        for key in ["at-once", "later"]:
            signed = submit(mixed, gateway, f"{key}-{peer}", "1")
            assert {mixed.organization(name) for name in signed} == {"agency", "auditor"} and peer not in signed, signed
            mixed.see({gateway: 4})
        mixed.meet()


@pytest.mark.parametrize("giver, taker", [("auditor", "agency"), ("agency", "auditor")])
def test_a_private_value_reaches_members_of_the_other_kind_before_it_is_committed(mixed, giver, taker):
    value = secret()
    order = mixed.endorse(giver, "pushed", f"by-{giver}", value)
    # Those who are left to have it committed got it before.
    for name in MEMBERS[giver]:
        mixed.end(name, signal.SIGKILL)
    identifier = order()
    for name in MEMBERS[taker]:
        mixed.committed(name, identifier)
        assert mixed.read(name, "pushed", f"by-{giver}") == value, name
    mixed.start()
    mixed.level()
    not_given_to_others(mixed, "pushed", f"by-{giver}", value)


@pytest.mark.parametrize("giver, taker", [("auditor", "agency"), ("agency", "auditor")])
def test_a_private_value_that_was_not_pushed_is_fetched_at_the_commit(mixed, giver, taker):
    value = secret()
    identifier = mixed.endorse(giver, "fetched", f"by-{giver}", value)()
    for name in MEMBERS[giver] + MEMBERS[taker]:
        mixed.committed(name, identifier)
        assert mixed.read(name, "fetched", f"by-{giver}") == value, name
    not_given_to_others(mixed, "fetched", f"by-{giver}", value)


@pytest.mark.parametrize("giver, taker", [("auditor", "agency"), ("agency", "auditor")])
def test_a_member_that_was_down_gets_a_private_value_by_reconciliation(mixed, giver, taker):
    value, key = secret(), f"late-by-{giver}"
    for name in MEMBERS[taker]:
        mixed.end(name)
    identifier = mixed.endorse(giver, "fetched", key, value)()
    for name in MEMBERS[giver]:
        mixed.committed(name, identifier)
        mixed.end(name)
    mixed.start(MEMBERS[taker])
    for name in MEMBERS[taker]:
        # The block waits for the data, but not for ever.
        mixed.committed(name, identifier)
        assert mixed.read(name, "fetched", key) is None, name
    mixed.start(MEMBERS[giver])
    for name in MEMBERS[taker]:
        mixed.wait(lambda: mixed.read(name, "fetched", key) == value, f"{name} does not get it")
    mixed.level()
    not_given_to_others(mixed, "fetched", key, value)


@pytest.mark.parametrize("giver, taker", [("utility", "utility1"), ("utility1", "utility")])
def test_an_organizations_own_private_value_reaches_its_peer_of_the_other_kind(mixed, giver, taker):
    value = secret()
    order = mixed.endorse(giver, "_implicit_org_UtilityMSP", f"by-{giver}", value)
    mixed.end(giver, signal.SIGKILL)
    mixed.committed(taker, order())
    assert mixed.read(taker, "_implicit_org_UtilityMSP", f"by-{giver}") == value
    mixed.start()
    mixed.level()
    for name in [*MEMBERS["auditor"], *MEMBERS["agency"]]:
        assert mixed.read(name, "_implicit_org_UtilityMSP", f"by-{giver}") is None and not mixed.stored(name, value), name


def not_given_to_others(mixed, collection, key, value):
    """Who is no member has the hash, and never had the value; members have it on disk, so that looking there means something."""
    for name in ["utility", "utility1"]:
        answer = mixed.propose(name, "get_private", collection, key)[2].response
        assert answer.status == 500 and "private data matching public hash version is not available" in answer.message, (
            name, answer.status, answer.message)
        told = mixed.propose(name, "hash_private", collection, key)[2].response
        assert told.payload == hashlib.sha256(value.encode()).digest(), name
        assert not mixed.stored(name, value), name
    for names in MEMBERS.values():
        assert all(mixed.stored(name, value) for name in names)
