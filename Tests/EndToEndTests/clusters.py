"""Ordering services of several orderers, as real processes: leaders that are killed or paused while `weft bench` writes,
and a service that grows from one orderer to three and shrinks again meanwhile.

WEFT names the executable. Run by scripts/end-to-end.
"""

import json
import shutil
import signal
import time

import pytest

from members import Load, check_nothing_lost, free_port
from orderers import Gaps, check_orderers_agree


@pytest.mark.parametrize("cluster", [3], indirect=True)
def test_nothing_acknowledged_is_lost_when_leaders_die_or_pause(cluster):
    names = ["orderer", "orderer1", "orderer2"]
    with Load(cluster, "utility") as load:
        load.go_on()
        for number, kind in [(signal.SIGKILL, "killed"), (signal.SIGSTOP, "paused"), (signal.SIGKILL, "killed")]:
            leader = cluster.leader()
            with Gaps(load) as gaps:
                cluster.signal(leader, number)
                load.go_on(30)
            print(f"leader {kind}: no commit for {gaps.longest:.2f} s")
            if number == signal.SIGSTOP:
                cluster.signal(leader, signal.SIGCONT)
            cluster.start()
            load.go_on()
        # Without a quorum nothing is ordered; with it again everything goes on.
        others = [name for name in names if name != cluster.leader()]
        for name in others:
            cluster.signal(name, signal.SIGKILL)
        time.sleep(3)
        cluster.start()
        load.go_on()
    check_nothing_lost(cluster, load, ["utility", "auditor"])
    check_orderers_agree(cluster, names)


@pytest.mark.parametrize("cluster", [1], indirect=True)
def test_a_service_grows_from_one_orderer_to_three_and_shrinks_under_load(cluster):
    with Load(cluster, "auditor") as load:
        load.go_on()
        places = {}
        for name in ["node1", "node2"]:
            endpoint, administration = places[name] = cluster.add_orderer(name)
            assert cluster.join_orderer(administration)["consensusRelation"] == "follower"
            cluster.wait(lambda: cluster.relation(administration) == ("follower", "active"), f"{name} does not follow")
            certificate = cluster.orderer(f"orderers/{name}.orderer.example/tls/server.crt")
            cluster.change(
                ["orderer"], "add-consenter", f"address={endpoint}", f"client-cert={certificate}",
                f"server-cert={certificate}", "add-orderer-endpoint", f"address={endpoint}", "org=orderer")
            cluster.wait(lambda: cluster.relation(administration) == ("consenter", "active"), f"{name} does not order")
            load.go_on()

        # A consenter that lost its disk copies the channel and goes on.
        endpoint, administration = places["node2"]
        cluster.added["node2"].kill()
        cluster.added["node2"].wait()
        load.go_on()
        shutil.rmtree(cluster.root / "peers/node2/data")
        cluster.add_orderer("node2")
        cluster.join_orderer(administration)
        cluster.wait(lambda: cluster.relation(administration) == ("consenter", "active"), "node2 does not come back")
        load.go_on()

        # The first orderer leaves: if it leads, it hands over first.
        first = cluster.network.node("orderer")
        cluster.change(["orderer"], "remove-consenter", f"address={first['endpoint']}")
        cluster.wait(lambda: cluster.relation(first["administration"]) == ("follower", "active"), "it does not leave")
        load.go_on()
        height = cluster.height("auditor")
        for _, administration in places.values():
            cluster.wait(
                lambda: cluster.osnadmin(administration, "list")["height"] >= height, "an orderer does not catch up")
    check_nothing_lost(cluster, load, ["utility", "auditor"])


@pytest.mark.parametrize("leads", [True, False], ids=["the leader", "the follower"])
@pytest.mark.parametrize("cluster", [2], indirect=True)
def test_one_of_two_orderers_leaves_under_load_and_comes_back(cluster, leads):
    with Load(cluster, "utility") as load:
        load.go_on()
        leader = cluster.leader()
        name = next(name for name in cluster.ordering if (name == leader) == leads)
        node, number = cluster.network.node(name), cluster.ordering.index(name)
        with Gaps(load) as gaps:
            cluster.change(["orderer"], "remove-consenter", f"address={node['endpoint']}")
            cluster.wait(lambda: cluster.relation(node["administration"]) == ("follower", "active"), "it does not leave")
            load.go_on(30)
        print(f"one of two removed: no commit for {gaps.longest:.2f} s")
        # The other one is enough now.
        cluster.signal(name, signal.SIGSTOP)
        load.go_on(30)
        cluster.signal(name, signal.SIGCONT)
        certificate = cluster.orderer(f"orderers/node{number}.orderer.example/tls/server.crt")
        cluster.change(["orderer"], "add-consenter", f"address={node['endpoint']}", f"client-cert={certificate}",
                       f"server-cert={certificate}")
        cluster.wait(lambda: cluster.relation(node["administration"]) == ("consenter", "active"), "it does not come back")
        load.go_on(30)
    check_nothing_lost(cluster, load, ["utility", "auditor"])
    check_orderers_agree(cluster, cluster.ordering)


