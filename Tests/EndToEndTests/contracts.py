"""Contracts in processes of their own, as chaincode is deployed on Fabric: packages, what contracts do wrong, and what is
told of them, on a network of real processes. What they do right is in behaviour.py. Run by scripts/contracts."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request

import grpc
import pytest

import fabric
import processes
from fabric_protos.common import common_pb2
from fabric_protos.peer import transaction_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2

PROGRAMS = pathlib.Path(__file__).resolve().parent / "chaincode"


def free_port():
    """A port below those that the system gives to outgoing connections, which could take it before the contract does."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def archive(files):
    """A tar.gz of files, given by name."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(out.getvalue(), mtime=0)


def package(label, address, kind="ccaas"):
    """A package and its identifier."""
    code = archive({"connection.json": json.dumps({"address": address, "dial_timeout": "5s"}).encode()})
    content = archive({"metadata.json": json.dumps({"type": kind, "label": label}).encode(), "code.tar.gz": code})
    return content, f"{label}:{hashlib.sha256(content).hexdigest()}"


class Deployed:
    """A contract that is defined on the channel, and its process."""

    def __init__(self, network, name, program):
        self.network, self.name, self.program = network, name, program
        self.address = f"127.0.0.1:{free_port()}"
        self.package, self.identifier = package(name, self.address)
        self.process = None
        self.log = network.folder / f"{name}.log"

    def command(self):
        return [sys.executable, PROGRAMS / self.program]

    def start(self):
        environment = dict(os.environ, CHAINCODE_ID=self.identifier, CHAINCODE_SERVER_ADDRESS=self.address)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), env=environment, stdout=log, stderr=log)
        host, port = self.address.split(":")
        end = time.monotonic() + 60
        while True:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=5):
                return
            assert time.monotonic() < end, "the contract did not listen:\n" + self.log.read_text()[-3000:]
            time.sleep(0.05)

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=30)

    def deploy(self):
        for peer in self.network.peers():
            result = self.lifecycle(peer, "", "InstallChaincode", lifecycle_pb2.InstallChaincodeArgs(
                chaincode_install_package=self.package))
            assert result.response.status == 200, result.response.message
            installed = lifecycle_pb2.InstallChaincodeResult.FromString(result.response.payload)
            assert (installed.package_id, installed.label) == (self.identifier, self.name)
        for peer in self.network.peers():
            approval = lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgArgs(
                name=self.name, version="1.0", sequence=1,
                source=lifecycle_pb2.ChaincodeSource(local_package=lifecycle_pb2.ChaincodeSource.Local(
                    package_id=self.identifier)))
            self.submit([peer], "ApproveChaincodeDefinitionForMyOrg", approval)
        definition = lifecycle_pb2.CommitChaincodeDefinitionArgs(name=self.name, version="1.0", sequence=1)
        self.submit(self.network.peers(), "CommitChaincodeDefinition", definition)

    def lifecycle(self, peer, channel, function, arguments):
        admin = self.network.identity(f"{peer}/admin")
        connection, _ = self.network.connect(peer, f"{peer}/admin")
        _, signed = fabric.proposal(channel, "_lifecycle", [function, arguments.SerializeToString()], admin)
        with connection:
            return fabric.endorser(connection, signed)

    def submit(self, peers, function, arguments, seen_by=None):
        """Has a transaction endorsed by these peers and ordered, and waits until it is committed; at all peers by default."""
        admin = self.network.identity(f"{peers[0]}/admin")
        transaction_id, signed = fabric.proposal(
            self.network.channel, "_lifecycle", [function, arguments.SerializeToString()], admin)
        responses = []
        for peer in peers:
            connection, _ = self.network.connect(peer, f"{peer}/admin")
            with connection:
                responses.append(fabric.endorser(connection, signed))
            assert responses[-1].response.status == 200, responses[-1].response.message
        orderer, _ = self.network.connect("orderer", f"{peers[0]}/admin")
        with orderer:
            answer = fabric.broadcast(orderer, fabric.assemble(signed, responses, admin))
            assert answer.status == common_pb2.SUCCESS, answer.info
        for peer in seen_by or self.network.peers():
            connection, _ = self.network.connect(peer, f"{peers[0]}/admin")
            with connection:
                status = fabric.Gateway(connection, self.network.channel, admin).status(transaction_id)
                assert status.result == transaction_pb2.VALID


class Program(Deployed):
    """A contract that is a program of its own, by its name."""

    folder = pathlib.Path(os.environ["SAMPLES"])

    def command(self):
        return [self.folder / self.program]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A network of Weft's nodes; NETWORK names the folder of another one that runs, as scripts/interop has with Fabric's peers."""
    if "NETWORK" in os.environ:
        yield fabric.Network(os.environ["NETWORK"])
        return
    consortium = processes.Consortium(tmp_path_factory.mktemp("contracts") / "network", os.environ["WEFT"])
    try:
        consortium.up()
        yield consortium.network
    finally:
        consortium.down("--remove")


