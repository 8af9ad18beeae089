"""Contracts that the peer builds and starts itself: packages of type executable and python, and an external builder. Run by
scripts/contracts."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

import contracts
import fabric
import processes
from contracts import eventually, reasons, submit
from fabric_protos.common import policies_pb2
from fabric_protos.msp import msp_principal_pb2
from fabric_protos.peer import collection_pb2, policy_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2

# Runs what is built with the interpreter that has the libraries, as a client of the peer.
BUILDER = {
    "detect": """grep -q '"type":"shell"' "$2/metadata.json" """,
    "build": """cp "$1/contract.py" "$3/" && echo "built by $BUILDER_NAME" > "$3/name" """,
    "run": """
value() { "$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$2/chaincode.json" "$1"; }
value client_key "$2" > "$2/key.pem"; value client_cert "$2" > "$2/cert.pem"; value root_cert "$2" > "$2/root.pem"
export CORE_PEER_TLS_ENABLED=true CORE_PEER_TLS_ROOTCERT_FILE="$2/root.pem"
export CORE_TLS_CLIENT_KEY_FILE="$2/key.pem" CORE_TLS_CLIENT_CERT_FILE="$2/cert.pem"
export CORE_CHAINCODE_ID_NAME="$(value chaincode_id "$2")"
exec "$PYTHON" "$1/contract.py" -peer.address "$(value peer_address "$2")"
""",
}


class Launched(contracts.Deployed):
    """A contract whose package is installed on the utility's peer alone, whose endorsement is enough."""

    def __init__(self, network, name, content, identifier):
        self.network, self.name, self.package, self.identifier = network, name, content, identifier

    def deploy(self, sequence=1):
        result = self.install()
        assert result.status == 200, result.message
        self.define(sequence)

    def define(self, sequence=1):
        role = msp_principal_pb2.MSPRole(msp_identifier="UtilityMSP", role=msp_principal_pb2.MSPRole.PEER)
        policy = policies_pb2.SignaturePolicyEnvelope(
            rule=policies_pb2.SignaturePolicy(n_out_of=policies_pb2.SignaturePolicy.NOutOf(
                n=1, rules=[policies_pb2.SignaturePolicy(signed_by=0)])),
            identities=[msp_principal_pb2.MSPPrincipal(
                principal_classification=msp_principal_pb2.MSPPrincipal.ROLE, principal=role.SerializeToString())])
        definition = {
            "name": self.name, "version": "1.0", "sequence": sequence,
            "validation_parameter": policy_pb2.ApplicationPolicy(signature_policy=policy).SerializeToString(),
            "collections": collection_pb2.CollectionConfigPackage(),
        }
        for peer in self.network.peers():
            source = lifecycle_pb2.ChaincodeSource(unavailable=lifecycle_pb2.ChaincodeSource.Unavailable())
            if peer == "utility":
                source = lifecycle_pb2.ChaincodeSource(local_package=lifecycle_pb2.ChaincodeSource.Local(
                    package_id=self.identifier))
            self.submit([peer], "ApproveChaincodeDefinitionForMyOrg",
                        lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgArgs(source=source, **definition))
        self.submit(self.network.peers(), "CommitChaincodeDefinition",
                    lifecycle_pb2.CommitChaincodeDefinitionArgs(**definition))

    def install(self):
        return self.lifecycle("utility", "", "InstallChaincode", lifecycle_pb2.InstallChaincodeArgs(
            chaincode_install_package=self.package)).response

    @property
    def folder(self):
        return self.network.folder / "nodes/utility/data/contracts" / self.identifier.replace(":", ".")

    @property
    def state(self):
        return json.loads((self.folder / "state.json").read_text())


def make(tmp_path_factory, kind, label, files):
    """A package that our own `peer lifecycle chaincode package` makes of files, given by name, and its identifier."""
    folder = tmp_path_factory.mktemp(label)
    (folder / "peer").symlink_to(os.environ["WEFT"])
    for name, content in files.items():
        path = folder / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "core.yaml").write_text("peer: { tls: { enabled: false } }\n")

    def run(*arguments):
        done = subprocess.run([folder / "peer", "lifecycle", "chaincode", *arguments], cwd=folder, capture_output=True,
                              text=True, timeout=60, env=dict(os.environ, FABRIC_CFG_PATH=str(folder)))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    run("package", "code.tar.gz", "--path", "code", "--lang", kind, "--label", label)
    return (folder / "code.tar.gz").read_bytes(), run("calculatepackageid", "code.tar.gz").splitlines()[-1]


@pytest.fixture(scope="module")
def consortium(tmp_path_factory):
    folder = tmp_path_factory.mktemp("launched")
    for name, lines in BUILDER.items():
        program = folder / "builder/bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\nset -e\n" + lines)
        program.chmod(0o755)
    os.environ.update(PYTHON=sys.executable, BUILDER_NAME="shell", SECRET_OF_THE_PEER="secret")
    consortium = processes.Consortium(folder / "network", os.environ["WEFT"])
    try:
        consortium.up()
        consortium.stop("utility")
        with consortium.configuration("utility").open("a") as file:
            file.write(f"contracts: {{ executeTimeout: 3s, limits: {{ openFiles: 512 }}, builders: "
                       f"[{{ name: shell, path: {folder}/builder, propagateEnvironment: [PYTHON, BUILDER_NAME] }}] }}\n")
        consortium.up()
        yield consortium
    finally:
        consortium.down("--remove")


