"""Orderers that lose a disk while `weft bench` writes, and come back under their old identity: Raft and BFT.

WEFT names the executable. Run by `scripts/end-to-end long`.
"""

import os
import re
import shutil
import signal

import pytest

from byzantine import BFTCluster
from members import Load, check_nothing_lost
from orderers import Cluster, check_orderers_agree


@pytest.fixture
def cluster(tmp_path, request):
    kind, orderers = request.param
    cluster = kind(tmp_path, os.environ["WEFT"], orderers)
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()


def lose(cluster, load, name, stores):
    """Kills an orderer, takes some of its folders away, and starts it again once others have gone on."""
    cluster.signal(name, signal.SIGKILL)
    load.go_on(30)
    log = cluster.folder / "nodes" / name / "log"
    known = len(NOTICED.findall(log.read_text()))
    for store in stores:
        shutil.rmtree(cluster.folder / "nodes" / name / "data" / store.format(channel=cluster.channel))
    cluster.start()
    # A ledger alone may come back from the consensus store without anybody's help.
    if stores != LEDGER:
        cluster.wait(lambda: len(NOTICED.findall(log.read_text())) > known, f"{name} did not notice that it lost a store")


def is_needed(cluster, load, name):
    """Waits until an orderer is a consenter that has all blocks, and nothing is ordered without it: another one ends."""
    administration = cluster.network.node(name)["administration"]
    cluster.wait(lambda: cluster.relation(administration) == ("consenter", "active"), f"{name} does not order")
    height = max(cluster.heights().values())
    cluster.wait(lambda: cluster.heights()[name] >= height, f"{name} does not catch up")
    other = next(other for other in cluster.ordering if other != name)
    cluster.signal(other, signal.SIGKILL)
    load.go_on(30)
    cluster.start()
    load.go_on(30)


NOTICED = re.compile("this consenter (is new or lost a store|has no consensus store)")
LEDGER = ["channels/{channel}/log"]
STORES = [["."], LEDGER, ["channels/{channel}/consensus"]]


@pytest.mark.parametrize("cluster", [(Cluster, 3), (BFTCluster, 4)], indirect=True, ids=["Raft", "BFT"])
def test_orderers_that_lost_a_disk_come_back_and_lose_nothing(cluster):
    with Load(cluster, "utility") as load:
        load.go_on(30)
        for stores in STORES:
            name = cluster.leader()
            lose(cluster, load, name, stores)
            load.go_on(30)
            is_needed(cluster, load, name)
            print(f"{name} came back without {stores}")
    check_nothing_lost(cluster, load, ["utility", "auditor"])
    check_orderers_agree(cluster, cluster.ordering)
