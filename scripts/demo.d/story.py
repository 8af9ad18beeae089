"""The story that scripts/demo tells. Each claim is checked before it is printed; the first that isn't true ends the
story with exit code 1. Needs only Python's own library; everything is done by the executable in WEFT."""

import argparse
import atexit
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

WEFT = os.path.abspath(os.environ["WEFT"])
STARTED = time.monotonic()


class Untrue(Exception):
    """Something that the story was about to claim does not hold."""


def check(holds, claim):
    if not holds:
        raise Untrue(claim)


def run(*arguments, expect=0):
    """Runs weft, and returns its output."""
    done = subprocess.run([WEFT, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    if done.returncode != expect:
        raise Untrue(
            f"weft {' '.join(map(str, arguments))[:300]}: exit code {done.returncode}, expected {expect}\n"
            f"{done.stdout[-1500:]}{done.stderr[-1500:]}"
        )
    return done


def chapter(title):
    print(f"\n{title}  [{time.monotonic() - STARTED:.1f} s]", flush=True)


def say(text):
    print(f"  {text}", flush=True)


def number(value):
    return f"{value:,}"


def kilograms(milligrams):
    return f"{milligrams / 1e6:,.2f} kg"


def is_running(process):
    try:
        return "\nState:\tZ" not in pathlib.Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


class Network:
    def __init__(self, folder):
        self.folder = folder
        self.organizations = ["utility", "auditor", "agency"]

    def up(self):
        run("network", "up", "--folder", self.folder, "--base-port", 0)

    def down(self):
        run("network", "down", "--remove", "--folder", self.folder)

    def submit(self, who, function, argument):
        """One transaction; returns the command's answer with `result` decoded."""
        done = run("tx", "submit", "--json", "--network", self.folder, "--as", f"{who}/user",
                   "emissions", function, json.dumps(argument))
        answer = json.loads(done.stdout)
        check(answer["code"] == "VALID", f"{function} by {who} is VALID")
        answer["result"] = json.loads(answer["result"])
        return answer

    def refused(self, who, function, argument):
        """A transaction that must be refused; returns the contract's reason."""
        done = run("tx", "submit", "--network", self.folder, "--as", f"{who}/user",
                   "emissions", function, json.dumps(argument), expect=1)
        return done.stderr.strip().splitlines()[-1].strip()

    def ask(self, who, function, argument):
        done = run("tx", "evaluate", "--network", self.folder, "--as", f"{who}/user",
                   "emissions", function, json.dumps(argument))
        return json.loads(done.stdout)

    def transaction(self, identifier):
        return json.loads(run("tx", "show", "--json", "--network", self.folder, identifier).stdout)

    def nodes(self):
        status = json.loads(run("network", "status", "--json", "--folder", self.folder).stdout)
        return {node["name"]: node for node in status["nodes"]}

    def agreeing(self):
        """Waits until the peers have the newest block; returns height and commit hash, the same on all of them."""
        deadline = time.monotonic() + 30
        while True:
            nodes = self.nodes()
            peers = [nodes[name] for name in self.organizations]
            if len({node["height"] for node in nodes.values()}) == 1 or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        check(len({peer["height"] for peer in peers}) == 1, f"the peers have equal heights: {peers}")
        check(len({peer["commitHash"] for peer in peers}) == 1, f"the peers have equal commit hashes: {peers}")
        check(len({node["blockHash"] for node in nodes.values()}) == 1, "all nodes have the same newest block")
        check(len(peers[0]["commitHash"]) == 64, "the commit hash is there")
        return peers

    def stop(self, name):
        process = int((pathlib.Path(self.folder) / "nodes" / name / "pid").read_text())
        os.kill(process, signal.SIGTERM)
        deadline = time.monotonic() + 30
        while is_running(process):
            check(time.monotonic() < deadline, f"{name} stops within 30 s")
            time.sleep(0.05)

    def ledger(self, name):
        return os.path.join(self.folder, "nodes", name, "data", "channels", "emissions")


def organizations_of(transaction):
    return sorted({endorser.split("/")[0] for endorser in transaction["endorsers"]})


def start_consortium(network):
    chapter("1. Three organizations start a ledger together")
    network.up()
    nodes = network.nodes()
    check(len(nodes) == 4 and all(node["process"] for node in nodes.values()), "four nodes run")
    say("a utility, an auditor and a government agency each run a peer; an ordering service puts transactions in order")
    for node in nodes.values():
        say(f"  {node['name']:<8} {node['role']:<8} {node['endpoint']:<16} process {node['process']}")
    say("they talk over mutual TLS with certificates that were made offline a moment ago")


def agree_on_factors(network):
    chapter("2. Two organizations agree on the government's emission factors")
    proposal = network.submit("utility", "ProposeFactors", {})["result"]
    reason = network.refused(
        "utility", "ApproveFactors", {"dataset": proposal["dataset"], "digest": proposal["digest"]})
    say(f"the utility proposed {proposal['dataset']} (US EPA, {proposal['regions'] - 1} regions and the US average); "
        "it tried to approve its own proposal, and was refused:")
    say(f"  {reason}")
    network.submit("agency", "ApproveFactors", {"dataset": proposal["dataset"], "digest": proposal["digest"]})
    factors = network.ask("auditor", "GetFactors", {})
    approvers = [approval["mspID"] for approval in factors["approvals"]]
    check(factors["status"] == "approved", "the factors are approved")
    check("AgencyMSP" in approvers and factors["proposedBy"]["mspID"] == "UtilityMSP",
          "the factors were proposed by one organization and approved by another")
    network.refused("utility", "ProposeFactors", {})
    say("the agency approved them; from now on they can't be proposed again or changed")
    network.submit("agency", "AccreditAuditor",
                   {"mspID": "AuditorMSP", "name": "Demonstration Audit", "basis": "demonstration"})
    registered = network.submit("utility", "RegisterUtilities", {})["result"]["registered"]
    utilities = network.ask("auditor", "ListUtilities", {})
    check(len(utilities) == registered >= 24, "a few dozen utilities are registered")
    say(f"the agency accredited the auditor; {registered} real utilities are registered, among them:")
    for utility in utilities[:: max(1, registered // 4)][:4]:
        say(f"  EIA {utility['number']:<6} {utility['name']} ({utility['state']}), grid region {utility['region']}")
    return {row["region"]: row["milliPoundsPerMegawattHour"] for row in factors["factors"]}


BILL = {"utility": 14328, "account": "A-17", "periodStart": "2024-01-01"}


def record_one_bill(network):
    chapter("3. The auditor records one electricity bill")
    reason = network.refused("utility", "SubmitRecords", {
        "records": [{**BILL, "periodEnd": "2024-02-01", "wattHours": 1}]})
    answer = network.submit("auditor", "SubmitRecords", {
        "records": [{**BILL, "periodEnd": "2024-02-01", "wattHours": 10_000_000}]})
    record = network.ask("agency", "GetRecord", {"id": answer["result"]["records"][0]})
    check(record["kilogramsCO2e"] == "1950.370080", "10,000 kWh in California are 1,950.370080 kg")
    say("10,000 kWh of Pacific Gas & Electric, California, January 2024, at 429.983 lb/MWh:")
    say(f"  {kilograms(record['milligramsCO2e'])} of CO2e (as calculated by hand: 1,950.37 kg)")
    transaction = network.transaction(answer["transaction"])
    signers = organizations_of(transaction)
    check(transaction["code"] == "VALID" and len(signers) >= 2, "a majority of the organizations endorsed the record")
    say(f"block {answer['block']}: calculated and signed independently by {' and '.join(signers)}")
    say("the utility itself may not record it:")
    say(f"  {reason}")
    return answer


def record_many_bills(network, arguments):
    chapter(f"4. {number(arguments.records)} more monthly records of the utilities' customers")
    done = run("emissions", "load", "--json", "--network", network.folder, "--as", "auditor/user",
               "--seed", arguments.seed, "--records", arguments.records)
    load = json.loads(done.stdout)
    check(load["records"] >= arguments.records, "all records are committed")
    say(f"{number(load['records'])} records of {number(load['accounts'])} customers in {load['transactions']} "
        f"transactions, {load['seconds']:.1f} s; under the same majority policy")
    return load


def ask_for_totals(network, load, rates):
    chapter("5. Anyone on the channel asks for totals")
    # The one peer that took the transactions may be a moment ahead of the others.
    network.agreeing()
    totals = [network.ask(name, "GetTotals", {}) for name in network.organizations]
    check(totals[0] == totals[1] == totals[2], "the three organizations give the same totals")
    total = totals[0]
    check(total["records"] == load["records"] + 1, "every record is counted")
    check(total["wattHours"] == load["wattHours"] + 10_000_000, "the energy is what was submitted")
    # The same in another program: each record was rounded to a milligram, so the sum may be off by half of one each.
    for row in total["byRegion"]:
        expected = row["wattHours"] * rates[row["region"]] * 45_359_237 / 1e11
        check(abs(expected - row["milligramsCO2e"]) <= row["records"] / 2 + 1, f"the CO2e of {row['region']}")
    check(sum(row["milligramsCO2e"] for row in total["byRegion"]) == total["milligramsCO2e"], "the regions add up")
    say(f"{number(total['records'])} records, {number(total['wattHours'] // 1000)} kWh: "
        f"{kilograms(total['milligramsCO2e'])} of CO2e, the same from all three organizations")
    for row in sorted(total["byRegion"], key=lambda row: -row["milligramsCO2e"])[:5]:
        say(f"  {row['region']}  {row['records']:>4} records  {row['wattHours'] // 1000:>10,} kWh  "
            f"{kilograms(row['milligramsCO2e']):>16}")
    say("(recalculated here from the factors: correct)")


def correct_a_bill(network):
    chapter("6. A correction supersedes; nothing is overwritten")
    network.submit("auditor", "CorrectRecord", {**BILL, "wattHours": 9_000_000, "reason": "meter read again"})
    history = network.ask("agency", "GetRecordHistory", BILL)
    revisions = history["records"] if isinstance(history, dict) else history
    check([row["wattHours"] for row in revisions] == [10_000_000, 9_000_000], "both revisions are there")
    check(revisions[1]["supersedes"] == revisions[0]["id"], "the second names the first")
    for row in revisions:
        say(f"revision {row['revision']}: {number(row['wattHours'] // 1000)} kWh, {kilograms(row['milligramsCO2e'])}"
            + (f" ({row['reason']})" if row.get("reason") else ""))


def compare_ledgers(network):
    chapter("7. All organizations hold the same ledger")
    for peer in network.agreeing():
        say(f"{peer['name']:<8} {peer['height']} blocks, commit hash {peer['commitHash'][:32]}…")
    say("the hash covers every block, every verdict and every value written: equal hashes, equal ledgers")


def verification(folder, expect):
    done = run("ledger", "verify", "--json", folder, expect=expect)
    return json.loads(done.stdout.splitlines()[0])["ledgers"][0]


def tamper(network, bill, scratch):
    chapter("8. Somebody with access to the agency's disk tampers with its ledger")
    network.stop("agency")
    ledger = network.ledger("agency")
    copies = [os.path.join(scratch, name) for name in ("untouched", "flipped", "falsified")]
    for copy in copies:
        shutil.copytree(ledger, copy)
    untouched, flipped, falsified = copies
    report = verification(untouched, 0)
    check(report["intact"] and report["verifiedBlocks"] == report["height"], "the untouched copy is intact")
    say(f"the agency's peer is stopped; its ledger before: {report['verifiedBlocks']} blocks, every hash, signature "
        "and verdict holds")

    files = [path for path in pathlib.Path(flipped, "log").iterdir() if path.suffix in (".log", ".ldb")]
    target = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(target.read_bytes())
    content[len(content) // 2] ^= 1
    target.write_bytes(content)
    report = verification(flipped, 2)
    named = [finding["file"] for finding in report["findings"] if finding["file"]]
    blocks = [finding["block"] for finding in report["findings"] if finding["block"] is not None]
    check(named and blocks, f"the damaged file and the first block that can't be read are named: {report}")
    check(os.path.exists(os.path.join(flipped, named[0])) or named[0] == f"log/{target.name}",
          "the named file is one of the store")
    say(f"a) one bit of {number(len(content))} bytes flipped in log/{target.name}; weft ledger verify says:")
    for finding in report["findings"][:3]:
        where = [f"file {finding['file']}"] if finding["file"] else []
        where += [f"block {finding['block']}"] if finding["block"] is not None else []
        say(f"   {', '.join(where)}: {finding['message']}")

    write = next(write for write in network.transaction(bill["transaction"])["writes"]
                 if '"kilogramsCO2e":"1950.370080"' in write["value"])
    key = [part for part in bytes.fromhex(write["key"]).decode().split("\0") if part]
    value = write["value"].replace("1950.370080", "950.370080").replace("1950370080", "950370080")
    check(value != write["value"], "the value is falsified")
    parts = [text for part in key for text in ("--key", part)]
    written = json.loads(run("ledger", "tamper", "--json", falsified, *parts, "--value", value).stdout)
    report = verification(falsified, 2)
    finding = report["findings"][0]
    check((finding["block"], finding["transaction"]) == (written["block"], written["transaction"]),
          f"the block and the transaction are named: {report}")
    check(finding["block"] == bill["block"], "they are those of the bill")
    say("b) the bill's 1,950.37 kg rewritten as 950.37 kg through the database, with valid checksums; it says:")
    message = finding["message"].replace(write["key"], " ".join(key))
    say(f"   block {finding['block']}, transaction {finding['transaction']}: "
        + (message if len(message) < 260 else message[:260] + "…"))


def come_back(network):
    chapter("9. Meanwhile the others went on; the agency comes back and catches up")
    behind = network.submit("auditor", "SubmitRecords", {
        "records": [{**BILL, "periodStart": "2024-02-01", "periodEnd": "2024-03-01", "wattHours": 9_500_000}]})
    say(f"without the agency, two of three are still a majority: block {behind['block']} was committed")
    network.up()
    for peer in network.agreeing():
        check(peer["height"] > behind["block"], "the peer has the block that it missed")
        say(f"{peer['name']:<8} {peer['height']} blocks, commit hash {peer['commitHash'][:32]}…")


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Shows what Weft does, checked.")
    parser.add_argument("--keep", action="store_true", help="leave the network running")
    parser.add_argument("--records", type=int, default=2400, help="how many generated records")
    parser.add_argument("--seed", type=int, default=7, help="what they are generated from")
    arguments = parser.parse_args()
    scratch = tempfile.mkdtemp(prefix="weft-demo-")
    network = Network(scratch + "-network")
    kept = []

    def clean():
        shutil.rmtree(scratch, ignore_errors=True)
        if not kept and os.path.exists(network.folder):
            subprocess.run([WEFT, "network", "down", "--remove", "--folder", network.folder], capture_output=True)

    atexit.register(clean)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        start_consortium(network)
        rates = agree_on_factors(network)
        bill = record_one_bill(network)
        load = record_many_bills(network, arguments)
        ask_for_totals(network, load, rates)
        correct_a_bill(network)
        compare_ledgers(network)
        # The transaction is looked up at the utility's peer, which goes on running.
        tamper(network, bill, scratch)
        come_back(network)
        if arguments.keep:
            kept.append(True)
            chapter("The network is left running")
            say(f"{WEFT} tx evaluate --network {network.folder} emissions GetTotals {{}}")
            say(f"{WEFT} network down --folder {network.folder} --remove")
        else:
            processes = [node["process"] for node in network.nodes().values()]
            network.down()
            check(not os.path.exists(network.folder), "the network's folder is deleted")
            running = [process for process in processes if is_running(process)]
            chapter("10. The network is taken down")
            check(not running, f"no process is left: {running}")
            say("four processes stopped, the temporary folder deleted")
    except Untrue as untrue:
        print(f"\ndemo: NOT TRUE: {untrue}", file=sys.stderr)
        return 1
    print(f"\nEverything shown was checked and is true. {time.monotonic() - STARTED:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
