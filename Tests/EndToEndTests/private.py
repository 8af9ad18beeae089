"""Private data between real peers: pushed at endorsement, fetched at the commit, fetched afterwards, and never given to those
who are not members of its collection. WEFT names the executable."""

import contextlib
import json
import os
import signal

import pytest

import fabric
import neighbours

os.environ.setdefault("SAMPLES", "")  # Of the contracts' tests, whose samples are not used here.
import contracts  # noqa: E402
from fabric_protos.common import common_pb2, policies_pb2
from fabric_protos.msp import msp_principal_pb2
from fabric_protos.peer import collection_pb2, policy_pb2, transaction_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2

ORGANIZATIONS = {"utility": "UtilityMSP", "auditor": "AuditorMSP", "agency": "AgencyMSP"}
MEMBERS = ["UtilityMSP", "AuditorMSP"]
GOSSIP = {**neighbours.QUICK, "pvtData": {
    "pullRetryThreshold": "3s", "pushAckTimeout": "2s", "reconcileSleepInterval": "1s"}}


def any_of(organizations):
    """A policy that a member of one of these organizations meets."""
    role = msp_principal_pb2.MSPRole
    return policies_pb2.SignaturePolicyEnvelope(
        rule=policies_pb2.SignaturePolicy(n_out_of=policies_pb2.SignaturePolicy.NOutOf(
            n=1, rules=[policies_pb2.SignaturePolicy(signed_by=index) for index in range(len(organizations))])),
        identities=[msp_principal_pb2.MSPPrincipal(
            principal_classification=msp_principal_pb2.MSPPrincipal.ROLE,
            principal=role(msp_identifier=name, role=role.MEMBER).SerializeToString()) for name in organizations])


def collection(name, required, maximum, members=MEMBERS):
    return collection_pb2.CollectionConfig(static_collection_config=collection_pb2.StaticCollectionConfig(
        name=name, required_peer_count=required, maximum_peer_count=maximum,
        member_orgs_policy=collection_pb2.CollectionPolicyConfig(signature_policy=any_of(members))))


class Peers(neighbours.Neighbours):
    """A peer of each of three organizations, two of which share collections."""

    def up(self):
        self.weft("network", "up", "--folder", self.folder, "--orgs", 3, "--base-port", 0, "--contract", "kv")
        self.know()
        self.stop()
        for name in self.peers:
            self.configure(name, GOSSIP)
        self.start()
        self.see({name: 2 for name in self.peers})

    def start(self, names=None):
        super().start(names)

        def serves(name):
            with contextlib.suppress(OSError):
                return self.metrics(name)
        for name in names or self.peers:
            self.wait(lambda: serves(name), f"the operations service of {name} does not start")

    def endorse(self, peer, *arguments, value=None):
        """What a peer answers to a proposal, signed by a client of its own organization."""
        client = self.network.identity(f"{peer}/user")
        transient = {"value": value.encode()} if value else None
        connection, _ = self.network.connect(peer, f"{peer}/user")
        identifier, signed = fabric.proposal(
            self.network.channel, "direct", list(arguments), client, transient=transient)
        with connection:
            return identifier, signed, fabric.endorser(connection, signed), client

    def put(self, peer, name, key, value):
        """Has a private value endorsed by one peer, and ordered; returns the block that it is in."""
        identifier, signed, answer, client = self.endorse(peer, "put_private", name, key, value=value)
        assert answer.response.status == 200, answer.response.message
        orderer, _ = self.network.connect("orderer", f"{peer}/user")
        with orderer:
            ordered = fabric.broadcast(orderer, fabric.assemble(signed, [answer], client))
            assert ordered.status == common_pb2.SUCCESS, ordered.info
        connection, _ = self.network.connect(peer, f"{peer}/user")
        with connection:
            status = fabric.Gateway(connection, self.network.channel, client).status(identifier)
        assert status.result == transaction_pb2.VALID, status.result
        return status.block_number

    def read(self, peer, name, key):
        """A private value as a peer has it; None if it can't give it."""
        answer = self.endorse(peer, "get_private", name, key)[2].response
        return answer.payload.decode() if answer.status == 200 and answer.payload else None

    def lacks(self, peer):
        """What a peer lacks, as `weft private status` tells."""
        told = self.weft("private", "status", "--network", self.folder, "--peer", peer, "--json")
        return json.loads(told)[0]["channels"][0]

    def stored(self, peer, value):
        """Whether a value is anywhere among the files of a peer."""
        for file in (self.folder / "nodes" / peer / "data").rglob("*"):
            with contextlib.suppress(OSError):
                if file.is_file() and value.encode() in file.read_bytes():
                    return True
        return False