@pytest.fixture(scope="module")
def network(consortium):
    return consortium.network


def program():
    """The contract that speaks the protocol by itself, as a program."""
    return f"#!{sys.executable}\n" + (contracts.PROGRAMS / "direct_contract.py").read_text()


@pytest.fixture(scope="module")
def executable(network, tmp_path_factory):
    contract = Launched(network, "executable", *make(
        tmp_path_factory, "executable", "executable", {"trade": program()}))
    contract.deploy()
    return contract


@pytest.fixture
def gateway(network):
    connection, _ = network.connect("utility", "utility/user")
    with connection:
        yield fabric.Gateway(connection, network.channel, network.identity("utility/user"))


def lives(process):
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def gone(process):
    end = time.monotonic() + 60
    while lives(process):
        assert time.monotonic() < end, f"process {process} is still there"
        time.sleep(0.05)


def test_an_executable_registers_with_the_peer(gateway, network, executable):
    submit(gateway, "executable", "put", "k", "one")
    assert gateway.evaluate("executable", "get", "k") == b"one"
    environment = json.loads(gateway.evaluate("executable", "environment"))
    assert environment["CORE_CHAINCODE_ID_NAME"] == executable.identifier
    assert environment["CORE_PEER_LOCALMSPID"] == "UtilityMSP"
    assert "SECRET_OF_THE_PEER" not in environment
    assert "threads=crashed" in environment["SWIFT_BACKTRACE"], "a crash in Swift would fill the log"
    state = executable.state
    assert (state["phase"], state["starts"]) == ("running", 1)
    process = int(gateway.evaluate("executable", "process"))
    assert state["process"] == process
    limits = pathlib.Path(f"/proc/{process}/limits").read_text()
    assert any(line.split()[:4] == ["Max", "open", "files", "512"] for line in limits.splitlines())
    run = executable.folder / "run"
    assert (run.stat().st_mode & 0o777, (run / "client_pem.key").stat().st_mode & 0o777) == (0o700, 0o600)


def test_a_contract_that_crashes_is_started_by_the_next_call(gateway, executable):
    starts = executable.state["starts"]
    assert "chaincode stream terminated" in reasons(lambda: gateway.evaluate("executable", "die"))
    eventually(lambda: gateway.evaluate("executable", "get", "k") == b"one")
    state = executable.state
    assert state["starts"] > starts and state["lastEnd"] == "exited with status 1"


def test_a_contract_that_loops_or_floods_its_log_is_bounded(gateway, executable):
    assert "timeout expired" in reasons(lambda: gateway.evaluate("executable", "loop"))
    text = reasons(lambda: gateway.evaluate("executable", "print", "30000"))
    assert "timeout expired" in text
    os.kill(executable.state["process"], signal.SIGKILL)
    eventually(lambda: gateway.evaluate("executable", "get", "k") == b"one")
    sizes = [file.stat().st_size for file in executable.folder.glob("log*")]
    assert sizes and max(sizes) <= 10 << 20 and len(sizes) <= 2


def test_what_a_contract_starts_ends_with_it(gateway, executable):
    child = int(gateway.evaluate("executable", "spawn"))
    assert lives(child)
    reasons(lambda: gateway.evaluate("executable", "die"))
    gone(child)
    eventually(lambda: gateway.evaluate("executable", "get", "k") == b"one")


def test_an_external_builder_builds_and_runs(gateway, network, tmp_path_factory):
    contract = Launched(network, "external", *make(
        tmp_path_factory, "shell", "external", {"contract.py": program()}))
    contract.deploy()
    submit(gateway, "external", "put", "k", "two")
    assert gateway.evaluate("external", "get", "k") == b"two"
    assert (contract.folder / "build/bld/name").read_text() == "built by shell\n"
    assert json.loads((contract.folder / "build/build-info.json").read_text()) == {"builder_name": "shell"}


def test_a_build_that_fails_is_told(network, tmp_path_factory):
    content, identifier = make(tmp_path_factory, "python", "broken", {
        "main.py": "", "requirements.txt": "--no-index\nthere-is-no-such-package-at-all\n"})
    answer = Launched(network, "broken", content, identifier).install()
    assert answer.status == 500
    assert "could not build chaincode" in answer.message and "there-is-no-such-package-at-all" in answer.message


def test_the_python_builder_runs_the_official_shim(gateway, network, tmp_path_factory):
    contract = Launched(network, "python", *make(tmp_path_factory, "python", "python", {
        "main.py": (contracts.PROGRAMS / "shim_contract.py").read_text(),
        "requirements.txt": "fabric-chaincode-python>=2.5.4\nhyperledger-fabric-protos>=0.3.7.dev0\n"}))
    contract.deploy()
    submit(gateway, "python", "put", "k", "three")
    submit(gateway, "python", "increment", "n")
    assert gateway.evaluate("python", "get", "k") == b"three"
    assert json.loads(gateway.evaluate("python", "who"))[:2] == ["UtilityMSP", network.channel]
    assert contract.state["phase"] == "running"


