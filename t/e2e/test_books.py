"""The books balance: what clients sent, what /metrics counts and what the audit says are the same RPCs, whoever is killed."""

import collections
import os
import random
import signal
import time

import pytest

from harness import net
from harness.metrics import scrape
from harness.traffic import Traffic
from test_audit import audit, files, records


def of_rpcs(gateway):
    return [r for r in records(gateway) if r["kind"] == "rpc"]


def requests(gateway):
    return scrape(gateway).sum("spark_connect_requests_total")


def settle(gateway, counted=True):
    """Until every RPC has ended and is written down: the file does not grow any more."""
    gateway.wait()

    def still():
        before = len(of_rpcs(gateway))
        time.sleep(0.5)
        return len(of_rpcs(gateway)) == before and (requests(gateway) == before or not counted)
    net.wait_for(still, 15, lambda: f"{len(of_rpcs(gateway))} records, {requests(gateway)} counted")


def by_trace(found):
    traces = collections.defaultdict(list)
    for record in found:
        if "trace" in record:
            traces[record["trace"]].append(record)
    return traces


def expect_recorded(gateway, traffic):
    """What harness/traffic.py promises, record by record; returns how many there were of each sort."""
    found = of_rpcs(gateway)
    nameless = [r for r in found if "trace" not in r]
    traces, sorts = by_trace(found), collections.Counter(sent.known for sent in traffic.sent)
    for sent in traffic.sent:
        mine, about = traces[sent.trace], f"{sent.kind}, {sent.known}, {sent.status}: {traces[sent.trace]}"
        assert len(mine) in {"ended": [1], "taken": [1], "refused": [0], "unsure": [0, 1]}[sent.known], about
        assert sent.known != "ended" or (mine[0]["code"], mine[0].get("unfinished")) == (sent.status, None), about
        assert not mine or mine[0]["code"] == 14 or not mine[0].get("unfinished"), about
    sorts["unsure, recorded"] = sum(len(traces[sent.trace]) for sent in traffic.sent if sent.known == "unsure") + len(nameless)
    assert all(r.get("unfinished") for r in nameless) and sorts["unsure, recorded"] <= sorts["unsure"]
    sorts["unfinished"] = sum(record.get("unfinished", False) for record in found)
    recorded = {r["trace"] for r in found if r not in nameless}
    assert not recorded - {sent.trace for sent in traffic.sent}, "records of RPCs that nobody sent"
    assert not traffic.given() - recorded, "a driver had RPCs of which there is no record"
    assert len(traffic.given()) > len(traffic.sent) / 2
    assert sorts["ended"] + sorts["taken"] + sorts["unsure, recorded"] == len(found)
    assert [r["seq"] for r in records(gateway)] == list(range(1, len(records(gateway)) + 1))
    print(dict(sorts), len(found), "records:", dict(collections.Counter(r["status"] for r in found)))
    return sorts


def expect_counted(gateway, found):
    """Each status as often in /metrics as in the audit; and each error has a cause."""
    page = scrape(gateway)
    for status, count in collections.Counter(r["status"] for r in found).items():
        assert page.sum("spark_connect_requests_total", status=status) == count, status
    assert page.sum("spark_connect_requests_total") == len(found)
    assert page.sum("spark_connect_errors_total") == sum(r["code"] != 0 for r in found)
    assert page.sum("spark_connect_errors_total", error_type="worker_died") == sum(r.get("unfinished", False) for r in found)
    assert page.sum("spark_gateway_audit_records_total") == len(found)
    assert page.sum("spark_gateway_audit_lost_total") == 0


@pytest.mark.timeout(120)
def test_kills_reloads_and_an_upgrade(make_gateway, fakes):
    gateway = make_gateway(fakes, workers=2, drain_timeout="3s", limits={"connections": 1000, "streams_per_connection": 256})
    with Traffic(gateway.clear_port, fakes) as traffic:
        for kinds in (["worker"], ["keeper"], ["worker", "worker"], ["controller", "worker"]):
            for victim in [gateway.pids(kind)[kinds[:n].count(kind)] for n, kind in enumerate(kinds)]:
                os.kill(victim, signal.SIGKILL)
            traffic.go_on(200)
            gateway.wait()
            gateway.process.send_signal(signal.SIGHUP)
            traffic.go_on(200)
            gateway.wait()
        old = gateway.upgrade()
        traffic.go_on(200)
        net.wait_for(lambda: old.poll() is not None, 30, "the old one ended")
        gateway.wait()
        os.kill(gateway.pids("worker")[0], signal.SIGKILL)
        traffic.go_on(200)
    settle(gateway)
    sorts = expect_recorded(gateway, traffic)
    expect_counted(gateway, of_rpcs(gateway))
    audit(gateway, "verify")
    assert sorts["taken"] >= 4 and sorts["unfinished"] >= 4 and sorts["ended"] > 1500, sorts


@pytest.mark.timeout(120)
def test_all_is_killed_at_once(make_gateway, fakes):
    """Over and over, under load: whatever was answered is in the files, and nothing is wrong with them, until somebody touches them."""
    gateway = make_gateway(fakes, workers=2, audit={"max_bytes": "256KiB"})
    with Traffic(gateway.clear_port, fakes) as traffic:
        for _ in range(4):
            traffic.go_on(200)
            gateway.kill()
            gateway.start()
        traffic.go_on(100)
    settle(gateway, counted=False)
    sorts = expect_recorded(gateway, traffic)
    assert sorts["unfinished"] >= 4 and sorts["ended"] > 500, sorts
    assert not list(gateway.run.glob("segment.old*")), "all that was left is written out"
    begun = max(r["seq"] for r in records(gateway, "gateway") if r["event"] == "started")
    cut_off = sum(r.get("unfinished", False) for r in of_rpcs(gateway) if r["seq"] > begun)
    counted = scrape(gateway).sum("spark_connect_errors_total", error_type="worker_died")
    assert counted == cut_off > 0, "the last life's are counted in this one"
    gateway.stop()
    done = audit(gateway, "verify")
    assert done.stdout.count("sealed\n") >= 2, done.stdout
    print(done.stdout)
    expect_damage_is_found(gateway, random.Random(4))


def complaints(gateway):
    """What verify says but for files in which nothing is wrong."""
    done = audit(gateway, "verify", check=False)
    lines = [line for line in done.stdout.splitlines() if ": line " in line]
    assert done.returncode == (1 if lines else 0)
    return lines


def expect_damage_is_found(gateway, dice):
    """One byte, or one line: in which file and in which line. In a sealed file, and in the last one."""
    for path in (dice.choice(files(gateway)[:-1]), files(gateway)[-1]):
        good = path.read_bytes()
        lines = good.splitlines(True)
        number = dice.randrange(2, len(lines) - 1)  # from 1; neither the head nor what only a seal protects
        at = sum(map(len, lines[:number - 1])) + dice.randrange(len(lines[number - 1]) - 1)
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
        said, = complaints(gateway)
        assert said.startswith(f"{path}: line {number}: "), (at, said)
        print(said)
        path.write_bytes(b"".join(lines[:number - 1] + lines[number:]))
        said, = complaints(gateway)
        assert said.startswith(f"{path}: line {number}: ") and "removed: before it, records " in said, said
        print(said)
        path.write_bytes(good)
        assert complaints(gateway) == []
