"""Orderers of a cluster get other TLS certificates while `weft bench` writes: with the same key, and with another one, which
the channel's configuration must say.

WEFT names the executable. Run by scripts/end-to-end.
"""

import pytest

from members import Load, check_nothing_lost
from orderers import Gaps, check_orderers_agree


def says(cluster, name, text, times):
    return cluster.log(name).count(text) >= times


def restart(cluster, names):
    """Every orderer comes back with what it has in its files."""
    for name in names:
        cluster.terminate(name)
        cluster.start()
        height = cluster.height("auditor")
        cluster.wait(lambda: cluster.heights()[name] >= height, f"{name} does not go on after a restart")


@pytest.mark.parametrize("cluster", [3], indirect=True)
def test_certificates_of_a_cluster_are_renewed_under_load(cluster):
    taken_up = "read the TLS certificate and roots again"
    with Load(cluster, "utility") as load:
        load.go_on()
        for number, name in enumerate(cluster.ordering):
            before = cluster.log(name).count(taken_up)
            cluster.weft("ca", "renew", cluster.orderer("."), f"node{number}.orderer.example", "--days", 365)
            cluster.wait(lambda: says(cluster, name, taken_up, before + 1), f"{name} does not take up its certificate")
        load.go_on()
        restart(cluster, cluster.ordering)
        load.go_on()
    assert load.report["failed"] == 0, load.report["reasons"]
    check_nothing_lost(cluster, load, ["utility", "auditor"])
    check_orderers_agree(cluster, cluster.ordering)


@pytest.mark.parametrize("cluster", [3], indirect=True)
def test_consenters_get_certificates_with_other_keys_under_load(cluster):
    taken_up = "read the TLS certificate and roots again"
    with Load(cluster, "utility") as load:
        load.go_on()
        # The one that leads comes first: it must hand over.
        leader = cluster.leader()
        for name in [leader, *(name for name in cluster.ordering if name != leader)]:
            number = cluster.ordering.index(name)
            issued = f"new{number}"
            cluster.weft("ca", "issue", cluster.orderer("."), issued, "--role", "orderer", "--host", "127.0.0.1")
            new = cluster.orderer(f"orderers/{issued}.orderer.example/tls")
            endpoint = cluster.network.node(name)["endpoint"]
            before = cluster.log(name).count(taken_up)
            with Gaps(load) as gaps:
                cluster.change(
                    ["orderer"], "set-consenter-certificates", f"address={endpoint}",
                    f"client-cert={new / 'server.crt'}", f"server-cert={new / 'server.crt'}")
                for file in ["server.key", "server.crt"]:
                    cluster.orderer(f"orderers/node{number}.orderer.example/tls/{file}").write_bytes(
                        (new / file).read_bytes())
                cluster.wait(
                    lambda: says(cluster, name, taken_up, before + 1), f"{name} does not take up its certificate")
                load.go_on(30)
            print(f"{'leader' if name == leader else 'follower'}'s key changed: no commit for {gaps.longest:.2f} s")
            height = cluster.height("auditor")
            cluster.wait(lambda: cluster.heights()[name] >= height, f"{name} is left behind")
        restart(cluster, cluster.ordering)
        load.go_on()
    assert load.report["failed"] == 0, load.report["reasons"]
    check_nothing_lost(cluster, load, ["utility", "auditor"])
    check_orderers_agree(cluster, cluster.ordering)