def test_nothing_is_left_when_the_peer_is_killed_and_it_goes_on_afterwards(consortium, network, executable):
    gateway = consortium.gateway()
    child = int(gateway.evaluate("executable", "spawn"))
    process = int(gateway.evaluate("executable", "process"))
    consortium.stop("utility", signal.SIGKILL)
    gone(process)
    consortium.up()
    gone(child)
    gateway = consortium.gateway()
    assert gateway.evaluate("executable", "get", "k") == b"one"
    assert executable.state["starts"] == 1
    process = int(gateway.evaluate("executable", "process"))
    consortium.stop("utility")
    gone(process)
    consortium.up()


def weft(consortium, *arguments, code=0):
    """What a command answers; fails unless it ends with that code."""
    done = consortium.run(*arguments, timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_contract_that_is_removed_is_ended_and_can_come_again(consortium, network, gateway, tmp_path_factory):
    contract = Launched(network, "gone", *make(tmp_path_factory, "executable", "gone", {"trade": program()}))
    contract.deploy()
    submit(gateway, "gone", "put", "k", "one")
    process = int(gateway.evaluate("gone", "process"))
    answer = weft(consortium, "contract", "remove", "gone", "--network", consortium.folder, "--json")
    assert [place["removed"] for place in answer["peers"]] == [[contract.identifier], [], []]
    assert answer["definition"] == 1
    gone(process)
    assert not contract.folder.exists()
    data = consortium.data("utility")
    assert not [path for path in data.rglob("*") if contract.identifier.split(":")[1] in path.name]
    assert "is not installed" in reasons(lambda: gateway.evaluate("gone", "get", "k"))
    # What it wrote is still there for a package that comes later.
    assert contract.install().status == 200
    eventually(lambda: gateway.evaluate("gone", "get", "k") == b"one")


def test_what_cannot_be_removed_is_said(consortium, network, executable, tmp_path_factory):
    where = ["--network", consortium.folder, "--json"]
    assert "there is no contract nothing" in weft(
        consortium, "contract", "remove", "nothing", *where, code=1)["error"]["message"]
    # Another chaincode runs the same package.
    twin = Launched(network, "twin", executable.package, executable.identifier)
    twin.define()
    answer = weft(consortium, "contract", "remove", "twin", *where)
    assert [kept["usedBy"] for kept in answer["peers"][0]["kept"]] == [[f"executable on channel {network.channel}"]]
    assert not any(place["removed"] for place in answer["peers"])
    # Only administrators remove.
    refused = weft(consortium, "contract", "remove", "twin", "--as", "utility/user", *where, code=1)
    assert "ACL check" in refused["error"]["message"], refused


def test_a_contract_is_put_out_of_use_by_a_policy_that_nobody_satisfies(consortium, network, gateway, tmp_path_factory):
    contract = Launched(network, "closed", *make(tmp_path_factory, "executable", "closed", {"trade": program()}))
    contract.deploy()
    weft(consortium, "contract", "remove", "closed", "--network", consortium.folder, "--json")
    answer = weft(consortium, "contract", "deploy", "--name", "closed", "--policy", "AND('NobodyMSP.peer')",
                  "--network", consortium.folder, "--json")
    assert answer["committed"] and answer["sequence"] == 2
    assert "is not installed" in reasons(lambda: gateway.evaluate("closed", "get", "k"))


def test_a_contract_in_python_is_tested_without_a_network(consortium, tmp_path):
    # The libraries of this interpreter stand in for requirements.txt.
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    (tmp_path / "main.py").write_text(f"import sys; sys.path += {libraries!r}\n" + program())
    (tmp_path / "test_sum.py").write_text(
        "import unittest\n\nclass Sums(unittest.TestCase):\n    def test_one(self):\n        self.assertEqual(1 + 1, 2)\n")
    answer = weft(consortium, "contract", "test", tmp_path, "--json")
    assert answer["passed"] and answer["tests"]["passed"] and answer["type"] == "python", answer
    assert answer["contracts"] is None and answer["status"] >= 400, "it has no metadata, but answers"
    (tmp_path / "test_sum.py").write_text((tmp_path / "test_sum.py").read_text().replace("2)", "3)"))
    assert weft(consortium, "contract", "test", tmp_path, "--json", code=2)["tests"]["passed"] is False


def test_a_contract_that_was_upgraded_is_ended(gateway, network, executable, tmp_path_factory):
    process = int(gateway.evaluate("executable", "process"))
    newer = Launched(network, "executable", *make(
        tmp_path_factory, "executable", "newer", {"trade": program() + "# newer\n"}))
    newer.deploy(sequence=2)
    eventually(lambda: json.loads(gateway.evaluate("executable", "environment"))[
        "CORE_CHAINCODE_ID_NAME"] == newer.identifier)
    assert gateway.evaluate("executable", "get", "k") == b"one"
    gone(process)
    assert newer.state["phase"] == "running"
