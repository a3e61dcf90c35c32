"""SIGUSR2: one binary takes over from another. No RPC fails, sessions stay; a new one that cannot start changes nothing."""

import os
import shutil
import signal
import threading
import time

import grpc
import pytest

from harness import net, rpc
from harness import gateway as gateways
from harness.fake import Stream, two_messages
from harness.load import Load
from harness.metrics import scrape
from harness.rpc import pb
from test_audit import records

PROGRAMS = ("sparkgwd", "sparkgw-controller", "sparkgwctl")


@pytest.fixture
def own_programs(tmp_path, monkeypatch):
    """A folder of programs that a test may replace."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in PROGRAMS:
        shutil.copy(gateways.BUILD / name, folder / name)
    monkeypatch.setattr(gateways, "BUILD", folder)
    return folder


def replace(folder, text):
    """Another program in the place of sparkgwd, by rename, as a package does it."""
    new = folder / "sparkgwd.new"
    new.write_text(text)
    new.chmod(0o755)
    new.rename(folder / "sparkgwd")


def fail_to_upgrade(gateway, words, seconds=40):
    at = gateway.log.stat().st_size
    gateway.process.send_signal(signal.SIGUSR2)
    net.wait_for(lambda: "upgrade failed" in gateway.log.read_text()[at:], seconds, gateway.tail)
    said = gateway.log.read_text()[at:]
    assert words in said, said


def ended(old):
    net.wait_for(lambda: old.poll() is not None, 30, f"process {old.pid} ended")
    assert old.returncode == 0


class Watcher(threading.Thread):
    """Looks at a counter over and over; with it, until it is left."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self.gateway, self.stopping, self.seen = gateway, threading.Event(), [0]

    def run(self):
        while not self.stopping.wait(0.02):
            try:
                self.seen.append(scrape(self.gateway).sum("spark_connect_requests_total"))
            except OSError:  # between two controllers
                pass

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join(30)


@pytest.mark.timeout(400)
def test_20_upgrades_under_load(make_gateway, fakes):
    for fake in fakes:
        fake.behave = Stream.answer_config
    gateway = make_gateway(fakes, drain_timeout="5s")
    sessions = rpc.new_sessions(gateway, 20)
    homes = {row["id"]: row["driver"] for row in gateway.sessions().values()}
    with Watcher(gateway) as watcher, Load(gateway.way(), sessions) as load:
        for _ in range(20):
            ended(gateway.upgrade())
    assert load.failures == []
    assert scrape(gateway).sum("spark_connect_requests_total") == load.done + len(sessions), "each is counted once"
    assert watcher.seen == sorted(watcher.seen) and len(set(watcher.seen)) > 20, "and no counter ever goes back"
    assert load.done > 500, load.done
    net.wait_for(lambda: gateway.ask("status"), 10, "the control socket")
    assert {row["id"]: row["driver"] for row in gateway.sessions().values()} == homes
    assert gateway.ask("status")["generation"] == 21
    assert gateway.pid_in_file() == gateway.process.pid
    # the old keeper has gone: what is counted is what is bound
    net.wait_for(lambda: gateway.ask("status")["sessions"] == len(sessions), 10, "20 sessions counted")


def test_stream_survives(make_gateway, fake):
    """It ends in the old program, while the new one takes what is new."""
    gateway = make_gateway([fake])
    session, go_on = rpc.new_sessions(gateway, 1)[0], threading.Event()
    fake.behave = two_messages(session, go_on)
    with rpc.Channel(gateway.way()) as channel:
        stream = channel.stream("ExecutePlan", rpc.sql(session, "x"))
        next(stream)
        old = gateway.upgrade()
        channel.call("Config", rpc.config(session))
        assert old.poll() is None
        go_on.set()
        assert len(list(stream)) == 1
    ended(old)


def test_what_old_ones_count_while_they_drain(make_gateway, fake):
    """Two of them at once, each with a stream that ends when a younger one has long been asked for numbers."""
    gateway, go_on, olds = make_gateway([fake]), threading.Event(), []
    fake.behave = lambda s: (s.wait().send_headers(), s.send_message(b""), go_on.wait(20), s.send_trailers())
    with rpc.Channel(gateway.way()) as first, rpc.Channel(gateway.way()) as second:
        for channel in (first, second):
            stream = channel.stream("ExecutePlan", rpc.sql(rpc.new_id(), "x"))
            next(stream)
            olds.append((gateway.upgrade(), stream))
        assert scrape(gateway).sum("spark_connect_requests_total") == 0
        go_on.set()
        for old, stream in olds:
            assert list(stream) == []
            ended(old)
    page = scrape(gateway)
    assert page.sum("spark_connect_requests_total", status="OK") == page.sum("spark_gateway_rpcs_total") == 2
    gateway.reload()  # another controller: it has them, too
    assert scrape(gateway).sum("spark_connect_requests_total") == gateway.ask("status")["counters"]["rpcs_total"] == 2


