"""Sends what nobody should send to an orderer and a peer: Fabric's status codes come back, and the nodes stay up.

Truncated, oversized, malformed, wrongly signed, replayed and expired messages; unknown channels and contracts. The
answers are those of Fabric v3.1: orderer/common/broadcast, common/deliver, core/endorser, internal/pkg/gateway.
"""

import datetime
import os

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

import fabric
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import events_pb2_grpc, proposal_pb2, transaction_pb2
from processes import verdicts

GARBAGE = b"\xff\xfe\xfd garbage \x00\x01"


class Forged:
    """An identity whose certificate was made here, by a key that may be an organization's."""

    def __init__(self, msp_id, key, pem):
        self.msp_id, self.key, self.certificate = msp_id, key, pem
        self.serialized = identities_pb2.SerializedIdentity(mspid=msp_id, id_bytes=pem).SerializeToString()

    sign = fabric.Identity.sign


def issue(msp_id, template, issuer, issuer_key, start, end):
    """A certificate like another one, of another key and another time."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (x509.CertificateBuilder().subject_name(template.subject).issuer_name(issuer.subject)
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(start).not_valid_after(end))
    for extension in template.extensions:
        if extension.oid != x509.SubjectKeyIdentifier.oid:
            builder = builder.add_extension(extension.value, extension.critical)
    certificate = builder.sign(issuer_key, hashes.SHA256())
    return Forged(msp_id, key, certificate.public_bytes(serialization.Encoding.PEM))


@pytest.fixture(scope="module")
def world(consortium):
    """What the cases need: identities good and bad, connections, and the network's state before them."""
    class World:
        pass

    world = World()
    world.channel = consortium.network.channel
    world.good = consortium.network.identity("utility/user")
    template = x509.load_pem_x509_certificate(world.good.certificate)
    authority = next((consortium.folder / "organizations/utility/ca").glob("*-cert.pem"))
    issuer = x509.load_pem_x509_certificate(authority.read_bytes())
    issuer_key = serialization.load_pem_private_key((authority.parent / "priv_sk").read_bytes(), None)
    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
    world.expired = issue("UtilityMSP", template, issuer, issuer_key,
                          issuer.not_valid_before_utc, now - datetime.timedelta(seconds=30))
    stranger_key = ec.generate_private_key(ec.SECP256R1())
    world.stranger = issue("UtilityMSP", template, issuer, stranger_key, now - day, now + day)
    world.nobody = Forged("NobodyMSP", world.good.key, world.good.certificate)
    world.broken = Forged("UtilityMSP", world.good.key, b"not a certificate")
    world.orderer, world.orderer_hash = consortium.network.connect("orderer", "utility/user")
    world.peer, world.peer_hash = consortium.network.connect("utility", "utility/user")
    world.gateway = fabric.Gateway(world.peer, world.channel, world.good)
    world.gateway.submit("kv", "put", "bad-messages", "before")
    return world


@pytest.fixture(scope="module", autouse=True)
def nodes_stay_up(consortium, world):
    """After all cases: the same processes run, agree, and commit."""
    before = {name: consortium.process(name) for name in consortium.names()}
    yield
    assert before == {name: consortium.process(name) for name in consortium.names()}, consortium.logs()
    assert world.gateway.submit("kv", "put", "bad-messages", "after")[1].result == transaction_pb2.VALID
    consortium.agreed()
    for name in consortium.names():
        assert "Fatal error" not in consortium.log(name)


def high_s(identity, message):
    r, s = decode_dss_signature(identity.sign(message))
    return encode_dss_signature(r, fabric.P256_ORDER - s)


def envelope(world, kind=common_pb2.ENDORSER_TRANSACTION, channel=None, signer=None, data=b"x", tls_hash=b"",
             change=lambda header: None, sign=None):
    """A signed envelope; `change` alters its channel header before it is signed."""
    signer = signer or world.good
    header = fabric.headers(kind, world.channel if channel is None else channel, signer, os.urandom(24),
                            tls_hash=tls_hash)
    channel_header = common_pb2.ChannelHeader.FromString(header.channel_header)
    change(channel_header)
    header.channel_header = channel_header.SerializeToString()
    payload = common_pb2.Payload(header=header, data=data).SerializeToString()
    return common_pb2.Envelope(payload=payload, signature=(sign or signer.sign)(payload))


