"""Drives a running network (its folder in WEFT_NETWORK) as any Fabric client would. Run by scripts/end-to-end."""

import json
import os
import pathlib

import grpc
import pytest

import fabric
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.peer import transaction_pb2
from google.rpc import status_pb2


@pytest.fixture(scope="session")
def network():
    return fabric.Network(os.environ["WEFT_NETWORK"])


@pytest.fixture(scope="session")
def identity(network):
    return network.identity("utility/user")


@pytest.fixture(scope="session")
def peers(network):
    """A connection, with its client certificate's hash, to each peer."""
    return {name: network.connect(name, "utility/user") for name in network.peers()}


@pytest.fixture(scope="session")
def orderer(network):
    return network.connect("orderer", "utility/user")


@pytest.fixture(scope="session")
def gateway(network, peers, identity):
    return fabric.Gateway(peers["utility"][0], network.channel, identity)


def key(name):
    return f"{name}-{os.urandom(6).hex()}"


def details(error):
    """What single nodes said, out of a gateway error."""
    for entry in error.trailing_metadata():
        if entry.key == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(entry.value)
            return [gateway_pb2.ErrorDetail.FromString(detail.value) for detail in status.details]
    return []


def test_a_transaction_is_endorsed_by_a_majority_submitted_and_committed(gateway, network):
    name = key("committed")
    transaction_id, prepared = gateway.endorse("kv", "put", name, "value")
    payload = common_pb2.Payload.FromString(prepared.payload)
    action = transaction_pb2.ChaincodeActionPayload.FromString(
        transaction_pb2.Transaction.FromString(payload.data).actions[0].payload)
    assert len(action.action.endorsements) == len(network.peers()) // 2 + 1
    gateway.send(transaction_id, prepared)
    status = gateway.status(transaction_id)
    assert status.result == transaction_pb2.VALID
    assert status.block_number > 0
    assert gateway.evaluate("kv", "get", name) == b"value"


def test_direct_endorsements_make_a_transaction_that_the_orderer_takes(network, peers, orderer, identity, gateway):
    name = key("direct")
    transaction_id, signed = fabric.proposal(network.channel, "kv", ["put", name, "direct"], identity)
    responses = [fabric.endorser(connection, signed) for connection, _ in peers.values()]
    assert [response.response.status for response in responses] == [200] * len(peers)
    answer = fabric.broadcast(orderer[0], fabric.assemble(signed, responses, identity))
    assert answer.status == common_pb2.SUCCESS, answer.info
    assert gateway.status(transaction_id).result == transaction_pb2.VALID


def test_too_few_endorsements_are_judged_a_policy_failure(network, peers, orderer, identity, gateway):
    transaction_id, signed = fabric.proposal(network.channel, "kv", ["put", key("few"), "x"], identity)
    response = fabric.endorser(peers["utility"][0], signed)
    answer = fabric.broadcast(orderer[0], fabric.assemble(signed, [response], identity))
    assert answer.status == common_pb2.SUCCESS, answer.info
    assert gateway.status(transaction_id).result == transaction_pb2.ENDORSEMENT_POLICY_FAILURE


def factors(dataset, rate=1):
    """An argument of the contract `emissions` that proposes a set of factors."""
    return json.dumps({"dataset": dataset, "source": "made up for a test", "factors": [
        {"region": "TEST", "name": "test", "milliPoundsPerMegawattHour": rate}]})


def test_two_writers_of_one_read_version_conflict(gateway):
    name = key("conflict")
    gateway.submit("emissions", "ProposeFactors", factors(name, 1))
    first = gateway.endorse("emissions", "ProposeFactors", factors(name, 2))
    second = gateway.endorse("emissions", "ProposeFactors", factors(name, 3))
    gateway.send(*first)
    gateway.send(*second)
    codes = sorted(gateway.status(transaction[0]).result for transaction in (first, second))
    assert codes == [transaction_pb2.VALID, transaction_pb2.MVCC_READ_CONFLICT]


def test_a_wrongly_signed_envelope_is_refused_by_the_orderer(gateway, orderer, network, identity):
    _, prepared = gateway.endorse("kv", "put", key("forged"), "x")
    prepared.signature = identity.sign(prepared.payload + b"tampered")
    answer = fabric.broadcast(orderer[0], prepared)
    assert answer.status == common_pb2.FORBIDDEN


def test_an_unknown_contract_is_refused_with_a_reason(gateway):
    with pytest.raises(grpc.RpcError) as caught:
        gateway.endorse("nowhere", "put", "a", "b")
    assert caught.value.code() in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ABORTED)
    assert "nowhere" in caught.value.details() + "".join(d.message for d in details(caught.value))


def test_a_contract_error_names_the_peer_and_its_organization(gateway):
    with pytest.raises(grpc.RpcError) as caught:
        gateway.endorse("kv", "no-such-function")
    assert caught.value.code() == grpc.StatusCode.ABORTED
    said = details(caught.value)
    assert said and said[0].msp_id.endswith("MSP") and said[0].message


