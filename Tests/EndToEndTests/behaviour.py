"""What contracts do is the same in every language: one suite for a contract on the official Python shim, one in Python that
speaks the protocol by itself, one in Swift on WeftContract, and, if BEHAVIOUR_GO names it, one on Fabric's shim for Go
(chaincode/go/behaviour.go), on a network of real processes. Run by scripts/contracts."""

import base64
import hashlib
import json
import os

import pytest

import contracts
import fabric
from contracts import deployed, gateway, network, reasons, submit  # noqa: F401 (network and gateway are fixtures)
from fabric_protos.common import common_pb2, policies_pb2
from fabric_protos.msp import msp_principal_pb2
from fabric_protos.peer import transaction_pb2


GO = os.environ.get("BEHAVIOUR_GO")
# All but the official Python shim, which has no private data, policies of keys, events and calls.
WHOLE = ["direct", "swift"] + (["go"] if GO else [])


@pytest.fixture(scope="module")
def shim(network):
    yield from deployed(contracts.Deployed(network, "shim", "shim_contract.py"))


@pytest.fixture(scope="module")
def direct(network):
    yield from deployed(contracts.Deployed(network, "direct", "direct_contract.py"))


@pytest.fixture(scope="module")
def swift(network):
    yield from deployed(contracts.Program(network, "swift", "BehaviourContract"))


@pytest.fixture(scope="module")
def go(network):
    yield from deployed(contracts.Program(network, "go", GO))


@pytest.fixture(scope="module", params=["shim"] + WHOLE)
def any_contract(request):
    return request.getfixturevalue(request.param).name


@pytest.fixture(scope="module", params=WHOLE)
def contract(request):
    return request.getfixturevalue(request.param).name


def test_a_contract_writes_reads_and_deletes(gateway, any_contract):
    submit(gateway, any_contract, "put", "k", "one")
    assert gateway.evaluate(any_contract, "get", "k") == b"one"
    submit(gateway, any_contract, "increment", "n")
    submit(gateway, any_contract, "increment", "n")
    assert gateway.evaluate(any_contract, "get", "n") == b"2"
    submit(gateway, any_contract, "delete", "k")
    assert gateway.evaluate(any_contract, "get", "k") == b""


def test_a_contract_reads_ranges_of_more_than_one_message_and_pages(gateway, any_contract):
    submit(gateway, any_contract, "fill", "row", "120")
    rows = json.loads(gateway.evaluate(any_contract, "range", "row", "rox"))
    assert rows == [[f"row{number:05}", str(number)] for number in range(120)]
    assert json.loads(gateway.evaluate(any_contract, "page", "row", "rox", "5", "")) == [f"row{n:05}" for n in range(5)]
    assert json.loads(gateway.evaluate(any_contract, "page", "row", "rox", "5", "row00115")) == [
        f"row{n:05}" for n in range(115, 120)]


def test_a_contract_reads_the_history_of_a_key(gateway, any_contract):
    for value in ("a", "b"):
        submit(gateway, any_contract, "put", "told", value)
    submit(gateway, any_contract, "delete", "told")
    assert json.loads(gateway.evaluate(any_contract, "history", "told")) == [None, "b", "a"]


def test_a_contract_uses_composite_keys_and_facts_of_the_transaction(gateway, any_contract, network):
    for attributes in (["red", "1"], ["red", "2"], ["blue", "1"]):
        submit(gateway, any_contract, "composite", "color", json.dumps(attributes))
    assert json.loads(gateway.evaluate(any_contract, "partial", "color", '["red"]')) == [
        ["color", "red", "1"], ["color", "red", "2"]]
    assert json.loads(gateway.evaluate(any_contract, "who"))[:2] == ["UtilityMSP", network.channel]


def test_an_error_of_a_contract_reaches_the_client(gateway, any_contract):
    assert "not today" in reasons(lambda: gateway.endorse(any_contract, "refuse", "not today"))
    assert "nonsense" in reasons(lambda: gateway.endorse(any_contract, "nonsense"))


