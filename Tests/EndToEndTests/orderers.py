"""Ordering services of several orderers, as real processes that tests kill, pause, cut off, add and remove.

Used by clusters.py, outages.py and rotations.py.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request

import pytest

import fabric
from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.common import configuration_pb2 as common_configuration_pb2
from fabric_protos.orderer import configuration_pb2
from fabric_protos.orderer.etcdraft import configuration_pb2 as raft_pb2
from members import Consortium, free_port
from processes import check_chain


class Cluster(Consortium):
    """A consortium with so many orderers, of which tests kill, pause, add and remove some."""

    is_bft = False

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

    def port(self, name):
        return int(self.network.node(name)["endpoint"].split(":")[1])

    def owner(self, port):
        """The orderer whose connection has this port at its own end."""
        inodes = set()
        for table in ["tcp", "tcp6"]:
            for line in pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if int(fields[1].rsplit(":", 1)[1], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
        for name in self.ordering:
            for handle in pathlib.Path(f"/proc/{self.pid(name)}/fd").iterdir():
                try:
                    if os.readlink(handle) in inodes:
                        return name
                except OSError:
                    continue
        return None

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

    def metrics(self, name):
        """What Prometheus finds at a node: values by labels by name."""
        endpoint = self.network.node(name)["operations"]
        with urllib.request.urlopen(f"http://{endpoint}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        found = {}
        for line in lines:
            if not line.startswith("#"):
                series, value = line.rsplit(" ", 1)
                metric, _, labels = series.rstrip("}").partition("{")
                found.setdefault(metric, {})[labels] = float(value)
        return found

    def heights(self):
        return {node["name"]: node.get("height") or 0 for node in self.states()}

    def write(self, size):
        """Has so many bytes of transactions ordered and committed."""
        log = self.folder / "nodes" / self.leader() / "data/channels" / self.channel / "log"

        def bytes_so_far():
            return sum(file.stat().st_size for file in log.iterdir())
        wanted = bytes_so_far() + size
        while bytes_so_far() < wanted:
            self.weft("bench", *self["utility"].flags(self.channel, "user"), "--workers", 2, "--warm-up", 0,
                      "--duration", 2, "--value-bytes", 100_000)

    def log(self, name):
        return (self.folder / "nodes" / name / "log").read_text(errors="replace")

    def leader(self):
        """The orderer that leads, once one does."""
        found = []
        self.wait(lambda: found.extend(n["name"] for n in self.states() if n.get("leads")) or found, "nobody leads")
        return found[0]

    def change_raft(self, edit):
        """Changes what the channel's configuration says of Raft: `edit` gets an etcdraft.ConfigMetadata."""
        def change(group):
            value = group.values["ConsensusType"]
            consensus = configuration_pb2.ConsensusType.FromString(value.value)
            metadata = raft_pb2.ConfigMetadata.FromString(consensus.metadata)
            edit(metadata)
            consensus.metadata = metadata.SerializeToString()
            value.value = consensus.SerializeToString()
        self.change_ordering(change)

    def change_bft(self, edit):
        """Changes what the channel's configuration says of BFT's consenters: `edit` gets a common.Orderers."""
        def change(group):
            value = group.values["Orderers"]
            consenters = common_configuration_pb2.Orderers.FromString(value.value)
            edit(consenters)
            value.value = consenters.SerializeToString()
        self.change_ordering(change)

    def change_ordering(self, edit):
        """Changes the group Orderer of the channel's configuration."""
        block, original, updated, update = (self.root / f"ordering.{kind}" for kind in ["block", "now", "new", "update"])
        self.weft("channel", "fetch", block, *self["auditor"].flags(self.channel))
        envelope = common_pb2.Envelope.FromString(common_pb2.Block.FromString(block.read_bytes()).data.data[0])
        config = configtx_pb2.ConfigEnvelope.FromString(
            common_pb2.Payload.FromString(envelope.payload).data).config
        original.write_bytes(config.SerializeToString())
        edit(config.channel_group.groups["Orderer"])
        updated.write_bytes(config.SerializeToString())
        self.weft("fabric", "configtxlator", "compute_update", "--channel_id", self.channel, "--original", original,
                  "--updated", updated, "--output", update)
        header = common_pb2.ChannelHeader(type=common_pb2.CONFIG_UPDATE, channel_id=self.channel)
        envelope = common_pb2.Envelope(payload=common_pb2.Payload(
            header=common_pb2.Header(channel_header=header.SerializeToString()),
            data=configtx_pb2.ConfigUpdateEnvelope(config_update=update.read_bytes()).SerializeToString(),
        ).SerializeToString())
        update.write_bytes(envelope.SerializeToString())
        self.weft("channel", "sign", update, "--config", block, *self["orderer"].signing())
        self.weft("channel", "submit", update, *self["auditor"].flags(self.channel))

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

    def administer(self, *operations):
        """Changes the channel's configuration through an orderer's administration, as maintenance mode needs it."""
        administration = self.network.node("orderer")["administration"]
        block, update = self.root / "administered.block", self.root / "administered.pb"
        height = self.osnadmin(administration, "list")["height"]
        self.osnadmin(administration, "fetch", "--blockID", "config", "--outputfile", block)
        self.weft("channel", "edit", "--out", update, "--config", block, *operations)
        self.weft("channel", "sign", update, "--config", block, *self["orderer"].signing())
        self.osnadmin(administration, "update", "--config-update-envelope", update)
        self.wait(lambda: self.osnadmin(administration, "list")["height"] > height, f"{operations} has no effect")

    def relation(self, administration):
        info = self.osnadmin(administration, "list")
        return info["consensusRelation"], info["status"]


