"""Sealed audit files in a real S3 store: each one once, whatever happens on the way."""

import datetime
import gzip
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import time
import urllib.parse

import pytest

from harness import net, s3
from harness.gateway import BUILD
from harness.metrics import scrape

pytestmark = pytest.mark.skipif(not s3.is_there(), reason="no S3 server (make_versitygw in t/tools/setup.bash)")
HOUR = datetime.datetime(2026, 3, 14, 9, 26, 53, tzinfo=datetime.timezone.utc)


def sealed_file(folder, first_seq, records, when=HOUR, noise=0):
    """One as the keeper would have left it; nobody here looks at its seal. Returns its object's name and its content."""
    def stamp(i):
        return (when + datetime.timedelta(seconds=i)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    lines, dice = [], random.Random(first_seq)
    for i in range(records):
        row = {"seq": first_seq + i, "time": stamp(i), "gateway": "gate/a", "kind": "file" if i == 0 else "rpc", "user": "alice",
               "method": "ExecutePlan", "bytes_in": i, "noise": dice.randbytes(noise if i else 0).hex(), "ms": {"total": i / 8},
               "chain": hashlib.sha256(str(i).encode()).hexdigest()[:32]}
        lines.append(json.dumps(row, separators=(",", ":")))
    lines.append(json.dumps({"records": records, "first_seq": first_seq, "last_seq": first_seq + records - 1, "first": stamp(0),
                             "last": stamp(records - 1), "chain": "0" * 32, "seal": "0" * 64}, separators=(",", ":")))
    text = "\n".join(lines) + "\n"
    (folder / f"audit-{when:%Y%m%dT%H%M%SZ}-{first_seq:012d}.log").write_text(text)
    return f"logs/audit/date={when:%Y-%m-%d}/hour={when:%H}/gate-a-{first_seq}-{first_seq + records - 1}.ndjson.gz", text


@pytest.fixture
def store(tmp_path):
    store = s3.S3(tmp_path / "s3").start()
    yield store
    store.stop()


@pytest.fixture
def make_shipper(make_gateway, fake, store):
    """A gateway that ships into the store, not started yet, and the folder of its audit files."""
    def make(secret=s3.SECRET, drivers=None, **more):
        gateway = make_gateway(drivers or [fake], start=False, workers=1, audit={"gateway": "gate/a", "ship": {
            "endpoint": store.endpoint, "bucket": store.bucket, "prefix": "logs/audit", "access_key_file": "ship.id",
            "secret_key_file": "ship.secret", **more}})
        write_key(gateway, "ship.id", s3.ID)
        write_key(gateway, "ship.secret", secret)
        gateway.secrets += [s3.SECRET, "a-wrong-secret"]
        folder = gateway.folder / "state/audit"
        folder.mkdir(parents=True)
        return gateway, folder
    return make


def write_key(gateway, name, text):
    path = gateway.folder / name
    path.touch(mode=0o600)
    path.write_text(text + "\n")


def texts(store):
    """{name: content} of whole objects."""
    return {name: gzip.decompress(data).decode() for name, data in store.objects().items()}


def wait_shipped(gateway, store, wanted, seconds=60):
    net.wait_for(lambda: shipping(gateway)["pending"] == 0 and set(wanted) <= set(store.objects()), seconds,
                 lambda: f"shipped: {shipping(gateway)} {list(store.objects())}\n{gateway.tail()}")


def shipping(gateway):
    return (gateway.ask("status") or {"shipping": {"pending": -1, "failures": 0, "error": None}})["shipping"]


def seal(gateway):
    """What the keeper wrote until now becomes a sealed file."""
    before = set((gateway.folder / "state/audit").glob("audit-*.log"))
    gateway.process.send_signal(signal.SIGUSR1)
    net.wait_for(lambda: set((gateway.folder / "state/audit").glob("audit-*.log")) - before, 20, gateway.tail)


def test_files_arrive_and_are_the_same(make_shipper, store):
    gateway, folder = make_shipper()
    wanted = dict(sealed_file(folder, 1 + 1000 * i, 50, HOUR + datetime.timedelta(hours=i)) for i in range(3))
    gateway.start()
    net.wait_for(lambda: "event" in (folder / "audit.log").read_text(), 10, gateway.tail)
    seal(gateway)
    net.wait_for(lambda: len(store.objects()) == 4 and shipping(gateway)["pending"] == 0, 20, gateway.tail)
    found = texts(store)
    assert {name: found[name] for name in wanted} == wanted
    assert sorted(found.values()) == sorted(p.read_text() for p in folder.glob("audit-*.log"))
    assert sorted((folder / "shipped").read_text().split()) == sorted(p.name for p in folder.glob("audit-*.log"))
    assert "0 wait to be shipped, the last one was" in gateway.ctl("status").stdout


def test_a_quiet_gateway_ships_what_it_has(make_shipper, store):
    """A file that has grown old is sealed, named and shipped without a record to come after it; and nothing is made of nothing."""
    gateway, folder = make_shipper()
    gateway.conf["audit"]["max_age"] = "1s"
    gateway.write()
    gateway.start()
    net.wait_for(lambda: len(store.objects()) == 1, 20, gateway.tail)
    first = json.loads(next(iter(texts(store).values())).splitlines()[-1])
    time.sleep(3)  # several ages
    assert len(store.objects()) == 1 and not (folder / "audit.log").exists() and len(list(folder.glob("audit-*.log"))) == 1
    gateway.ctl("driver", "drain", "nobody", check=False)
    net.wait_for(lambda: len(store.objects()) == 2, 20, gateway.tail)
    second = json.loads(sorted(folder.glob("audit-*.log"), key=lambda p: p.name.split("-")[-1])[1].read_text().splitlines()[0])
    assert second["previous"] == first["seal"] and second["seq"] == first["last_seq"] + 1
    assert subprocess.run([BUILD / "sparkgwctl", "-c", gateway.file, "audit", "verify"], capture_output=True).returncode == 0


def test_wrong_secret_then_the_right_one(make_shipper, store):
    gateway, folder = make_shipper("a-wrong-secret")
    wanted = dict([sealed_file(folder, 1, 20)])
    gateway.start()
    net.wait_for(lambda: shipping(gateway)["failures"] > 0, 20, gateway.tail)
    assert shipping(gateway)["error"] == "PUT: the answer is HTTP 403 SignatureDoesNotMatch"
    assert "SignatureDoesNotMatch" in gateway.ctl("status").stdout and store.objects() == {}
    write_key(gateway, "ship.secret", s3.SECRET)  # no reload
    wait_shipped(gateway, store, wanted)
    assert gateway.log.read_text().count("cannot be shipped") == 1
    assert gateway.log.read_text().count("files are shipped again") == 1


def test_metrics_tell_how_it_goes(make_shipper, store):
    def metric(name):
        found = scrape(gateway)
        name = f"spark_gateway_audit_ship_{name}"
        return found.sum(name) if f"\n{name} " in found.text else None
    gateway, folder = make_shipper("a-wrong-secret")
    gateway.start()
    net.wait_for(lambda: metric("pending_files") == 0, 20, gateway.tail)
    assert metric("last_success_timestamp_seconds") is None and metric("files_total") == metric("failures_total") == 0
    sealed_file(folder, 1, 20)
    net.wait_for(lambda: metric("failures_total") > 0, 20, gateway.tail)
    assert (metric("pending_files"), metric("files_total")) == (1, 0)
    assert metric("pending_bytes") == next(folder.glob("audit-*.log")).stat().st_size
    failures = metric("failures_total")
    write_key(gateway, "ship.secret", s3.SECRET)
    net.wait_for(lambda: metric("files_total") == 1 and metric("pending_files") == 0, 60, gateway.tail)
    when = metric("last_success_timestamp_seconds")
    assert abs(when - time.time()) < 60 and metric("failures_total") >= failures and metric("pending_bytes") == 0
    failures = metric("failures_total")
    gateway.reload()  # another controller knows it, too
    net.wait_for(lambda: abs((metric("last_success_timestamp_seconds") or 0) - when) < 5, 10, gateway.tail)
    assert (metric("files_total"), metric("failures_total")) == (1, failures)


def test_metrics_without_a_store(make_gateway, fake):
    assert not re.search(r"^spark_gateway_audit_ship_(pending|last)", scrape(make_gateway([fake])).text, re.M)


def test_store_goes_and_comes_back(make_shipper, store):
    gateway, folder = make_shipper()
    store.stop()
    wanted = dict(sealed_file(folder, 1 + 100 * i, 20) for i in range(4))
    gateway.start()
    net.wait_for(lambda: shipping(gateway)["failures"] > 0, 20, gateway.tail)
    assert shipping(gateway)["pending"] == 4
    store.start()
    wait_shipped(gateway, store, wanted)
    assert texts(store) == wanted


@pytest.mark.timeout(180)
def test_killed_in_the_middle_nothing_is_lost_or_twice(make_shipper, store):
    gateway, folder = make_shipper()
    wanted = dict(sealed_file(folder, 1 + 10000 * i, 2000, HOUR + datetime.timedelta(minutes=i), noise=2000) for i in range(6))
    gateway.start()
    for turn in range(1, 5):
        net.wait_for(lambda: len(store.objects()) >= turn, 60, gateway.tail)
        for pid in gateway.pids("controller"):
            os.kill(pid, signal.SIGKILL)
    gateway.kill()
    gateway.start()
    wait_shipped(gateway, store, wanted, 90)
    assert {name: text for name, text in texts(store).items() if name in wanted} == wanted
    kept = {name: data for name, data in store.objects().items()}
    (folder / "shipped").unlink()  # all of them once more: nothing changes
    gateway.restart()
    wait_shipped(gateway, store, wanted, 90)
    assert {name: store.objects()[name] for name in kept} == kept


def test_damaged_file_is_shipped_as_such(make_shipper, store):
    gateway, folder = make_shipper()
    (folder / "audit-20260314T092653Z-000000000001.log").write_text("nonsense")
    wanted = dict([sealed_file(folder, 100, 5)])
    gateway.start()
    wait_shipped(gateway, store, wanted)
    assert texts(store)["logs/audit/date=2026-03-14/hour=09/damaged-1.ndjson.gz"] == "nonsense"


def test_keys_are_checked_and_never_said(make_shipper):
    gateway, _ = make_shipper()
    (gateway.folder / "ship.secret").chmod(0o644)
    gateway.start(wait=False)
    assert gateway.process.wait(20) == 1
    gateway.process = None
    assert "audit.ship.secret_key_file" in gateway.log.read_text() and s3.SECRET not in gateway.log.read_text()


NOTEBOOK = """
from pyspark.errors import PySparkException
from pyspark.sql import functions as F
out(spark.client._session_id)
begin = time.monotonic()
spark.sql("SELECT id, id * id AS square FROM range(10) WHERE id > 6").collect()
out(1000 * (time.monotonic() - begin))
spark.range(1000).groupBy((F.col("id") % 3).alias("k")).agg(F.sum("id")).toPandas()
try:
    spark.sql("SELECT name FROM no_such_table").collect()
except PySparkException:
    out("failed")
spark.range(3).createOrReplaceTempView("three")
spark.sql("SELECT count(*) FROM three").show()
"""
READER = """
spark.read.json({table!r}).where("kind = 'rpc' and session = '{session}'").createOrReplaceTempView("audit")
def ask(query):
    out([list(row) for row in spark.sql(query).collect()])
ask("SELECT user, provider, team, env, method, plan.kind, plan.command, plan.sql, status, ms.total, bytes_out FROM audit "
    "WHERE method IN ('ExecutePlan', 'AnalyzePlan') ORDER BY seq")
ask("SELECT user, team, count_if(status = 'OK'), count_if(status != 'OK'), sum(bytes_out) > 0, count(DISTINCT date, hour) > 0 "
    "FROM audit GROUP BY user, team")
"""


@pytest.mark.timeout(200)
def test_spark_reads_the_table(make_shipper, store, spark_drivers):
    """A notebook's session, through the gateway; what the store then has of it is a table for somebody else."""
    gateway, folder = make_shipper(drivers=spark_drivers)
    gateway.start()
    session, took_ms, failed = gateway.way().run(NOTEBOOK)
    net.wait_for(lambda: is_recorded(folder, session, "ReleaseSession"), 20, gateway.tail)
    seal(gateway)
    net.wait_for(lambda: any(session in text for text in texts(store).values()), 60, gateway.tail)
    table = urllib.parse.quote(str(store.objects_folder / store.bucket / "logs/audit"), safe="/")
    rows, sums = gateway.way("token-bob").run(READER.format(table=table, session=session))
    for row in rows:
        print(row)
    assert {tuple(row[:4]) for row in rows} == {("alice", "tests", "eng", "prod")}
    by_sql = {row[7]: row for row in rows if row[7]}
    good = by_sql["SELECT id, id * id AS square FROM range(10) WHERE id > 6"]
    assert good[4] == "ExecutePlan" and good[8] == "OK" and 0 < good[9] <= took_ms
    assert by_sql["SELECT name FROM no_such_table"][8] == "INTERNAL" and failed == "failed"
    assert by_sql["SELECT count(*) FROM three"][8] == "OK"
    assert any(row[5] == "relation" and not row[7] and row[8] == "OK" and row[10] > 0 for row in rows), "the DataFrame"
    (user, team, good, bad, *more), = sums
    assert (user, team, more) == ("alice", "eng", [True, True]) and good > 5 and bad >= 1


def is_recorded(folder, session, method):
    rows = [json.loads(line) for line in (folder / "audit.log").read_text().splitlines()]
    return any(row.get("session") == session and row.get("method") == method for row in rows)