def deployed(contract):
    """For a fixture: the contract runs and is on the channel."""
    try:
        contract.start()
        contract.deploy()
        yield contract
    finally:
        contract.stop()


@pytest.fixture(scope="module")
def direct(network):
    yield from deployed(Deployed(network, "direct", "direct_contract.py"))


@pytest.fixture(scope="module")
def gateway(network):
    connection, _ = network.connect("utility", "utility/user")
    with connection:
        yield fabric.Gateway(connection, network.channel, network.identity("utility/user"))


def submit(gateway, *call, organizations=()):
    """Submits, and returns what was committed when; fails unless it is valid."""
    transaction_id, status = gateway.submit(*call, organizations=organizations)
    assert status.result == transaction_pb2.VALID, (call, status.result)
    return transaction_id, status


def reasons(call):
    """Everything that a failed call's error says."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    trailers = b"".join(entry.value if isinstance(entry.value, bytes) else entry.value.encode()
                        for entry in caught.value.trailing_metadata())
    return caught.value.details() + trailers.decode(errors="replace")


def eventually(holds):
    """Waits until a call succeeds and is true: the peer waits up to 5 s before it connects to a lost contract again."""
    end = time.monotonic() + 60
    while True:
        try:
            assert holds()
            return
        except grpc.RpcError as error:
            assert time.monotonic() < end, error
            time.sleep(0.2)


def test_requests_of_contracts_are_counted(network, gateway, direct):
    gateway.evaluate("direct", "get", "counted")
    address = network.node("utility")["operations"]
    metrics = urllib.request.urlopen(f"http://{address}/metrics", timeout=30).read().decode()
    lines = [line for line in metrics.splitlines() if direct.identifier in line]
    assert any(line.startswith("chaincode_shim_requests_received{") and 'type="GET_STATE"' in line for line in lines)
    assert any(line.startswith("chaincode_launch_duration_count{") and 'success="true"' in line for line in lines)


def test_fabrics_peer_command_knows_packages(network, direct, tmp_path):
    (tmp_path / "peer").symlink_to(os.environ["WEFT"])
    (tmp_path / "package.tar.gz").write_bytes(direct.package)
    (tmp_path / "core.yaml").write_text("peer: { tls: { enabled: true, clientAuthRequired: true } }\n")
    admin = network.path("organizations/agency/users/admin@agency.example")
    environment = dict(
        os.environ, FABRIC_CFG_PATH=str(tmp_path), CORE_PEER_LOCALMSPID="AgencyMSP",
        CORE_PEER_MSPCONFIGPATH=str(admin / "msp"), CORE_PEER_ADDRESS=network.node("agency")["endpoint"],
        CORE_PEER_TLS_ROOTCERT_FILE=str(network.path(network.node("agency")["tlsRoots"])),
        CORE_PEER_TLS_CLIENTCERT_FILE=str(admin / "tls/client.crt"),
        CORE_PEER_TLS_CLIENTKEY_FILE=str(admin / "tls/client.key"))

    def run(*arguments):
        return subprocess.run([tmp_path / "peer", "lifecycle", "chaincode", *arguments], env=environment, cwd=tmp_path,
                              capture_output=True, text=True, timeout=60)

    assert run("calculatepackageid", "package.tar.gz").stdout.strip() == direct.identifier
    listed = run("queryinstalled")
    assert f"Package ID: {direct.identifier}, Label: direct\n" in listed.stdout, listed.stderr
    again = run("install", "package.tar.gz")
    assert again.returncode == 1 and "chaincode already successfully installed" in again.stderr
    other, identifier = package("other", "127.0.0.1:1")
    (tmp_path / "other.tar.gz").write_bytes(other)
    installed = run("install", "other.tar.gz")
    assert installed.returncode == 0, installed.stderr
    assert f"Chaincode code package identifier: {identifier}" in installed.stderr + installed.stdout
    assert run("getinstalledpackage", "--package-id", identifier).returncode == 0
    assert (tmp_path / f"{identifier}.tar.gz").read_bytes() == other


def test_what_contracts_do_wrong_stays_with_them(gateway, direct):
    submit(gateway, "direct", "put", "b1", "1")
    text = reasons(lambda: gateway.endorse("direct", "break_off", "out of order"))
    assert "transaction returned with failure: out of order" in text
    assert gateway.evaluate("direct", "another", "b1") == b"1"
    log = (direct.network.folder / "nodes/utility/log").read_text()
    assert "PUT_STATE for transaction 0000" in log and direct.identifier in log
    assert b"GET_STATE failed" in gateway.evaluate("direct", "garbage")
    text = reasons(lambda: gateway.evaluate("direct", "flood"))
    assert "more than 10000 messages out of turn" in text and "chaincode stream terminated" in text
    log = (direct.network.folder / "nodes/utility/log").read_text()
    assert log.count("DEL_STATE for transaction 0000") <= 100
    eventually(lambda: gateway.evaluate("direct", "get", "b1") == b"1")
    assert "chaincode stream terminated" in reasons(lambda: gateway.evaluate("direct", "die"))
    direct.process.wait(timeout=30)
    text = reasons(lambda: gateway.evaluate("direct", "get", "b1"))
    assert direct.address in text or "chaincode stream terminated" in text
    gateway.submit("kv", "put", "meanwhile", "1")
    direct.start()
    eventually(lambda: gateway.evaluate("direct", "get", "b1") == b"1")


# Packages.

def test_packages_are_listed_and_given_back(network, direct):
    listed = direct.lifecycle("agency", "", "QueryInstalledChaincodes", lifecycle_pb2.QueryInstalledChaincodesArgs())
    entries = lifecycle_pb2.QueryInstalledChaincodesResult.FromString(listed.response.payload).installed_chaincodes
    entry = next(entry for entry in entries if entry.package_id == direct.identifier)
    used = entry.references[network.channel].chaincodes
    assert [(chaincode.name, chaincode.version) for chaincode in used] == [("direct", "1.0")]
    again = direct.lifecycle("agency", "", "GetInstalledChaincodePackage",
                             lifecycle_pb2.GetInstalledChaincodePackageArgs(package_id=direct.identifier))
    assert lifecycle_pb2.GetInstalledChaincodePackageResult.FromString(
        again.response.payload).chaincode_install_package == direct.package


def test_packages_that_cannot_be_used_are_refused(direct):
    def install(content):
        answer = direct.lifecycle("agency", "", "InstallChaincode", lifecycle_pb2.InstallChaincodeArgs(
            chaincode_install_package=content)).response
        assert answer.status == 500
        return answer.message

    assert f"chaincode already successfully installed (package ID '{direct.identifier}')" in install(direct.package)
    assert "can't be read" in install(b"nonsense")
    assert 'of type "golang"' in install(package("go", "127.0.0.1:1", "golang")[0])
    code = archive({"../connection.json": b"{}"})
    assert "leads out of its folder" in install(
        archive({"metadata.json": b'{"type": "ccaas", "label": "x"}', "code.tar.gz": code}))