class Wires:
    """What the orderers tell each other, through a proxy in front of each, which can be cut.

    What was sent through a cut wire arrives when it is mended, as with TCP.
    """

    def __init__(self, cluster):
        self.cluster, self.cuts = cluster, set()
        self.mended = threading.Condition()
        self.doors = {name: socket.create_server(("127.0.0.1", 0)) for name in cluster.ordering}

    def __enter__(self):
        for name in self.doors:
            threading.Thread(target=self.serve, args=(name,), daemon=True).start()
        ports = {self.cluster.port(name): door.getsockname()[1] for name, door in self.doors.items()}

        def move(consenters):
            for consenter in consenters:
                consenter.port = ports[consenter.port]
        if self.cluster.is_bft:
            self.cluster.change_bft(lambda message: move(message.consenter_mapping))
        else:
            self.cluster.change_raft(lambda message: move(message.consenters))
        return self

    def __exit__(self, *_):
        self.mend()
        for door in self.doors.values():
            door.close()

    def cut(self, pairs):
        """Holds back all that goes from the first to the second of each pair, over connections that the first made."""
        with self.mended:
            self.cuts = set(pairs)

    def mend(self):
        with self.mended:
            self.cuts = set()
            self.mended.notify_all()

    def serve(self, name):
        while True:
            try:
                near, (_, port) = self.doors[name].accept()
            except OSError:
                return
            pair = (self.cluster.owner(port), name)
            threading.Thread(target=self.connect, args=(near, pair), daemon=True).start()

    def connect(self, near, pair):
        self.hold(pair)
        try:
            far = socket.create_connection(("127.0.0.1", self.cluster.port(pair[1])))
        except OSError:
            return near.close()
        for source, target in [(near, far), (far, near)]:
            threading.Thread(target=self.carry, args=(source, target, pair), daemon=True).start()

    def hold(self, pair):
        with self.mended:
            self.mended.wait_for(lambda: pair not in self.cuts)

    def carry(self, source, target, pair):
        try:
            while content := source.recv(1 << 16):
                self.hold(pair)
                target.sendall(content)
        except OSError:
            pass
        for end in [source, target]:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class SmallDisks:
    """The orderers' data on small file systems of their own, which tests fill. Needs root."""

    def __init__(self, cluster, size=64 << 20):
        self.cluster, self.size = cluster, size
        self.folders = {name: cluster.folder / "nodes" / name / "data" for name in cluster.ordering}

    def __enter__(self):
        if os.geteuid() != 0:
            pytest.skip("needs root, to mount a small tmpfs")
        self.cluster.stop()
        for folder in self.folders.values():
            kept = folder.rename(folder.with_name("data.kept"))
            folder.mkdir()
            if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.size}", "tmpfs", folder]).returncode != 0:
                pytest.skip("this machine does not let root mount a tmpfs")
            shutil.copytree(kept, folder, dirs_exist_ok=True)
        self.cluster.start()
        return self

    def __exit__(self, *_):
        """Brings what was written back."""
        self.cluster.stop()
        for folder in self.folders.values():
            self.free(folder.parent.name)
            kept = folder.with_name("data.kept")
            shutil.rmtree(kept)
            shutil.copytree(folder, kept)
            subprocess.run(["umount", folder], check=True)
            folder.rmdir()
            kept.rename(folder)
        self.cluster.start()

    def fill(self, name):
        with (self.folders[name] / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(b"\0" * 4096)

    def free(self, name):
        (self.folders[name] / "filler").unlink(missing_ok=True)


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
