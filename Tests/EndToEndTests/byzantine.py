"""Ordering services of BFT consenters, as real processes: leaders that are killed or paused while `weft bench` writes, as
many nodes down as may be and one more, consenters that come, lose their disk and go, and a Raft channel that becomes BFT.

Prints how long no transaction became valid. WEFT names the executable. Run by scripts/end-to-end.
"""

import os
import shutil
import signal
import time

import pytest

from members import Load, check_nothing_lost
from orderers import Cluster, Gaps, Wires, check_orderers_agree


class BFTCluster(Cluster):
    """A consortium with so many orderers of a BFT channel."""

    is_bft = True

    def up(self):
        self.start("--orgs", 2, "--bft", self.orderers, "--base-port", 0, "--contract", "kv")
        self.know()


@pytest.fixture
def cluster(tmp_path, request):
    kind, orderers = request.param
    cluster = kind(tmp_path, os.environ["WEFT"], orderers)
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()


def certificates(cluster, name):
    """An orderer's own certificate and that of its TLS."""
    folder = cluster.orderer(f"orderers/{name}.orderer.example")
    return next((folder / "msp/signcerts").iterdir()), folder / "tls/server.crt"


def leaders(cluster):
    """Who leads, if it is one of those that `weft network up` runs."""
    return [node["name"] for node in cluster.states() if node.get("leads")]


def add_consenter(cluster, name, number):
    """Runs a new orderer that copies the channel and becomes a consenter; returns where it listens and is administered."""
    endpoint, administration = cluster.add_orderer(name)
    assert cluster.join_orderer(administration)["consensusRelation"] == "follower"
    cluster.wait(lambda: cluster.relation(administration) == ("follower", "active"), f"{name} does not follow")
    identity, tls = certificates(cluster, name)
    cluster.change(
        ["orderer"], "add-consenter", f"address={endpoint}", f"client-cert={tls}", f"server-cert={tls}", f"id={number}",
        "msp-id=OrdererMSP", f"identity={identity}", "add-orderer-endpoint", f"address={endpoint}", "org=orderer")
    cluster.wait(lambda: cluster.relation(administration) == ("consenter", "active"), f"{name} does not order")
    return endpoint, administration


@pytest.mark.parametrize("cluster", [(BFTCluster, 4)], indirect=True)
def test_nothing_acknowledged_is_lost_when_bft_leaders_die_or_pause(cluster):
    with Load(cluster, "utility") as load:
        load.go_on(50)
        for number, kind in [(signal.SIGKILL, "killed"), (signal.SIGSTOP, "paused"), (signal.SIGKILL, "killed")]:
            leader = cluster.leader()
            with Gaps(load) as gaps:
                cluster.signal(leader, number)
                load.go_on(30)
            print(f"BFT leader {leader} {kind}: no commit for {gaps.longest:.2f} s")
            if number == signal.SIGSTOP:
                cluster.signal(leader, signal.SIGCONT)
            cluster.start()
            load.go_on(30)
        # Two of four are one more than may fail: nothing is ordered until one is back.
        others = [name for name in cluster.ordering if name != cluster.leader()][:2]
        for name in others:
            cluster.signal(name, signal.SIGKILL)
        time.sleep(3)
        with Gaps(load) as gaps:
            cluster.start()
            load.go_on(30)
        print(f"two of four came back: no commit for {gaps.longest:.2f} s more")
    check_nothing_lost(cluster, load, ["utility", "auditor"])
    check_orderers_agree(cluster, cluster.ordering)


@pytest.mark.parametrize("cluster", [(BFTCluster, 7)], indirect=True)
def test_two_of_seven_bft_consenters_may_be_down(cluster):
    with Load(cluster, "utility") as load:
        load.go_on(30)
        for name in [cluster.leader(), cluster.ordering[-1]]:
            with Gaps(load) as gaps:
                cluster.signal(name, signal.SIGKILL)
                load.go_on(30)
            print(f"{name} of seven killed: no commit for {gaps.longest:.2f} s")
        cluster.start()
        load.go_on(30)
    check_nothing_lost(cluster, load, ["utility", "auditor"])
    check_orderers_agree(cluster, cluster.ordering)