def old(header):
    header.timestamp.seconds -= 16 * 60


def no_time(header):
    header.ClearField("timestamp")


# Broadcast

BAD, FORBIDDEN, NOT_FOUND = common_pb2.BAD_REQUEST, common_pb2.FORBIDDEN, common_pb2.NOT_FOUND
BROADCAST = {
    "empty envelope": (lambda w: common_pb2.Envelope(), BAD),
    "malformed payload": (lambda w: common_pb2.Envelope(payload=GARBAGE, signature=b"x"), BAD),
    "truncated payload": (lambda w: common_pb2.Envelope(payload=envelope(w).payload[:40], signature=b"x"), BAD),
    "no header": (lambda w: common_pb2.Envelope(
        payload=common_pb2.Payload(data=b"x").SerializeToString(), signature=b"x"), BAD),
    "malformed channel header": (lambda w: common_pb2.Envelope(payload=common_pb2.Payload(
        header=common_pb2.Header(channel_header=GARBAGE)).SerializeToString()), BAD),
    "unknown channel": (lambda w: envelope(w, channel="nowhere"), BAD),
    "no channel": (lambda w: envelope(w, channel=""), BAD),
    "CONFIG from a client": (lambda w: envelope(w, kind=common_pb2.CONFIG), BAD),
    "ORDERER_TRANSACTION from a client": (lambda w: envelope(w, kind=common_pb2.ORDERER_TRANSACTION), BAD),
    "malformed configuration update": (
        lambda w: envelope(w, kind=common_pb2.CONFIG_UPDATE, data=GARBAGE), BAD),
    "larger than AbsoluteMaxBytes": (lambda w: envelope(w, data=b"x" * (11 << 20)), BAD),
    "expired creator": (lambda w: envelope(w, signer=w.expired), BAD),
    "wrong signature": (lambda w: envelope(w, sign=lambda payload: w.good.sign(payload + b"x")), FORBIDDEN),
    "truncated signature": (lambda w: envelope(w, sign=lambda payload: w.good.sign(payload)[:20]), FORBIDDEN),
    "no signature": (lambda w: envelope(w, sign=lambda payload: b""), FORBIDDEN),
    "signature with high S": (lambda w: envelope(w, sign=lambda payload: high_s(w.good, payload)), FORBIDDEN),
    "certificate of another authority": (lambda w: envelope(w, signer=w.stranger), FORBIDDEN),
    "unknown organization": (lambda w: envelope(w, signer=w.nobody), FORBIDDEN),
    "creator without a certificate": (lambda w: envelope(w, signer=w.broken), FORBIDDEN),
}


@pytest.mark.parametrize("case", BROADCAST)
def test_broadcast_refuses(world, consortium, case):
    make, expected = BROADCAST[case]
    height = consortium.blocks_so_far("orderer")
    answer = fabric.broadcast(world.orderer, make(world))
    assert answer.status == expected, answer
    assert answer.info, "no reason given"
    assert consortium.blocks_so_far("orderer") == height


def test_a_refused_envelope_ends_its_stream_and_no_other(world):
    stub = fabric.ab_pb2_grpc.AtomicBroadcastStub(world.orderer)
    good = stub.Broadcast(iter([envelope(world, sign=lambda payload: b"")] * 3), timeout=20)
    assert [answer.status for answer in good] == [FORBIDDEN]


def test_a_replayed_transaction_takes_effect_once(world, consortium):
    transaction, prepared = world.gateway.endorse("kv", "put", "replayed", "x")
    prepared.signature = world.good.sign(prepared.payload)
    assert {fabric.broadcast(world.orderer, prepared).status for _ in range(3)} == {common_pb2.SUCCESS}
    assert world.gateway.status(transaction).result == transaction_pb2.VALID
    assert fabric.broadcast(world.orderer, prepared).status == common_pb2.SUCCESS
    world.gateway.submit("kv", "put", "after-replay", "x")
    codes = []
    for block in consortium.blocks("utility", consortium.agreed()):
        for index, data in enumerate(block.data.data):
            if transaction in verdicts([fabric.common_pb2.Block(
                    data=common_pb2.BlockData(data=[data]), metadata=block.metadata)]):
                codes.append(block.metadata.metadata[2][index])
    assert codes.count(transaction_pb2.VALID) == 1
    assert set(codes) <= {transaction_pb2.VALID, transaction_pb2.DUPLICATE_TXID}