class Contract(contracts.Deployed):
    """The contract that speaks the protocol by itself, with collections; any one peer may endorse it."""

    def terms(self, sequence, members):
        policy = policy_pb2.ApplicationPolicy(
            signature_policy=any_of(list(ORGANIZATIONS.values()))).SerializeToString()
        return dict(name=self.name, version="1.0", sequence=sequence, validation_parameter=policy,
                    collections=collection_pb2.CollectionConfigPackage(
                        config=[collection("kept", 1, 1), collection("fetched", 0, 1, members)]))

    def deploy(self):
        for peer in ORGANIZATIONS:
            result = self.lifecycle(peer, "", "InstallChaincode", lifecycle_pb2.InstallChaincodeArgs(
                chaincode_install_package=self.package))
            assert result.response.status == 200, result.response.message
        self.approve(1, MEMBERS)
        self.define(1, MEMBERS, list(ORGANIZATIONS))

    def approve(self, sequence, members):
        for peer in ORGANIZATIONS:
            self.submit([peer], "ApproveChaincodeDefinitionForMyOrg",
                        lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgArgs(
                            source=lifecycle_pb2.ChaincodeSource(local_package=lifecycle_pb2.ChaincodeSource.Local(
                                package_id=self.identifier)), **self.terms(sequence, members)))

    def define(self, sequence, members, peers):
        """Commits a definition in which these organizations share the collection `fetched`, by some peers."""
        self.submit(peers, "CommitChaincodeDefinition",
                    lifecycle_pb2.CommitChaincodeDefinitionArgs(**self.terms(sequence, members)), seen_by=peers)


@pytest.fixture(scope="module")
def peers(tmp_path_factory):
    peers, contract = Peers(tmp_path_factory.mktemp("private"), os.environ["WEFT"]), None
    try:
        peers.up()
        contract = Contract(peers.network, "direct", "direct_contract.py")
        contract.start()
        contract.deploy()
        peers.contract = contract
        yield peers
    finally:
        if contract:
            contract.stop()
        peers.down()


def secret():
    return os.urandom(24).hex()


def test_what_is_endorsed_reaches_members_and_nobody_else(peers):
    value = secret()
    peers.put("utility", "kept", "k", value)
    for member in ["utility", "auditor"]:
        peers.wait(lambda: peers.read(member, "kept", "k") == value, f"{member} does not have it")
        assert peers.lacks(member)["total"] == 0
    peers.level()
    assert peers.read("agency", "kept", "k") is None
    assert peers.endorse("agency", "hash_private", "kept", "k")[2].response.status == 200
    assert peers.lacks("agency")["total"] == 0
    assert peers.stored("utility", value) and peers.stored("auditor", value) and not peers.stored("agency", value)


def test_without_the_peers_that_a_collection_requires_nothing_is_endorsed(peers):
    peers.end("auditor", signal.SIGKILL)
    try:
        answer = peers.endorse("utility", "put_private", "kept", "none", value=secret())[2]
        assert answer.response.status == 500 and not answer.payload
        assert "collection kept of direct wants 1 other peer" in answer.response.message, answer.response.message
    finally:
        peers.start()
    peers.see({name: 2 for name in peers.peers})