def test_control_socket_is_always_there(make_gateway, fake):
    gateway = make_gateway([fake])
    missing, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            if gateway.ctl("status", check=False).returncode == 3:
                missing.append(gateway.ctl("status", check=False).stderr)
    asker = threading.Thread(target=ask)
    asker.start()
    ended(gateway.upgrade())
    stop.set()
    asker.join()
    assert missing == []


def assert_untouched(gateway, before, session):
    net.wait_for(lambda: sorted(gateway.pids()) == sorted(before), 5, lambda: f"{before} as before: {gateway.pids()}")
    assert gateway.pid_in_file() == gateway.process.pid
    with rpc.Channel(gateway.way()) as channel:
        channel.call("Config", rpc.config(session))
        channel.call("Config", rpc.config(rpc.new_id()))
    assert sorted(p.name for p in gateway.run.glob("segment*")) == ["segment"]


@pytest.mark.parametrize("text,words", [
    ("#!/bin/sh\nkill -SEGV $$\n", "killed by SIGSEGV"), ("#!/bin/sh\nexit 7\n", "exit status 7"),
    ("not a program\n", "cannot run"), (None, "cannot run")], ids=["crash", "exit", "text", "absent"])
def test_bad_binary_changes_nothing(make_gateway, fake, own_programs, text, words):
    gateway = make_gateway([fake])
    session, before = rpc.new_sessions(gateway, 1)[0], gateway.pids()
    shutil.copy(own_programs / "sparkgwd", own_programs / "good")
    if text is None:
        (own_programs / "sparkgwd").unlink()
    else:
        replace(own_programs, text)
    fail_to_upgrade(gateway, words)
    assert_untouched(gateway, before, session)
    (own_programs / "good").rename(own_programs / "sparkgwd")  # and then it works
    ended(gateway.upgrade())


def test_keeper_that_cannot_work_changes_nothing(make_gateway, fake):
    """By then the new program has made a segment of its own; it goes with it."""
    gateway = make_gateway([fake])
    session, before = rpc.new_sessions(gateway, 1)[0], gateway.pids()
    gateway.conf["audit"] = {"enabled": True}
    gateway.write()
    key = gateway.folder / "state/keys/audit"
    kept = key.read_bytes()
    key.write_bytes(b"short")
    fail_to_upgrade(gateway, "the keeper ended before all were ready; the new program ended: exit status 1")
    key.write_bytes(kept)
    assert_untouched(gateway, before, session)


@pytest.mark.parametrize("change,words", [({"workers": "many"}, "workers"), ({"run_dir": "elsewhere"}, "run_dir cannot be changed"),
                                          ({"state_dir": "elsewhere"}, "state_dir cannot be changed")])
def test_bad_configuration_changes_nothing(make_gateway, fake, change, words):
    gateway = make_gateway([fake])
    session, before = rpc.new_sessions(gateway, 1)[0], gateway.pids()
    good = dict(gateway.conf)
    gateway.conf.update(change)
    gateway.write()
    if "run_dir" in change:
        (gateway.folder / "elsewhere").mkdir()
    fail_to_upgrade(gateway, words)
    assert_untouched(gateway, before, session)
    gateway.conf = good
    gateway.write()
    ended(gateway.upgrade())


def test_port_in_use_changes_nothing(make_gateway, fake):
    import socket
    gateway = make_gateway([fake])
    session, before = rpc.new_sessions(gateway, 1)[0], gateway.pids()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        gateway.conf["listeners"].append({"address": f"127.0.0.1:{taken.getsockname()[1]}"})
        gateway.write()
        fail_to_upgrade(gateway, "cannot listen")
    assert_untouched(gateway, before, session)


@pytest.mark.parametrize("count", [1, 4])
def test_other_number_of_workers(make_gateway, fake, count):
    fake.behave = Stream.answer_config
    gateway = make_gateway([fake])
    with Load(gateway.way(), rpc.new_sessions(gateway, 5)) as load:
        gateway.conf["workers"] = count
        gateway.write()
        ended(gateway.upgrade())
    assert load.failures == []
    net.wait_for(lambda: len(gateway.pids("worker")) == count, 10, f"{count} workers")


def test_second_signal_is_refused(make_gateway, fake, own_programs):
    gateway = make_gateway([fake])
    session, before = rpc.new_sessions(gateway, 1)[0], gateway.pids()
    replace(own_programs, "#!/bin/sh\nsleep 3\nexit 1\n")
    gateway.process.send_signal(signal.SIGUSR2)
    net.wait_for(lambda: "is started as process" in gateway.tail(), 10, gateway.tail)
    gateway.process.send_signal(signal.SIGUSR2)
    net.wait_for(lambda: "SIGUSR2 refused: an upgrade is under way" in gateway.tail(), 10, gateway.tail)
    assert gateway.reload(check=False).returncode == 1
    net.wait_for(lambda: "upgrade failed" in gateway.tail(), 10, gateway.tail)
    net.wait_for(lambda: gateway.pids() == before, 10, "all as it was")
    gateway.reload()
    with rpc.Channel(gateway.way()) as channel:
        channel.call("Config", rpc.config(session))


