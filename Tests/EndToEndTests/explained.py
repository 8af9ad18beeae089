"""What `weft tx explain` says of policies of keys and collections, and a contract in Swift that peers reach over mutual TLS,
deployed by `weft contract deploy`, on a network of real processes. Run by scripts/contracts."""

import base64
import datetime
import ipaddress
import json
import os
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import contracts
import fabric
from contracts import Program, gateway, network, reasons, submit  # noqa: F401 (network and gateway are fixtures)
from fabric_protos.common import common_pb2, policies_pb2
from fabric_protos.msp import msp_principal_pb2
from fabric_protos.peer import transaction_pb2

ANY = "OR('UtilityMSP.peer', 'AuditorMSP.peer', 'AgencyMSP.peer')"
SECRET = {
    "name": "secret", "policy": "OR('UtilityMSP.member', 'AuditorMSP.member')", "requiredPeerCount": 0, "maxPeerCount": 1,
    "blockToLive": 0, "memberOnlyRead": False, "memberOnlyWrite": False,
    "endorsementPolicy": {"signaturePolicy": "AND('UtilityMSP.peer', 'AuditorMSP.peer')"},
}


def weft(*arguments, code=0):
    done = subprocess.run([os.environ["WEFT"], *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


class Service(Program):
    """A program behind `weft contract deploy`, whose flags are given."""

    def __init__(self, network, name, *flags, environment=None):
        super().__init__(network, name, "BehaviourContract")
        self.flags, self.environment = flags, environment or {}

    def __enter__(self):
        where = self.flags if any("/" in str(flag) for flag in self.flags[:1]) else ("--address", self.address, *self.flags)
        answer = json.loads(weft("contract", "deploy", *where, "--name", self.name, "--network", self.network.folder, "--json"))
        assert answer["committed"], answer
        self.identifier = answer["package"]
        os.environ.update(self.environment)
        try:
            self.start()
        finally:
            for name in self.environment:
                del os.environ[name]
        return self

    def __exit__(self, *_):
        self.stop()


@pytest.fixture(scope="module")
def contract(network, tmp_path_factory):
    collections = tmp_path_factory.mktemp("explained") / "collections.json"
    collections.write_text(json.dumps([SECRET]))
    with Service(network, "explained", "--policy", ANY, "--collections", collections) as service:
        yield service.name


def alone(network, contract, *call, transient=None):
    """Submits what the utility's peer alone has endorsed, and tells its identifier and verdict."""
    identity = network.identity("utility/user")
    transaction_id, signed = fabric.proposal(network.channel, contract, call, identity, transient=transient)
    peer, _ = network.connect("utility", "utility/user")
    orderer, _ = network.connect("orderer", "utility/user")
    with peer, orderer:
        response = fabric.endorser(peer, signed)
        assert response.response.status == 200, response.response.message
        answer = fabric.broadcast(orderer, fabric.assemble(signed, [response], identity))
        assert answer.status == common_pb2.SUCCESS, answer.info
        return transaction_id, fabric.Gateway(peer, network.channel, identity).status(transaction_id).result


def explained(network, transaction_id):
    return weft("tx", "explain", transaction_id, "--network", network.folder)


def both():
    """The policy that wants a peer of the utility and one of the auditor."""
    def peer(msp_id):
        role = msp_principal_pb2.MSPRole(msp_identifier=msp_id, role=msp_principal_pb2.MSPRole.PEER)
        return msp_principal_pb2.MSPPrincipal(
            principal_classification=msp_principal_pb2.MSPPrincipal.ROLE, principal=role.SerializeToString())

    return policies_pb2.SignaturePolicyEnvelope(
        rule=policies_pb2.SignaturePolicy(n_out_of=policies_pb2.SignaturePolicy.NOutOf(
            n=2, rules=[policies_pb2.SignaturePolicy(signed_by=0), policies_pb2.SignaturePolicy(signed_by=1)])),
        identities=[peer("UtilityMSP"), peer("AuditorMSP")])


def test_the_policy_of_a_key_is_told_with_what_was_lacking(network, gateway, contract):
    submit(gateway, contract, "put", "own", "1")
    submit(gateway, contract, "set_policy", "own", base64.b64encode(both().SerializeToString()).decode())
    transaction_id, result = alone(network, contract, "put", "own", "2")
    assert result == transaction_pb2.ENDORSEMENT_POLICY_FAILURE
    text = explained(network, transaction_id)
    assert "ENDORSEMENT_POLICY_FAILURE" in text and '"own"' in text, text
    assert "UtilityMSP" in next(line for line in text.splitlines() if line.strip().startswith("had ")), text
    assert "lacked  'AuditorMSP.peer'" in text, text
    # Other keys of the same contract have no policy of their own.
    assert alone(network, contract, "put", "free", "1")[1] == transaction_pb2.VALID


def test_the_policy_of_a_collection_is_told_with_what_was_lacking(network, contract):
    transaction_id, result = alone(network, contract, "put_private", "secret", "k", transient={"value": b"42"})
    assert result == transaction_pb2.ENDORSEMENT_POLICY_FAILURE
    text = explained(network, transaction_id)
    assert "secret" in text and "lacked  'AuditorMSP.peer'" in text, text
    assert "42" not in text.replace(transaction_id, ""), "private values are told to nobody"


# A service with TLS.

def issue(name, authority=None):
    """A certificate for both ends of a connection on this machine, and its key, in PEM; its own authority if none is given."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1)))
    if authority is None:
        signed = builder.issuer_name(subject).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    else:
        issuer, issuer_key = authority
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        signed = builder.issuer_name(issuer.subject).add_extension(
            x509.SubjectAlternativeName(names), critical=False).add_extension(x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False,
        ).sign(issuer_key, hashes.SHA256())
    return signed, key


def pem(certificate, key):
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def test_peers_reach_a_contract_in_swift_over_mutual_tls(network, gateway, tmp_path):
    authority = issue("contracts")
    root, _ = pem(*authority)
    (server, server_key), (client, client_key) = pem(*issue("trade", authority)), pem(*issue("peers", authority))
    for name, text in {"server.pem": server, "server.key": server_key, "root.pem": root}.items():
        (tmp_path / name).write_text(text)
    service = Service(network, "secured", tmp_path / "package", "--policy", ANY, environment={
        "CHAINCODE_TLS_CERT": str(tmp_path / "server.pem"), "CHAINCODE_TLS_KEY": str(tmp_path / "server.key"),
        "CHAINCODE_CLIENT_CA_CERT": str(tmp_path / "root.pem")})
    connection = {
        "address": service.address, "dial_timeout": "10s", "tls_required": True, "root_cert": root,
        "client_auth_required": True, "client_key": client_key, "client_cert": client}
    (tmp_path / "package").mkdir()
    (tmp_path / "package/connection.json").write_text(json.dumps(connection))
    with service:
        submit(gateway, "secured", "put", "k", "one")
        assert gateway.evaluate("secured", "get", "k") == b"one"
        # The next package has no certificate for the peers, and the contract turns them away.
        del connection["client_auth_required"], connection["client_key"], connection["client_cert"]
        (tmp_path / "package/connection.json").write_text(json.dumps(connection))
        weft("contract", "deploy", tmp_path / "package", "--name", "secured", "--network", network.folder)
        text = reasons(lambda: gateway.evaluate("secured", "get", "k"))
        assert "could not launch chaincode secured" in text and service.address in text, text
