"""A consortium of real processes that tests may kill, starve and restart. Used by faults.py and badmessages.py."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time

import fabric


class Consortium:
    """The nodes that `weft network up` runs, in a folder and on ports of their own."""

    def __init__(self, folder, weft):
        self.folder, self.weft = pathlib.Path(folder), weft
        self.network = None

    def run(self, *arguments, timeout=90):
        return subprocess.run([self.weft, *map(str, arguments)], capture_output=True, text=True, timeout=timeout)

    def up(self):
        """Starts what doesn't run, and waits until it is ready."""
        done = self.run("network", "up", "--folder", self.folder, "--base-port", 0, "--contract", "kv")
        assert done.returncode == 0, f"weft network up failed:\n{done.stdout}{done.stderr}{self.logs()}"
        self.network = fabric.Network(self.folder)

    def down(self, *flags):
        self.run("network", "down", "--folder", self.folder, *flags)

    def logs(self):
        """The ends of the nodes' logs, for a failure's message."""
        parts = []
        for log in sorted(self.folder.glob("nodes/*/log")):
            parts.append(f"--- {log}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-12:]))
        return "\n" + "\n".join(parts)

    def names(self):
        return [node["name"] for node in self.network.description["nodes"]]

    def node(self, name):
        return self.folder / "nodes" / name

    def data(self, name):
        return self.node(name) / "data"

    def log(self, name):
        return (self.node(name) / "log").read_text(errors="replace")

    def ledger(self, name):
        return self.data(name) / "channels" / self.network.channel

    def configuration(self, name):
        return self.node(name) / ("orderer.yaml" if name == "orderer" else "peer.yaml")

    def process(self, name):
        """The number of the node's process, or None when it doesn't run."""
        try:
            process = int((self.node(name) / "pid").read_text())
            state = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
            line = pathlib.Path(f"/proc/{process}/cmdline").read_bytes().decode()
            return process if state != "Z" and str(self.node(name)) in line else None
        except (OSError, ValueError):
            return None

    def stop(self, name, number=signal.SIGTERM):
        """Ends one node and waits until it is gone."""
        process = self.process(name)
        if process is None:
            return
        os.kill(process, number)
        self.wait(lambda: self.process(name) is None, 30, f"{name} did not end after signal {number}")

    def wait(self, condition, seconds, message):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, message + self.logs()
            time.sleep(0.05)

    def start_in_foreground(self, name, configuration=None, timeout=20):
        """Runs the node until it ends by itself, which a node that can't start must do."""
        role = "orderer" if name == "orderer" else "peer"
        command = [role, "start", "--config", configuration or self.configuration(name)]
        try:
            done = self.run(*command, timeout=timeout)
        except subprocess.TimeoutExpired as expired:
            raise AssertionError(f"{name} went on running; it said:\n{expired.stdout}{expired.stderr}") from None
        return done.returncode, done.stdout + done.stderr

    @contextlib.contextmanager
    def started(self, name):
        """Runs a node that may or may not end by itself, for as long as the caller looks at what it says."""
        role = "orderer" if name == "orderer" else "peer"
        output = self.folder / "said"
        with output.open("w") as file:
            process = subprocess.Popen(
                [self.weft, role, "start", "--config", self.configuration(name)], stdout=file, stderr=file)
        try:
            yield lambda: output.read_text(errors="replace")
        finally:
            process.kill()
            process.wait()

    def status(self):
        return json.loads(self.run("network", "status", "--folder", self.folder, "--json").stdout)

    def agreed(self, seconds=30):
        """The height at which all nodes agree, once they do."""
        end = time.monotonic() + seconds
        while True:
            status = self.status()
            heights = {node.get("height") for node in status["nodes"]}
            if status.get("agree") and len(heights) == 1 and None not in heights:
                return heights.pop()
            assert time.monotonic() < end, f"the nodes don't agree: {status}{self.logs()}"
            time.sleep(0.2)

    def gateway(self, peer="utility", identity="utility/user"):
        connection, _ = self.network.connect(peer, identity)
        return fabric.Gateway(connection, self.network.channel, self.network.identity(identity))

    def blocks_so_far(self, name):
        return next(node["height"] for node in self.status()["nodes"] if node["name"] == name)

    def blocks(self, name, height):
        """All blocks below a height, as a node delivers them."""
        connection, tls_hash = self.network.connect(name, "utility/user")
        deliver = fabric.orderer_blocks if name == "orderer" else fabric.peer_blocks
        with connection:
            blocks, status = deliver(
                connection, self.network.channel, self.network.identity("utility/user"), tls_hash, 0, height - 1)
        assert status == fabric.common_pb2.SUCCESS, f"{name} ended its blocks with status {status}"
        assert [block.header.number for block in blocks] == list(range(height)), name
        return blocks


def verdicts(blocks):
    """Each transaction's code of its first appearance, from delivered blocks."""
    found = {}
    for block in blocks:
        codes = block.metadata.metadata[2]
        for index, data in enumerate(block.data.data):
            payload = fabric.common_pb2.Payload.FromString(fabric.common_pb2.Envelope.FromString(data).payload)
            header = fabric.common_pb2.ChannelHeader.FromString(payload.header.channel_header)
            found.setdefault(header.tx_id, codes[index])
    return found


def check_chain(blocks, name, committed=True):
    """Re-computes a chain's hashes; returns the hash of its last header and its last commit hash."""
    previous_header, previous_commit, commits = b"", b"", fabric.CommitHashes()
    for block in blocks:
        assert block.header.previous_hash == previous_header, f"{name}: block {block.header.number}"
        assert block.header.data_hash == fabric.data_hash(block), f"{name}: block {block.header.number}"
        if committed and block.header.number > 0:
            previous_commit = commits.next(block)
            assert fabric.stored_commit_hash(block) == previous_commit, f"{name}: block {block.header.number}"
        previous_header = fabric.header_hash(block.header)
    return previous_header, previous_commit