def test_stop_during_an_upgrade(make_gateway, fake, own_programs):
    gateway = make_gateway([fake], drain_timeout="2s")
    replace(own_programs, "#!/bin/sh\nexec sleep 30\n")
    gateway.process.send_signal(signal.SIGUSR2)
    net.wait_for(lambda: "is started as process" in gateway.tail(), 10, gateway.tail)
    gateway.stop()


def test_old_supervisor_killed(make_gateway, fake):
    """The new one has taken over; what happens to the old one does not touch it."""
    gateway = make_gateway([fake])
    session = rpc.new_sessions(gateway, 1)[0]
    fake.behave = lambda s: (s.wait().send_headers(), s.send_message(pb.ExecutePlanResponse(session_id=session)))
    with rpc.Channel(gateway.way()) as channel:
        stream = channel.stream("ExecutePlan", rpc.sql(session, "x"))
        next(stream)
        old = gateway.upgrade()
        os.kill(old.pid, signal.SIGKILL)
        with pytest.raises(grpc.RpcError):
            list(stream)
    fake.behave = Stream.answer_config
    with rpc.Channel(gateway.way()) as channel:
        channel.call("Config", rpc.config(session))
    net.wait_for(lambda: not list(gateway.run.glob("segment.old*")), 10, "its audit records are written out")
    net.wait_for(lambda: len(records(gateway, "rpc")) == 3, 10, gateway.tail)
    assert [r.get("unfinished") for r in records(gateway, "rpc")].count(True) == 1
    page = scrape(gateway)  # where it is counted, too
    assert page.sum("spark_connect_errors_total", team="eng", error_type="worker_died") == 1
    assert page.sum("spark_connect_requests_total") == 3


def test_the_service_manager_is_told(make_gateway, fake, tmp_path, monkeypatch):
    import socket
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        gateway = make_gateway([fake])
        assert b"READY=1" in manager.recv(4096)
        ended(gateway.upgrade())
        assert manager.recv(4096).splitlines()[:2] == [b"MAINPID=%d" % gateway.process.pid, b"READY=1"]
        gateway.reload()
        assert b"RELOADING=1" in manager.recv(4096)


SESSION = """
spark.range(10).createOrReplaceTempView("ten")
def ask():
    assert spark.sql("SELECT count(*) AS n FROM ten").collect()[0].n == 10
    assert spark.table("ten").selectExpr("sum(id) AS s").toPandas().s[0] == 45
ask()
out("under way")
while not os.path.exists(os.environ["STOP"]):
    begun = time.monotonic()
    ask()
    out(begun)
"""


def asked_since(program, moment):
    """Until it has asked, and been answered, all after that moment."""
    while program.next() < moment:
        pass


@pytest.mark.timeout(300)
def test_real_sessions(make_gateway, spark_drivers, tmp_path):
    """Two PySpark sessions, each with a view that only its driver knows, ask on and on, over 20 upgrades."""
    gateway = make_gateway(spark_drivers, drain_timeout="30s")
    programs = [gateway.way().start(SESSION, STOP=str(tmp_path / "stop")) for _ in range(2)]
    assert [program.next() for program in programs] == ["under way"] * 2
    homes = {row["id"]: row["driver"] for row in gateway.sessions().values()}
    assert len(homes) == len(set(homes.values())) == 2
    for _ in range(20):
        old = gateway.upgrade()
        now = time.monotonic()
        for program in programs:
            asked_since(program, now)
        ended(old)
    net.wait_for(lambda: gateway.ask("status"), 10, "the control socket")
    assert gateway.ask("status")["generation"] == 21
    assert {row["id"]: row["driver"] for row in gateway.sessions().values()} == homes
    # Before the sessions end: what still releases results then comes too late. A plan whose result the client has whole may end as
    # CANCELLED, when the client drops it before the trailers, or INTERNAL, when its ReleaseExecute is quicker than the driver's own end.
    bad = [r for r in records(gateway, "rpc") if r["code"] and (r.get("refused") or r["method"] == "ExecutePlan" and r["messages_out"] <= 1)]
    (tmp_path / "stop").touch()
    for program in programs:
        program.finish()  # which would say if a query had failed
    plans = [r for r in records(gateway, "rpc") if r["method"] == "ExecutePlan"]
    print(f"{len(plans)} plans")
    assert len(plans) >= 2 * 20 * 3  # two programs, 20 upgrades, three plans a round
    assert bad == []