# Bytes that are no message at all, and too many bytes

METHODS = {
    "Broadcast": ("orderer", "/orderer.AtomicBroadcast/Broadcast", True),
    "orderer's Deliver": ("orderer", "/orderer.AtomicBroadcast/Deliver", True),
    "peer's Deliver": ("peer", "/protos.Deliver/Deliver", True),
    "ProcessProposal": ("peer", "/protos.Endorser/ProcessProposal", False),
    "Endorse": ("peer", "/gateway.Gateway/Endorse", False),
    "Submit": ("peer", "/gateway.Gateway/Submit", False),
}


def send_bytes(connection, method, streaming, content):
    if streaming:
        return list(connection.stream_stream(method)(iter([content]), timeout=30))
    return connection.unary_unary(method)(content, timeout=30)


@pytest.mark.parametrize("name", METHODS)
def test_bytes_that_are_no_message_end_the_call(world, name):
    where, method, streaming = METHODS[name]
    with pytest.raises(grpc.RpcError) as caught:
        send_bytes(world.orderer if where == "orderer" else world.peer, method, streaming, GARBAGE)
    # Go's servers say INTERNAL, Swift's INVALID_ARGUMENT: it is the library that answers, before any service.
    assert caught.value.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT)


@pytest.mark.parametrize("name", ["Broadcast", "ProcessProposal"])
def test_a_message_over_100_MiB_is_refused(world, consortium, name):
    where, method, streaming = METHODS[name]
    node = consortium.network.node(where if where == "orderer" else "utility")
    files = next(e for e in consortium.network.description["identities"] if e["name"] == "utility/user")
    credentials = grpc.ssl_channel_credentials(*(consortium.network.path(path).read_bytes() for path in (
        node["tlsRoots"], files["tlsKey"], files["tlsCertificate"])))
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with grpc.secure_channel(node["endpoint"], credentials, options=options) as connection:
        with pytest.raises(grpc.RpcError) as caught:
            send_bytes(connection, method, streaming, b"\x0a" + fabric.varint(101 << 20) + bytes(101 << 20))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_unknown_method_is_unimplemented(world):
    for connection in (world.orderer, world.peer):
        with pytest.raises(grpc.RpcError) as caught:
            send_bytes(connection, "/nowhere.Service/Method", False, b"")
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


# Deliver, of the orderer and of the peer's three kinds

def range_of(start, stop, **more):
    position = lambda number: ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=number))
    return ab_pb2.SeekInfo(start=position(start), stop=position(stop), **more).SerializeToString()


def half(**field):
    return ab_pb2.SeekInfo(**{name: ab_pb2.SeekPosition(oldest=ab_pb2.SeekOldest()) for name in field}
                           ).SerializeToString()


FAIL = ab_pb2.SeekInfo.FAIL_IF_NOT_READY
DELIVER = {
    "empty envelope": (lambda w, tls: common_pb2.Envelope(), BAD),
    "malformed payload": (lambda w, tls: common_pb2.Envelope(payload=GARBAGE), BAD),
    "truncated payload": (lambda w, tls: common_pb2.Envelope(payload=seek(w, tls).payload[:30]), BAD),
    "no timestamp": (lambda w, tls: seek(w, tls, change=no_time), BAD),
    "16 minutes old": (lambda w, tls: seek(w, tls, change=old), BAD),
    "another TLS certificate": (lambda w, tls: seek(w, bytes(32)), BAD),
    "no TLS certificate hash": (lambda w, tls: seek(w, b""), BAD),
    "unknown channel": (lambda w, tls: seek(w, tls, channel="nowhere"), NOT_FOUND),
    "malformed SeekInfo": (lambda w, tls: seek(w, tls, data=GARBAGE), BAD),
    "wrong signature": (lambda w, tls: seek(w, tls, sign=lambda payload: w.good.sign(b"x")), FORBIDDEN),
    "signature with high S": (lambda w, tls: seek(w, tls, sign=lambda payload: high_s(w.good, payload)), FORBIDDEN),
    "expired creator": (lambda w, tls: seek(w, tls, signer=w.expired), FORBIDDEN),
    "unknown organization": (lambda w, tls: seek(w, tls, signer=w.nobody), FORBIDDEN),
    "certificate of another authority": (lambda w, tls: seek(w, tls, signer=w.stranger), FORBIDDEN),
    "no start": (lambda w, tls: seek(w, tls, data=half(stop=1)), BAD),
    "no stop": (lambda w, tls: seek(w, tls, data=half(start=1)), BAD),
    "stop before start": (lambda w, tls: seek(w, tls, data=range_of(1, 0)), BAD),
    "start beyond the next block": (lambda w, tls: seek(w, tls, data=range_of(1 << 40, 1 << 41)), NOT_FOUND),
    "largest numbers": (lambda w, tls: seek(w, tls, data=range_of((1 << 64) - 1, (1 << 64) - 1)), NOT_FOUND),
    "not ready": (lambda w, tls: seek(w, tls, data=range_of(1 << 30, 1 << 30, behavior=FAIL)), NOT_FOUND),
}
KINDS = ["orderer", "Deliver", "DeliverFiltered", "DeliverWithPrivateData"]


