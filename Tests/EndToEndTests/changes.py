"""Changes a consortium of real processes while `weft bench` writes to it: organizations join and leave, a second
channel comes up at run time, certificates are revoked, and identities of an intermediate authority and expired ones are
tried.

WEFT names the executable. Run by scripts/end-to-end.
"""

import datetime
import os
import re

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import fabric
from fabric_protos.common import common_pb2
from fabric_protos.peer import transaction_pb2
from members import Consortium, Load, check_nothing_lost
from processes import check_chain


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


def test_organizations_join_and_leave_under_load(consortium):
    with Load(consortium, "auditor") as load:
        load.go_on()
        said = consortium.join("grid", ["utility", "auditor"])
        assert "'AuditorMSP.admin' and 'UtilityMSP.admin'" in said
        load.go_on()
        # Two of three endorse now; the utility's peer leaves, and with it what it would have endorsed.
        consortium.change(["auditor", "grid"], "remove-org", "org=utility")
        load.go_on()
        utility = consortium["utility"]
        with pytest.raises(grpc.RpcError):
            consortium.gateway("utility").submit("kv", "put", "too", "late")
        with pytest.raises(grpc.RpcError):
            consortium.gateway("auditor", identity=utility.identity("user")).submit("kv", "put", "too", "late")
        consortium.change(["orderer"], "set-batch", "max-messages=5", "timeout=300ms")
        load.go_on()
    check_nothing_lost(consortium, load, ["auditor", "grid"])


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
    # Fabric CA puts a member's attributes here, as JSON.
    attributes = x509.UnrecognizedExtension(
        x509.ObjectIdentifier("1.2.3.4.5.6.7.8.1"), b'{"attrs":{"hf.Affiliation":"","hf.Type":"client"}}')
    return (x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(kind, value) for kind, value in subject]))
            .issuer_name(issuer.subject).public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(begin).not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=0 if authority else None), True)
            .add_extension(x509.KeyUsage(**usage), True)
            .add_extension(identifier(key.public_key()), False)
            .add_extension(attributes, False)
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
    consortium.weft("channel", "join", consortium.genesis(), *grid.flags("emissions"))
    height = consortium.height("auditor")
    consortium.wait(lambda: consortium.height("grid") >= height, "the peer does not catch up")
    assert check_chain(consortium.blocks("grid", height), "grid") \
        == check_chain(consortium.blocks("auditor", height), "auditor")