@pytest.mark.parametrize("cluster", [(BFTCluster, 4)], indirect=True)
def test_a_bft_leader_that_is_cut_off_is_replaced_and_comes_back(cluster):
    with Load(cluster, "utility") as load, Wires(cluster) as wires:
        load.go_on(30)
        for kind in ["in both directions", "in the direction to it", "in the direction from it"]:
            leader = cluster.leader()
            others = [name for name in cluster.ordering if name != leader]
            to, back = [(name, leader) for name in others], [(leader, name) for name in others]
            with Gaps(load) as gaps:
                wires.cut({"in both directions": to + back, "in the direction to it": to}.get(kind, back))
                load.go_on(30)
            print(f"BFT leader cut off {kind}: no commit for {gaps.longest:.2f} s")
            wires.mend()
            load.go_on(30)
    check_nothing_lost(cluster, load, ["utility", "auditor"])
    check_orderers_agree(cluster, cluster.ordering)


@pytest.mark.parametrize("cluster", [(BFTCluster, 4)], indirect=True)
def test_bft_consenters_come_lose_their_disk_and_go_under_load(cluster):
    with Load(cluster, "auditor") as load:
        load.go_on(30)
        with Gaps(load) as gaps:
            _, administration = add_consenter(cluster, "node4", 5)
            load.go_on(30)
        print(f"a fifth BFT consenter: no commit for {gaps.longest:.2f} s")

        # One that lost its disk leaves, and another one comes in its place, with an identity of its own.
        lost = [name for name in cluster.ordering if name not in ["orderer", *leaders(cluster)]][0]
        cluster.signal(lost, signal.SIGKILL)
        shutil.rmtree(cluster.folder / "nodes" / lost / "data")
        load.go_on(30)
        cluster.change(["orderer"], "remove-consenter", f"address={cluster.network.node(lost)['endpoint']}")
        load.go_on(30)
        add_consenter(cluster, "node5", 6)
        load.go_on(30)

        # One that works is removed, the leader if it is one of the first four.
        leader = (leaders(cluster) or ["orderer"])[0]
        place = cluster.network.node(leader)
        with Gaps(load) as gaps:
            cluster.change(["orderer"], "remove-consenter", f"address={place['endpoint']}")
            cluster.wait(
                lambda: cluster.relation(place["administration"]) == ("follower", "active"), f"{leader} does not leave")
            load.go_on(30)
        print(f"BFT consenter {leader} was removed: no commit for {gaps.longest:.2f} s")
        height = cluster.height("auditor")
        cluster.wait(lambda: cluster.osnadmin(administration, "list")["height"] >= height, "node4 does not catch up")
    check_nothing_lost(cluster, load, ["utility", "auditor"])


@pytest.mark.parametrize("cluster", [(Cluster, 3)], indirect=True)
def test_a_raft_channel_becomes_bft_and_grows_to_four(cluster):
    with Load(cluster, "utility") as before:
        before.go_on(100)
    cluster.administer("set-maintenance", "mode=on")
    assert cluster.try_weft(
        "tx", "submit", "--network", cluster.folder, "kv", "put", "key", "value").returncode != 0
    consenters = []
    for index, name in enumerate(cluster.ordering):
        identity, _ = certificates(cluster, f"node{index}")
        consenters.append(f"consenter={cluster.network.node(name)['endpoint']},{index + 1},OrdererMSP,{identity}")
    cluster.administer("change-to-bft", *consenters)
    cluster.administer("set-maintenance", "mode=off")
    with Load(cluster, "utility") as after:
        after.go_on(50)
        add_consenter(cluster, "node3", 4)
        after.go_on(50)
        # Four BFT consenters go on without one of them, which three wouldn't.
        leader = cluster.leader()
        with Gaps(after) as gaps:
            cluster.signal(leader, signal.SIGKILL)
            after.go_on(30)
        print(f"BFT leader killed after the migration: no commit for {gaps.longest:.2f} s")
        cluster.start()
        after.go_on(30)
    check_nothing_lost(cluster, after, ["utility", "auditor"])
    check_nothing_lost(cluster, before, ["utility", "auditor"])
    check_orderers_agree(cluster, cluster.ordering)