def seek(world, tls_hash, data=None, **more):
    return envelope(world, kind=common_pb2.DELIVER_SEEK_INFO, tls_hash=tls_hash,
                    data=range_of(0, 0) if data is None else data, **more)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", DELIVER)
def test_deliver_refuses(world, kind, case):
    make, expected = DELIVER[case]
    if kind == "orderer":
        method, tls_hash = fabric.ab_pb2_grpc.AtomicBroadcastStub(world.orderer).Deliver, world.orderer_hash
    else:
        method, tls_hash = getattr(events_pb2_grpc.DeliverStub(world.peer), kind), world.peer_hash
    answers = list(method(iter([make(world, tls_hash)]), timeout=20))
    assert [(answer.WhichOneof("Type"), answer.status) for answer in answers] == [("status", expected)]


# Endorser

def changed_proposal(world, signer=None, change=None, header_change=None, contract="kv", channel=None, sign=None):
    """A signed proposal with its parts altered before it is signed."""
    signer = signer or world.good
    _, signed = fabric.proposal(
        world.channel if channel is None else channel, contract, ["put", "bad", "x"], signer)
    proposal = proposal_pb2.Proposal.FromString(signed.proposal_bytes)
    header = common_pb2.Header.FromString(proposal.header)
    if header_change:
        channel_header = common_pb2.ChannelHeader.FromString(header.channel_header)
        signature_header = common_pb2.SignatureHeader.FromString(header.signature_header)
        header_change(channel_header, signature_header)
        header.channel_header = channel_header.SerializeToString()
        header.signature_header = signature_header.SerializeToString()
        proposal.header = header.SerializeToString()
    if change:
        change(proposal)
    content = proposal.SerializeToString()
    return proposal_pb2.SignedProposal(proposal_bytes=content, signature=(sign or signer.sign)(content))


def attribute(part, name, value):
    """A change of one field of the channel header (0) or the signature header (1)."""
    return lambda *headers: setattr(headers[part], name, value)


PROPOSALS = {
    "empty": (lambda w: proposal_pb2.SignedProposal(), ""),
    "malformed": (lambda w: proposal_pb2.SignedProposal(proposal_bytes=GARBAGE, signature=b"x"), ""),
    "truncated": (lambda w: proposal_pb2.SignedProposal(
        proposal_bytes=changed_proposal(w).proposal_bytes[:60], signature=b"x"), ""),
    "without a header": (lambda w: changed_proposal(w, change=lambda p: p.ClearField("header")), ""),
    "with a malformed header": (lambda w: changed_proposal(w, change=lambda p: setattr(p, "header", GARBAGE)), ""),
    "with a malformed payload": (lambda w: changed_proposal(w, change=lambda p: setattr(p, "payload", GARBAGE)), ""),
    "without a contract's name": (lambda w: changed_proposal(w, contract=""), ""),
    "16 minutes old": (lambda w: changed_proposal(w, header_change=lambda c, s: old(c)), "15m"),
    "of a wrong type": (lambda w: changed_proposal(w, header_change=attribute(0, "type", 4)), "type"),
    "of another epoch": (lambda w: changed_proposal(w, header_change=attribute(0, "epoch", 3)), "poch"),
    "with another transaction's identifier": (
        lambda w: changed_proposal(w, header_change=attribute(0, "tx_id", "0" * 64)), "txid"),
    "without a nonce": (lambda w: changed_proposal(w, header_change=attribute(1, "nonce", b"")), "nonce"),
    "wrongly signed": (
        lambda w: changed_proposal(w, sign=lambda content: w.good.sign(content + b"x")),
        "access denied: channel [emissions] creator org [UtilityMSP]"),
    "with a truncated signature": (
        lambda w: changed_proposal(w, sign=lambda content: w.good.sign(content)[:9]), "access denied"),
    "of an unknown organization": (lambda w: changed_proposal(w, signer=w.nobody), "creator is malformed"),
    "by a certificate of another authority": (lambda w: changed_proposal(w, signer=w.stranger), "access denied"),
    "by an expired certificate": (lambda w: changed_proposal(w, signer=w.expired), "expired"),
}


