"""Ordering services of several orderers that lose their leader in every way while `weft bench` writes: killed, stopped, cut
off in both directions or in one, on a full disk, restarted on purpose.

Prints how long no transaction became valid. WEFT names the executable. Run by scripts/end-to-end.
"""

import signal

import pytest

from members import Load, check_nothing_lost
from orderers import Gaps, Wires, check_orderers_agree


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
