"""The sample contracts of Samples/ on a network of real processes, as services, and started by a peer. Run by
scripts/contracts."""

import concurrent.futures
import json
import os
import subprocess

import pytest

import contracts
import fabric
import launched
from contracts import Program, deployed, eventually, network, reasons, submit  # noqa: F401 (network is a fixture)


@pytest.fixture(scope="module")
def assets(network):
    yield from deployed(Program(network, "assets", "AssetTransfer"))


@pytest.fixture(scope="module")
def custody(network):
    yield from deployed(Program(network, "custody", "Custody"))


def gateway(network, organization):
    connection, _ = network.connect(organization, f"{organization}/user")
    return connection, fabric.Gateway(connection, network.channel, network.identity(f"{organization}/user"))


@pytest.fixture(scope="module")
def utility(network):
    connection, client = gateway(network, "utility")
    with connection:
        yield client


@pytest.fixture(scope="module")
def auditor(network):
    connection, client = gateway(network, "auditor")
    with connection:
        yield client


def test_assets_are_created_handed_on_and_found(utility, assets):
    submit(utility, "assets", "CreateAsset", "a1", "amber", "4", "Ana", "120")
    transaction_id, status = submit(utility, "assets", "TransferAsset", "a1", "Bodo")
    asset = {"id": "a1", "color": "amber", "size": 4, "owner": "Bodo", "appraisedValue": 120}
    assert json.loads(utility.evaluate("assets", "ReadAsset", "a1")) == asset
    assert json.loads(utility.evaluate("assets", "GetAssetsByOwner", "Bodo")) == [asset]
    assert json.loads(utility.evaluate("assets", "GetAssetsByOwner", "Ana")) == []
    history = json.loads(utility.evaluate("assets", "AssetTransfer:GetAssetHistory", "a1"))
    assert [(entry["asset"]["owner"], entry["transactionID"] == transaction_id) for entry in history] == [
        ("Bodo", True), ("Ana", False)]
    stream = utility.events("assets", start=status.block_number)
    events = next(iter(stream)).events
    stream.cancel()
    assert [(event.event_name, json.loads(event.payload)) for event in events] == [("AssetTransferred", asset)]


def test_errors_and_metadata_reach_the_client(utility, assets):
    assert "there is no asset none" in reasons(lambda: utility.evaluate("assets", "ReadAsset", "none"))
    assert "argument size: expected a whole number" in reasons(
        lambda: utility.endorse("assets", "CreateAsset", "a2", "amber", "big", "Ana", "120"))
    metadata = json.loads(utility.evaluate("assets", "org.hyperledger.fabric:GetMetadata"))
    names = [transaction["name"] for transaction in metadata["contracts"]["AssetTransfer"]["transactions"]]
    assert "TransferAsset" in names
    printed = subprocess.run([Program.folder / "AssetTransfer", "--metadata"], capture_output=True, timeout=60, check=True)
    assert json.loads(printed.stdout) == metadata


def test_many_transactions_run_on_one_stream(utility, assets):
    def create(number):
        return submit(utility, "assets", "CreateAsset", f"many{number:03}", "olive", "1", "Chiara", str(number))

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(create, range(120)))
    found = json.loads(utility.evaluate("assets", "GetAssetsByOwner", "Chiara"))
    assert [asset["appraisedValue"] for asset in found] == list(range(120))


def test_a_contract_that_was_ended_serves_again(utility, assets):
    assets.stop()
    assets.start()
    eventually(lambda: json.loads(utility.evaluate("assets", "AssetExists", "a1")))


def test_a_container_changes_hands_when_both_consent(utility, auditor, custody):
    submit(utility, "custody", "Register", "CSQU3054383", "coffee", "Santos")
    # The other organization's peer commits when it gets to it.
    eventually(lambda: auditor.evaluate("custody", "Read", "CSQU3054383"))
    assert "UtilityMSP may" in reasons(lambda: auditor.endorse("custody", "Offer", "CSQU3054383", "AgencyMSP"))
    submit(utility, "custody", "Offer", "CSQU3054383", "AuditorMSP")
    eventually(lambda: auditor.endorse("custody", "Accept", "CSQU3054383", "Rotterdam"))
    assert "AuditorMSP may" in reasons(lambda: utility.endorse("custody", "Accept", "CSQU3054383", "Rotterdam"))
    # Nobody says who must endorse: the gateway learns it from the container's own policy.
    submit(auditor, "custody", "Accept", "CSQU3054383", "Rotterdam")
    container = json.loads(auditor.evaluate("custody", "Read", "CSQU3054383"))
    assert (container["holder"], container["place"]) == ("AuditorMSP", "Rotterdam")
    assert json.loads(auditor.evaluate("custody", "HeldBy", "UtilityMSP")) == []


@pytest.mark.parametrize("program, contract, transaction", [
    ("AssetTransfer", "AssetTransfer", "TransferAsset"), ("Custody", "Custody", "Accept"),
    ("EmissionsService", "emissions", "SubmitRecords"), ("Trade", "Trade", "Sell")])
def test_a_sample_is_tried_without_a_network(program, contract, transaction):
    done = subprocess.run([os.environ["WEFT"], "contract", "test", Program.folder / program, "--json"],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert transaction in answer["contracts"][contract] and answer["type"] == "executable"


def test_a_sample_that_a_peer_starts_registers_with_it(network, utility, tmp_path_factory):
    program = (Program.folder / "AssetTransfer").read_bytes()
    contract = launched.Launched(network, "started", *launched.make(
        tmp_path_factory, "executable", "started", {"AssetTransfer": program}))
    contract.deploy()
    submit(utility, "started", "InitLedger")
    assert len(json.loads(utility.evaluate("started", "GetAllAssets"))) == 3
    assert "there is no asset none" in reasons(lambda: utility.evaluate("started", "ReadAsset", "none"))


def test_logs_of_a_peer_elsewhere_are_named_with_the_command_that_shows_them(network):
    done = subprocess.run([os.environ["WEFT"], "contract", "logs", "started", "--network", network.folder, "--peer", "far:7051"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "far:7051 is no peer" in done.stderr, done.stdout + done.stderr
    assert "tail -n 50 contracts/started*/log" in done.stderr