@pytest.mark.parametrize("case", PROPOSALS)
def test_the_endorser_refuses_a_proposal(world, case):
    make, reason = PROPOSALS[case]
    with pytest.raises(grpc.RpcError) as caught:
        fabric.endorser(world.peer, make(world))
    assert caught.value.code() == grpc.StatusCode.UNKNOWN, caught.value.details()
    assert caught.value.details() and reason.lower() in caught.value.details().lower(), caught.value.details()


def test_the_endorser_refuses_a_replayed_proposal(world):
    transaction, signed = fabric.proposal(world.channel, "kv", ["put", "replay", "x"], world.good)
    request = gateway_pb2.EndorseRequest(
        transaction_id=transaction, channel_id=world.channel, proposed_transaction=signed)
    world.gateway.send(transaction, world.gateway.stub.Endorse(request, timeout=30).prepared_transaction)
    world.gateway.status(transaction)
    with pytest.raises(grpc.RpcError) as caught:
        fabric.endorser(world.peer, signed)
    assert caught.value.code() == grpc.StatusCode.UNKNOWN
    assert f"duplicate transaction found [{transaction}]" in caught.value.details()


def test_the_endorser_answers_500_for_an_unknown_channel_or_contract(world):
    answer = fabric.endorser(world.peer, changed_proposal(world, channel="nowhere"))
    assert answer.response.status == 500 and "nowhere" in answer.response.message and not answer.payload
    answer = fabric.endorser(world.peer, changed_proposal(world, contract="nocontract"))
    assert answer.response.status == 500 and not answer.payload
    assert answer.response.message.startswith("make sure the chaincode nocontract has been successfully defined")


# Gateway

def endorse(world, signed, channel=None):
    return world.gateway.stub.Endorse(gateway_pb2.EndorseRequest(
        transaction_id="0" * 64, channel_id=channel or world.channel, proposed_transaction=signed), timeout=30)


def evaluate(world, signed, channel=None):
    return world.gateway.stub.Evaluate(gateway_pb2.EvaluateRequest(
        transaction_id="0" * 64, channel_id=channel or world.channel, proposed_transaction=signed), timeout=30)


def submit(world, prepared):
    return world.gateway.stub.Submit(gateway_pb2.SubmitRequest(
        transaction_id="0" * 64, channel_id=world.channel, prepared_transaction=prepared), timeout=30)


def commit_status(world, transaction="0" * 64, channel=None, signer=None, sign=None, timeout=20):
    signer = signer or world.good
    request = gateway_pb2.CommitStatusRequest(
        transaction_id=transaction, channel_id=world.channel if channel is None else channel,
        identity=signer.serialized).SerializeToString()
    return world.gateway.stub.CommitStatus(gateway_pb2.SignedCommitStatusRequest(
        request=request, signature=(sign or signer.sign)(request)), timeout=timeout)


def events(world, channel=None, position=None, sign=None):
    request = gateway_pb2.ChaincodeEventsRequest(
        channel_id=channel or world.channel, chaincode_id="kv", identity=world.good.serialized,
        start_position=position or ab_pb2.SeekPosition(next_commit=ab_pb2.SeekNextCommit())).SerializeToString()
    return list(world.gateway.stub.ChaincodeEvents(gateway_pb2.SignedChaincodeEventsRequest(
        request=request, signature=(sign or world.good.sign)(request)), timeout=20))


