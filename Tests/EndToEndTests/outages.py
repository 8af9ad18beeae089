"""Ordering services of several orderers that lose their leader in every way while `weft bench` writes: killed, stopped, cut
off in both directions or in one, on a full disk, restarted on purpose.

Prints how long no transaction became valid. WEFT names the executable. Run by scripts/end-to-end.
"""

import signal

import pytest

from members import Load, check_nothing_lost
from orderers import Gaps, SmallDisks, Wires, check_orderers_agree


@pytest.mark.parametrize("cluster", [3], indirect=True)
def test_a_leader_that_dies_or_is_stopped_is_replaced_soon_with_the_tick_that_is_fabrics_default(cluster):
    cluster.tick("500ms")
    with Load(cluster, "utility") as load:
        load.go_on()
        for number, kind in [(signal.SIGSTOP, "stopped"), (signal.SIGKILL, "killed")] * 2:
            leader = cluster.leader()
            with Gaps(load) as gaps:
                cluster.signal(leader, number)
                load.go_on(30)
            print(f"leader {kind} with a tick of 500 ms: no commit for {gaps.longest:.2f} s")
            # By the election timeout alone it takes 5 to 10 s.
            assert gaps.longest < 4
            if number == signal.SIGSTOP:
                cluster.signal(leader, signal.SIGCONT)
            cluster.start()
            load.go_on()
    check_nothing_lost(cluster, load, ["utility", "auditor"])
    check_orderers_agree(cluster, cluster.ordering)


@pytest.mark.parametrize("cluster", [3], indirect=True)
def test_orderers_are_restarted_one_after_the_other_and_clients_notice_nothing(cluster):
    cluster.tick("500ms")
    with Load(cluster, "utility") as load:
        load.go_on()
        for _ in cluster.ordering:
            leader = cluster.leader()
            with Gaps(load) as gaps:
                cluster.terminate(leader)
                load.go_on(30)
                cluster.start()
                load.go_on(30)
            print(f"leader restarted: no commit for {gaps.longest:.2f} s")
            assert gaps.longest < 2
    assert load.report["failed"] == 0, load.report["reasons"]
    check_nothing_lost(cluster, load, ["utility", "auditor"])
    check_orderers_agree(cluster, cluster.ordering)


@pytest.mark.parametrize("cluster", [3], indirect=True)
def test_a_leader_that_is_cut_off_is_replaced_and_comes_back(cluster):
    with Load(cluster, "utility") as load, Wires(cluster) as wires:
        load.go_on()
        for kind in ["in both directions", "in the direction to it", "in the direction from it"] * 2:
            leader = cluster.leader()
            others = [name for name in cluster.ordering if name != leader]
            to, back = [(name, leader) for name in others], [(leader, name) for name in others]
            with Gaps(load) as gaps:
                wires.cut({"in both directions": to + back, "in the direction to it": to}.get(kind, back))
                load.go_on(30)
            print(f"leader cut off {kind}: no commit for {gaps.longest:.2f} s")
            assert gaps.longest < 6
            wires.mend()
            load.go_on()
    check_nothing_lost(cluster, load, ["utility", "auditor"])
    check_orderers_agree(cluster, cluster.ordering)


@pytest.mark.parametrize("cluster", [3], indirect=True)
def test_a_leader_whose_disk_is_full_is_replaced_and_goes_on_when_there_is_space(cluster):
    with SmallDisks(cluster) as disks, Load(cluster, "utility") as load:
        load.go_on()
        leader = cluster.leader()
        with Gaps(load) as gaps:
            disks.fill(leader)
            cluster.wait(lambda: "disk full" in cluster.log(leader), "the leader does not say that its disk is full")
            load.go_on(30)
        assert cluster.leader() != leader
        print(f"leader's disk full: no commit for {gaps.longest:.2f} s")
        load.go_on(100)
        disks.free(leader)
        height = cluster.height("auditor")
        cluster.wait(lambda: cluster.heights()[leader] >= height, "it does not catch up after space was made")
        # It may lead again.
        for _ in range(3):
            now = cluster.leader()
            if now == leader:
                break
            cluster.terminate(now)
            cluster.start()
        load.go_on()
    check_nothing_lost(cluster, load, ["utility", "auditor"])
    check_orderers_agree(cluster, cluster.ordering)


@pytest.mark.parametrize("cluster", [5, 7], indirect=True)
def test_more_orderers_order_while_more_than_half_of_them_work(cluster):
    with Load(cluster, "utility") as load:
        load.go_on()
        for _ in range((cluster.orderers - 1) // 2):
            leader = cluster.leader()
            with Gaps(load) as gaps:
                cluster.signal(leader, signal.SIGKILL)
                load.go_on(30)
            print(f"leader of {cluster.orderers} killed: no commit for {gaps.longest:.2f} s")
        cluster.start()
        load.go_on()
    check_nothing_lost(cluster, load, ["utility", "auditor"])
    check_orderers_agree(cluster, cluster.ordering)


@pytest.mark.parametrize("cluster", [3], indirect=True)
def test_an_orderer_that_was_away_for_longer_than_the_log_reaches_back_catches_up_while_others_fail(cluster):
    def keep_little(metadata):
        metadata.options.snapshot_interval_size = 200_000
    cluster.change_raft(keep_little)
    with Load(cluster, "utility") as load:
        load.go_on()
        away = next(name for name in cluster.ordering if name != cluster.leader())
        cluster.signal(away, signal.SIGKILL)
        # Several times what the logs keep; it is released in steps of 2 MiB of blocks.
        cluster.write(12 << 20)
        load.go_on()
        cluster.start()
        height = cluster.height("auditor")
        cluster.wait(lambda: cluster.heights()[away] >= height, "it does not catch up")
        assert "the leader's log has no more" in cluster.log(away)
        leader = cluster.leader()
        with Gaps(load) as gaps:
            cluster.signal(leader, signal.SIGKILL)
            load.go_on(30)
        print(f"leader killed after the third one has caught up: no commit for {gaps.longest:.2f} s")
        cluster.start()
        load.go_on()
    check_nothing_lost(cluster, load, ["utility", "auditor"])
    check_orderers_agree(cluster, cluster.ordering)