def test_events_arrive_with_payload_in_the_block_of_their_transaction(gateway):
    name = key("event")
    transaction_id, status = gateway.submit("emissions", "ProposeFactors", factors(name))
    stream = gateway.events("emissions", start=status.block_number)
    for message in stream:
        for event in message.events:
            if event.tx_id == transaction_id:
                assert message.block_number == status.block_number
                assert event.chaincode_id == "emissions"
                assert event.event_name == "emissions.factorsProposed"
                assert json.loads(event.payload)["dataset"] == name
                stream.cancel()
                return
    pytest.fail("the event did not arrive")


def test_an_unknown_channel_is_not_found_in_deliver(peers, identity):
    connection, tls_hash = peers["utility"]
    blocks, status = fabric.peer_blocks(connection, "nowhere", identity, tls_hash, 0, 0)
    assert blocks == [] and status == common_pb2.NOT_FOUND


def test_a_deliver_request_bound_to_another_tls_certificate_is_refused(peers, network, identity):
    connection, _ = peers["utility"]
    blocks, status = fabric.peer_blocks(connection, network.channel, identity, b"\0" * 32, 0, 0)
    assert blocks == [] and status == common_pb2.BAD_REQUEST


def test_hashes_and_commit_hashes_recomputed_here_are_those_in_the_blocks(gateway, network, peers, orderer, identity):
    _, status = gateway.submit("kv", "put", key("last"), "x")
    tip = status.block_number
    others = {}
    for name, (connection, tls_hash) in peers.items():
        blocks, end = fabric.peer_blocks(connection, network.channel, identity, tls_hash, 0, tip)
        assert end == common_pb2.SUCCESS
        assert [block.header.number for block in blocks] == list(range(tip + 1))
        previous_header, previous_commit, commits = b"", b"", fabric.CommitHashes()
        for block in blocks:
            number = block.header.number
            assert block.header.previous_hash == previous_header, f"{name}: block {number}"
            assert block.header.data_hash == fabric.data_hash(block), f"{name}: block {number}"
            assert len(block.metadata.metadata) == 5
            codes = block.metadata.metadata[2]
            assert len(codes) == len(block.data.data), f"{name}: block {number}"
            if number > 0:
                previous_commit = commits.next(block)
                assert fabric.stored_commit_hash(block) == previous_commit, f"{name}: block {number}"
            previous_header = fabric.header_hash(block.header)
        others[name] = (previous_header, previous_commit)
    assert len(set(others.values())) == 1, "the peers' ledgers differ"

    ordered, end = fabric.orderer_blocks(orderer[0], network.channel, identity, orderer[1], 0, tip)
    assert end == common_pb2.SUCCESS
    assert fabric.header_hash(ordered[-1].header) == next(iter(others.values()))[0]


@pytest.mark.parametrize("chain", ["main", "side"])
def test_commit_hashes_of_a_chain_of_fabrics_own_peers_come_out_the_same_here(chain):
    vectors = pathlib.Path(__file__).parents[1] / "ConformanceTests" / "Vectors" / "blocks"
    blocks = list(fabric.blocks((vectors / f"{chain}.peer.blocks").read_bytes()))
    assert len(blocks) == len(json.loads((vectors / f"{chain}.json").read_text())["chain"])
    commits = fabric.CommitHashes()
    for block in blocks[1:]:
        assert commits.next(block) == fabric.stored_commit_hash(block), f"block {block.header.number}"


def test_chain_information_of_qscc_agrees_with_the_blocks(gateway, network, peers, identity):
    from fabric_protos.common import ledger_pb2

    information = ledger_pb2.BlockchainInfo.FromString(gateway.evaluate("qscc", "GetChainInfo", network.channel))
    connection, tls_hash = peers["utility"]
    blocks, _ = fabric.peer_blocks(
        connection, network.channel, identity, tls_hash, information.height - 1, information.height - 1)
    assert fabric.header_hash(blocks[0].header) == information.currentBlockHash


def test_a_submitted_envelope_sent_again_takes_effect_once(gateway):
    transaction_id, prepared = gateway.endorse("kv", "put", key("twice"), "x")
    gateway.send(transaction_id, prepared)
    first = gateway.status(transaction_id)
    gateway.send(transaction_id, prepared)
    assert gateway.status(transaction_id).block_number == first.block_number
    assert first.result == transaction_pb2.VALID


def test_a_client_without_a_certificate_does_not_get_in(network):
    node = network.node("utility")
    credentials = grpc.ssl_channel_credentials(network.path(node["tlsRoots"]).read_bytes())
    with grpc.secure_channel(node["endpoint"], credentials) as connection:
        stub = fabric.gateway_pb2_grpc.GatewayStub(connection)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Evaluate(gateway_pb2.EvaluateRequest(), timeout=5)
    assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