def forged(world):
    return changed_proposal(world, sign=lambda content: world.good.sign(content + b"x"))


C = grpc.StatusCode
GATEWAY = {
    "Endorse without a proposal": (lambda w: endorse(w, None), {C.INVALID_ARGUMENT}),
    "Endorse of a malformed proposal": (
        lambda w: endorse(w, proposal_pb2.SignedProposal(proposal_bytes=GARBAGE)), {C.INVALID_ARGUMENT}),
    "Endorse of a wrongly signed proposal": (lambda w: endorse(w, forged(w)), {C.ABORTED}),
    "Endorse by an expired creator": (lambda w: endorse(w, changed_proposal(w, signer=w.expired)), {C.ABORTED}),
    "Endorse for an unknown contract": (
        lambda w: endorse(w, changed_proposal(w, contract="nocontract")), {C.FAILED_PRECONDITION}),
    "Endorse for an unknown channel": (
        lambda w: endorse(w, changed_proposal(w, channel="nowhere"), "nowhere"), {C.FAILED_PRECONDITION}),
    "Evaluate without a proposal": (lambda w: evaluate(w, None), {C.INVALID_ARGUMENT}),
    "Evaluate of a malformed proposal": (
        lambda w: evaluate(w, proposal_pb2.SignedProposal(proposal_bytes=GARBAGE)), {C.INVALID_ARGUMENT}),
    "Evaluate of a wrongly signed proposal": (lambda w: evaluate(w, forged(w)), {C.FAILED_PRECONDITION}),
    "Evaluate on an unknown channel": (
        lambda w: evaluate(w, changed_proposal(w, channel="nowhere"), "nowhere"), {C.UNAVAILABLE}),
    "Evaluate of an unknown contract": (
        lambda w: evaluate(w, changed_proposal(w, contract="nocontract")), {C.FAILED_PRECONDITION}),
    "Submit of nothing": (lambda w: submit(w, None), {C.INVALID_ARGUMENT}),
    "Submit of an unsigned envelope": (
        lambda w: submit(w, common_pb2.Envelope(payload=envelope(w).payload)), {C.INVALID_ARGUMENT}),
    "Submit of a wrongly signed envelope": (
        lambda w: submit(w, envelope(w, sign=lambda payload: w.good.sign(b"x"))), {C.ABORTED}),
    "CommitStatus of nothing": (lambda w: w.gateway.stub.CommitStatus(
        gateway_pb2.SignedCommitStatusRequest(), timeout=20), {C.INVALID_ARGUMENT}),
    "CommitStatus without a channel": (lambda w: commit_status(w, channel=""), {C.INVALID_ARGUMENT}),
    "CommitStatus without a transaction": (lambda w: commit_status(w, transaction=""), {C.INVALID_ARGUMENT}),
    "CommitStatus of an unknown channel": (lambda w: commit_status(w, channel="nowhere"), {C.PERMISSION_DENIED}),
    "CommitStatus wrongly signed": (
        lambda w: commit_status(w, sign=lambda request: w.good.sign(b"x")), {C.PERMISSION_DENIED}),
    "CommitStatus by a stranger": (lambda w: commit_status(w, signer=w.stranger), {C.PERMISSION_DENIED}),
    "CommitStatus of what never comes": (lambda w: commit_status(w, timeout=0.5), {C.DEADLINE_EXCEEDED}),
    "ChaincodeEvents wrongly signed": (
        lambda w: events(w, sign=lambda request: w.good.sign(b"x")), {C.PERMISSION_DENIED}),
    "ChaincodeEvents of an unknown channel": (
        lambda w: events(w, channel="nowhere"), {C.PERMISSION_DENIED, C.NOT_FOUND}),
    "ChaincodeEvents from the oldest block": (
        lambda w: events(w, position=ab_pb2.SeekPosition(oldest=ab_pb2.SeekOldest())), {C.INVALID_ARGUMENT}),
}


@pytest.mark.parametrize("case", GATEWAY)
def test_the_gateway_refuses(world, case):
    call, codes = GATEWAY[case]
    with pytest.raises(grpc.RpcError) as caught:
        call(world)
    assert caught.value.code() in codes, f"{caught.value.code()}: {caught.value.details()}"
    assert caught.value.details()
