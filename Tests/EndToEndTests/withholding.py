"""A peer and its gateway on a BFT channel of which one orderer lies: it takes transactions that it doesn't pass on, or gives
no blocks while it shows their headers.

WEFT names the executable. Run by scripts/end-to-end.
"""

import contextlib
import pathlib
import subprocess
import sys
import time

import pytest

from byzantine import BFTCluster, cluster  # noqa: F401: a fixture


@contextlib.contextmanager
def censor(cluster, peer):
    """Lets a peer reach the orderers through censor.py; gives the folder with which it is told what to do."""
    folder = cluster.folder.parent / "censor"
    folder.mkdir()
    homes = [cluster.orderer(f"orderers/node{number}.orderer.example/tls") for number in range(cluster.orderers)]
    addresses = [cluster.network.node(name)["endpoint"] for name in cluster.ordering]
    (folder / "swallow").write_text(addresses[-1])
    own = cluster.folder / f"organizations/{peer}/peers/node0.{peer}.example/tls"
    program = pathlib.Path(__file__).with_name("censor.py")
    process = subprocess.Popen([sys.executable, program, folder, ",".join(map(str, homes)), own, *addresses])
    try:
        cluster.wait((folder / "addresses").exists, "the censor does not start")
        cluster.terminate(peer)
        with (cluster.folder / "nodes" / peer / "peer.yaml").open("a") as configuration:
            configuration.write("orderers:\n")
            for line in (folder / "addresses").read_text().splitlines():
                address, other = line.split()
                configuration.write(f'  "{address}": "{other}"\n')
        cluster.start()
        yield folder
    finally:
        process.kill()
        process.wait()


def put(cluster, value):
    """Has a transaction committed through the utility's peer; returns the seconds that it took."""
    begin = time.monotonic()
    said = cluster.try_weft("tx", "submit", "--network", cluster.folder, "kv", "put", "key", value)
    assert said.returncode == 0 and "as VALID" in said.stdout + said.stderr, said.stderr + cluster.logs()
    return time.monotonic() - begin


@pytest.mark.parametrize("cluster", [(BFTCluster, 4)], indirect=True)
def test_one_orderer_that_lies_neither_keeps_transactions_back_nor_blocks(cluster):
    with censor(cluster, "utility") as told:
        for number in range(10):
            put(cluster, f"swallowed {number}")
        (told / "withhold").touch()
        print(f"an orderer withholds blocks: committed after {put(cluster, 'withheld'):.1f} s")
        left = cluster.metrics("utility")["deliveryclient_withheld_blocks"]
        assert sum(left.values()) == 1
        put(cluster, "from another one")
        (told / "withhold").unlink()
        put(cluster, "afterwards")