def test_a_peer_that_was_away_fetches_what_it_missed_when_the_block_comes(peers):
    value = secret()
    peers.end("auditor")
    peers.put("utility", "fetched", "away", value)
    peers.start()
    peers.wait(lambda: peers.read("auditor", "fetched", "away") == value, "it was not fetched")
    peers.level()
    assert peers.lacks("auditor")["total"] == 0
    assert not peers.stored("agency", value)


def test_what_nobody_could_give_is_shown_as_missing_and_fetched_later(peers):
    value = secret()
    peers.end("auditor")
    block = peers.put("utility", "fetched", "later", value)
    peers.end("utility")
    peers.start(["auditor"])
    # The block waits for the data, but not for ever.
    peers.wait(lambda: peers.block_height("auditor") == block + 1, "the block is held up")
    assert peers.read("auditor", "fetched", "later") is None

    def tried():
        told = peers.lacks("auditor")
        return told["total"] == 1 and told["missing"][0]["lastTried"]
    peers.wait(tried, "it does not say what is missing")
    missing = peers.lacks("auditor")["missing"][0]
    assert (missing["contract"], missing["collection"], missing["block"]) == ("direct", "fetched", block)
    assert len(missing["transactionID"]) == 64 and missing["time"] and missing["reason"], missing
    told = peers.weft("private", "status", "--network", peers.folder, "--peer", "auditor")
    assert "1 set of private writes is missing" in told and "collection fetched of direct" in told, told

    peers.start(["utility"])
    peers.wait(lambda: peers.lacks("auditor")["total"] == 0, "it is not fetched")
    assert peers.read("auditor", "fetched", "later") == value
    told = peers.weft("private", "status", "--network", peers.folder)
    assert told.count("nothing is missing") == 3, told
    assert not peers.stored("agency", value)


def test_an_organization_that_is_added_to_a_collection_gets_the_older_data(peers):
    value = secret()
    block = peers.put("utility", "fetched", "older", value)
    peers.wait(lambda: peers.read("auditor", "fetched", "older") == value, "the other member does not have it")
    peers.level()
    assert peers.read("agency", "fetched", "older") is None and peers.lacks("agency")["total"] == 0

    members = list(ORGANIZATIONS.values())
    peers.contract.approve(2, members)
    peers.end("agency")
    peers.contract.define(2, members, ["utility", "auditor"])
    for name in ["utility", "auditor"]:
        peers.end(name)
    peers.start(["agency"])

    def missing():
        return next((one for one in peers.lacks("agency")["missing"] if one["block"] == block), None)
    peers.wait(lambda: missing() and missing()["lastTried"], "it does not say that older data is missing")
    assert (missing()["contract"], missing()["collection"]) == ("direct", "fetched"), missing()
    assert "UtilityMSP" in missing()["reason"] and not peers.stored("agency", value), missing()

    peers.start(["utility", "auditor"])
    peers.wait(lambda: peers.lacks("agency")["total"] == 0, "it is not fetched")
    assert peers.read("agency", "fetched", "older") == value
    assert peers.stored("agency", value)
    peers.end("agency")
    assert " ERRO " not in peers.log("agency"), peers.log("agency")
    told = peers.weft("ledger", "verify", peers.folder / "nodes" / "agency" / "data")
    assert ": intact." in told, told
    peers.start(["agency"])

    # And who is not among the members any more gets nothing that is new.
    peers.see({name: 2 for name in peers.peers})
    peers.contract.approve(3, MEMBERS)
    peers.contract.define(3, MEMBERS, list(ORGANIZATIONS))
    value = secret()
    peers.put("utility", "fetched", "newer", value)
    peers.wait(lambda: peers.read("auditor", "fetched", "newer") == value, "a member does not have it")
    peers.level()
    assert peers.read("agency", "fetched", "newer") is None and peers.lacks("agency")["total"] == 0
    assert not peers.stored("agency", value)