def test_batches_and_bookmarks(gateway, contract):
    submit(gateway, contract, "batch", '[["b1", "1"], ["b2", "2"], ["b3", "3"]]')
    assert json.loads(gateway.evaluate(contract, "many", '["b3", "none", "b1"]')) == ["3", "", "1"]
    assert gateway.evaluate(contract, "bookmark", "b", "c", "2", "") == b"b3"
    assert gateway.evaluate(contract, "bookmark", "b", "c", "2", "b3") == b""


def test_rich_queries_say_that_they_are_not_supported(gateway, direct):
    assert "not supported for leveldb" in reasons(lambda: gateway.endorse("direct", "rich", "{}"))


def test_private_data_stays_with_its_organization(network, gateway, contract):
    collection = "_implicit_org_UtilityMSP"
    identity = gateway.identity
    transaction_id, signed = fabric.proposal(
        network.channel, contract, ["put_private", collection, "secret"], identity, transient={"value": b"42"})
    connection, _ = network.connect("utility", "utility/user")
    orderer, _ = network.connect("orderer", "utility/user")
    with connection, orderer:
        response = fabric.endorser(connection, signed)
        assert response.response.status == 200, response.response.message
        assert b"42" not in response.payload
        answer = fabric.broadcast(orderer, fabric.assemble(signed, [response], identity))
        assert answer.status == common_pb2.SUCCESS, answer.info
    assert gateway.status(transaction_id).result == transaction_pb2.VALID
    assert gateway.evaluate(contract, "get_private", collection, "secret") == b"42"
    assert gateway.evaluate(contract, "hash_private", collection, "secret") == hashlib.sha256(b"42").digest()
    submit(gateway, contract, "purge_private", collection, "secret", organizations=["UtilityMSP"])
    assert gateway.evaluate(contract, "hash_private", collection, "secret") == b""


def test_a_key_can_have_a_policy_of_its_own(gateway, contract):
    role = msp_principal_pb2.MSPRole(msp_identifier="UtilityMSP", role=msp_principal_pb2.MSPRole.PEER)
    policy = policies_pb2.SignaturePolicyEnvelope(
        rule=policies_pb2.SignaturePolicy(n_out_of=policies_pb2.SignaturePolicy.NOutOf(
            n=1, rules=[policies_pb2.SignaturePolicy(signed_by=0)])),
        identities=[msp_principal_pb2.MSPPrincipal(
            principal_classification=msp_principal_pb2.MSPPrincipal.ROLE, principal=role.SerializeToString())])
    submit(gateway, contract, "put", "own", "1")
    submit(gateway, contract, "set_policy", "own", base64.b64encode(policy.SerializeToString()).decode())
    assert gateway.evaluate(contract, "get_policy", "own") == policy.SerializeToString()
    submit(gateway, contract, "put", "own", "2", organizations=["UtilityMSP"])
    assert gateway.evaluate(contract, "get", "own") == b"2"


def test_an_event_of_a_contract_reaches_listeners(gateway, contract):
    transaction_id, status = submit(gateway, contract, "emit", "shipped", "crate 7")
    stream = gateway.events(contract, start=status.block_number)
    events = next(iter(stream)).events
    stream.cancel()
    assert [(event.event_name, event.payload, event.chaincode_id, event.tx_id) for event in events] == [
        ("shipped", b"crate 7", contract, transaction_id)]


def test_a_contract_calls_others(gateway, shim, contract):
    submit(gateway, contract, "call", "shim", "put", f"from-{contract}", "yes")
    assert gateway.evaluate("shim", "get", f"from-{contract}") == b"yes"
    # Only Weft's peers have contracts that are built in.
    if "NETWORK" not in os.environ:
        submit(gateway, contract, "call", "kv", "put", f"from-{contract}", "also")
        assert gateway.evaluate("kv", "get", f"from-{contract}") == b"also"
    assert "chaincode nowhere not found" in reasons(lambda: gateway.endorse(contract, "call", "nowhere", "x", "", ""))