@pytest.mark.parametrize("cluster", [3], indirect=True)
def test_orderers_show_fabrics_metrics_of_clusters(cluster):
    with Load(cluster, "utility") as load:
        load.go_on()
        followers = [name for name in cluster.ordering if name != cluster.leader()]
        for name in cluster.ordering:
            found = cluster.metrics(name)
            assert {
                "cluster_comm_egress_queue_capacity", "cluster_comm_egress_queue_length",
                "cluster_comm_egress_queue_workers", "cluster_comm_egress_stream_count",
                "cluster_comm_egress_tls_connection_count", "cluster_comm_ingress_stream_count",
                "cluster_comm_msg_dropped_count", "cluster_comm_msg_send_time_count",
                "consensus_etcdraft_active_nodes", "consensus_etcdraft_cluster_size",
                "consensus_etcdraft_committed_block_number", "consensus_etcdraft_data_persist_duration_count",
                "consensus_etcdraft_is_leader", "consensus_etcdraft_leader_changes",
                "consensus_etcdraft_snapshot_block_number",
            } <= found.keys(), sorted(found)
            assert sum(found["cluster_comm_egress_stream_count"].values()) == 4
            assert sum(found["cluster_comm_egress_tls_connection_count"].values()) == 2
            assert sum(found["cluster_comm_ingress_stream_count"].values()) == 4
            queues = {tuple(sorted(labels.split(","))) for labels in found["cluster_comm_egress_queue_capacity"]}
            others = [cluster.network.node(other)["endpoint"] for other in cluster.ordering if other != name]
            assert queues == {
                (f'channel="{cluster.channel}"', f'host="{host}"', f'msg_type="{kind}"')
                for host in others for kind in ["consensus", "transaction"]}
        # What can't be ordered, and what can't be sent.
        cluster.signal(followers[0], signal.SIGKILL)
        cluster.signal(followers[1], signal.SIGKILL)
        leader = next(name for name in cluster.ordering if name not in followers)
        for name in ["consensus_etcdraft_proposal_failures", "cluster_comm_msg_dropped_count"]:
            cluster.wait(lambda: sum(cluster.metrics(leader).get(name, {}).values()) > 0, f"{name} stays at zero")
        cluster.start()
        load.go_on()
    check_nothing_lost(cluster, load, ["utility", "auditor"])


@pytest.mark.parametrize("cluster", [3], indirect=True)
def test_orderers_have_a_listener_of_their_own(cluster):
    ports = {cluster.port(name): free_port() for name in cluster.ordering}
    for name in cluster.ordering:
        tls = cluster.orderer(f"orderers/node{cluster.ordering.index(name)}.orderer.example/tls")
        with (cluster.folder / "nodes" / name / "orderer.yaml").open("a") as configuration:
            configuration.write(json.dumps({"listener": {
                "listen": f"127.0.0.1:{ports[cluster.port(name)]}", "certificate": str(tls / "server.crt"),
                "key": str(tls / "server.key")}}).join(["\ncluster: ", "\n"]))

    def move(metadata):
        for consenter in metadata.consenters:
            consenter.port = ports[consenter.port]
    cluster.change_raft(move)
    # From here on they look for each other there.
    cluster.stop()
    cluster.start()
    with Load(cluster, "utility") as load:
        load.go_on()
        for name in cluster.ordering:
            cluster.weft("ca", "renew", cluster.orderer("."),
                         f"node{cluster.ordering.index(name)}.orderer.example", "--days", 365)
            cluster.wait(lambda: "listener for other orderers" in cluster.log(name), f"{name} takes up no certificate")
            cluster.signal(cluster.leader(), signal.SIGKILL)
            cluster.start()
            load.go_on()
    check_nothing_lost(cluster, load, ["utility", "auditor"])
    check_orderers_agree(cluster, cluster.ordering)
