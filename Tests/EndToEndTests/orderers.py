"""Ordering services of several orderers, as real processes that tests kill, pause, cut off, add and remove.

Used by clusters.py and outages.py.
"""

import json
import os
import pathlib
import signal
import subprocess
import threading
import time

import fabric
from fabric_protos.common import common_pb2
from members import Consortium, free_port
from processes import check_chain


class Cluster(Consortium):
    """A consortium with so many orderers, of which tests kill, pause, add and remove some."""

    def __init__(self, root, executable, orderers):
        super().__init__(root, executable)
        self.orderers, self.added = orderers, {}

    def up(self):
        self.start("--orgs", 2, "--orderers", self.orderers, "--base-port", 0, "--contract", "kv")
        super().up()

    def start(self, *flags):
        """Starts what doesn't run."""
        self.weft("network", "up", "--folder", self.folder, *flags)

    def down(self):
        for name in self.added:
            self.added[name].kill()
            self.added[name].wait()
        super().down()

    def stop(self):
        self.weft("network", "down", "--folder", self.folder)

    @property
    def ordering(self):
        """The names of the orderers that `weft network up` runs."""
        return [node["name"] for node in self.network.description["nodes"] if node["role"] == "orderer"]

    def tick(self, interval):
        """Gives Raft another tick than the channel's on all orderers, which are restarted for it."""
        self.stop()
        for name in self.ordering:
            with (self.folder / "nodes" / name / "orderer.yaml").open("a") as configuration:
                configuration.write(f"\nconsensus: {{ tickInterval: {interval} }}\n")
        self.start()

    def pid(self, name):
        return int((self.folder / "nodes" / name / "pid").read_text())

    def signal(self, name, number):
        os.kill(self.pid(name), number)

    def terminate(self, name):
        """Ends an orderer on purpose, and waits until it is gone."""
        process = self.pid(name)
        os.kill(process, signal.SIGTERM)
        self.wait(lambda: self.has_ended(process), f"{name} does not end")

    @staticmethod
    def has_ended(process):
        try:
            return pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            return True

    def states(self):
        return json.loads(self.try_weft("network", "status", "--folder", self.folder, "--json").stdout)["nodes"]

    def leader(self):
        """The orderer that leads, once one does."""
        found = []
        self.wait(lambda: found.extend(n["name"] for n in self.states() if n.get("leads")) or found, "nobody leads")
        return found[0]

    # Orderers that come later

    def osnadmin(self, administration, *arguments):
        tls = self.orderer("users/admin@orderer.example/tls")
        said = self.weft(
            "fabric", "osnadmin", "channel", *arguments, "--channelID", self.channel, "-o", administration,
            "--ca-file", self.orderer("orderers/node0.orderer.example/tls/ca.crt"),
            "--client-cert", tls / "client.crt", "--client-key", tls / "client.key", "--no-status")
        return json.loads(said) if said.startswith("{") else said

    def add_orderer(self, name):
        """Runs another orderer, which has no channels yet."""
        node = self.orderer(f"orderers/{name}.orderer.example")
        if not node.exists():
            self.weft("ca", "issue", self.orderer("."), name, "--role", "orderer", "--host", "127.0.0.1")
        home = self.root / "peers" / name
        if not home.exists():
            home.mkdir(parents=True)
            tls = {"certificate": str(node / "tls/server.crt"), "key": str(node / "tls/server.key"),
                   "roots": [str(node / "tls/ca.crt")], "clients": "required"}
            (home / "orderer.yaml").write_text(json.dumps({
                "listen": f"127.0.0.1:{free_port()}", "data": str(home / "data"),
                "identity": {"mspID": "OrdererMSP", "folder": str(node / "msp")}, "tls": tls, "channels": [],
                "admin": {"listen": f"127.0.0.1:{free_port()}", "tls": tls}}))
        said = json.loads((home / "orderer.yaml").read_text())
        with (home / "log").open("a") as log:
            self.added[name] = subprocess.Popen(
                [self.executable, "orderer", "start", "--config", home / "orderer.yaml"], stdout=log, stderr=log)
        administration = said["admin"]["listen"]
        self.wait(
            lambda: self.try_weft(
                "fabric", "osnadmin", "channel", "list", "-o", administration,
                "--ca-file", node / "tls/ca.crt",
                "--client-cert", self.orderer("users/admin@orderer.example/tls/client.crt"),
                "--client-key", self.orderer("users/admin@orderer.example/tls/client.key")).returncode == 0,
            f"{name} does not start")
        return said["listen"], administration

    def join_orderer(self, administration):
        """Joins it with the newest config block."""
        block = self.root / "newest-config.block"
        self.osnadmin(self.network.node("orderer")["administration"], "fetch", "--blockID", "config",
                      "--outputfile", block)
        return self.osnadmin(administration, "join", "--config-block", block)

    def relation(self, administration):
        info = self.osnadmin(administration, "list")
        return info["consensusRelation"], info["status"]


class Gaps:
    """The longest time in which no transaction became valid."""

    def __init__(self, load):
        self.load, self.longest, self.ending = load, 0.0, threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        size, since = 0, time.monotonic()
        while not self.ending.wait(0.01):
            now = self.load.record.stat().st_size if self.load.record.exists() else 0
            if now != size:
                size, since = now, time.monotonic()
            self.longest = max(self.longest, time.monotonic() - since)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()


def check_orderers_agree(cluster, names):
    """Every orderer has the same chain."""
    heights = {}

    def level():
        heights.update({n["name"]: n["height"] for n in cluster.states()})
        return len({heights[name] for name in names}) == 1 and None not in heights.values()
    cluster.wait(level, "the orderers do not reach the same height")
    ends = set()
    for name in names:
        connection, tls_hash = cluster.network.connect(name, "utility/user")
        with connection:
            blocks, status = fabric.orderer_blocks(
                connection, cluster.channel, cluster.network.identity("utility/user"), tls_hash, 0, heights[name] - 1)
        assert status == common_pb2.SUCCESS
        ends.add(check_chain(blocks, name, committed=False)[0])
    assert len(ends) == 1, "the orderers' chains differ"
