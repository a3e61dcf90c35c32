"""Reload and stop: no RPC fails, streams finish, a file with errors changes nothing."""

import os
import signal
import threading
import time

import grpc
import pytest

from harness import net, procs, rpc
from harness.fake import Stream, two_messages
from harness.load import Load
from harness.raw import Raw, grpc_headers
from harness.rpc import pb


def generation(gateway):
    return gateway.ask("status")["generation"]


@pytest.mark.timeout(400)
def test_100_reloads_in_100_seconds_under_load(make_gateway, spark_drivers):
    gateway = make_gateway(spark_drivers, drain_timeout="5s")
    first = generation(gateway)
    begin = time.monotonic()
    with Load(gateway.way(), rpc.new_sessions(gateway, 20)) as load:
        for n in range(100):
            gateway.reload()
            time.sleep(max(0, begin + n + 1 - time.monotonic()))
        took = time.monotonic() - begin
    assert load.failures == []
    assert load.done > 2000, load.done
    assert generation(gateway) == first + 100
    assert took < 200, f"100 reloads took {took:.0f} s"
    net.wait_for(lambda: len(gateway.pids("worker")) == 2, 30, lambda: f"old workers gone: {gateway.ask('status')}")


def test_stream_survives_a_reload(make_gateway, fake):
    gateway = make_gateway([fake])
    session, go_on = rpc.new_sessions(gateway, 1)[0], threading.Event()
    fake.behave = two_messages(session, go_on)
    with rpc.Channel(gateway.way()) as channel:
        stream = channel.stream("ExecutePlan", rpc.sql(session, "x"))
        next(stream)
        gateway.reload()
        channel.call("Config", rpc.config(session))
        go_on.set()
        assert len(list(stream)) == 1


def test_goaway_in_two_steps(make_gateway, fake):
    """A drain first says that it will, with the highest id, so that streams on their way are still taken."""
    gateway = make_gateway([fake], workers=1)
    with Raw(gateway.clear_port) as raw:
        raw.answer(raw.request(grpc_headers(), rpc.envelope(rpc.config(rpc.new_id()))))
        seen = []
        take = raw._take

        def spy(event):
            if type(event).__name__ == "ConnectionTerminated":
                seen.append((event.last_stream_id, event.error_code))
            take(event)
        raw._take = spy
        gateway.reload()
        raw.pump(5, lambda: len(seen) >= 2 or raw.closed)
    assert seen[0] == (2**31 - 1, 0) and seen[-1] == (1, 0), seen


def test_drain_shows_its_progress(make_gateway, fake):
    gateway = make_gateway([fake], workers=1, drain_timeout="30s")
    session, go_on = rpc.new_sessions(gateway, 1)[0], threading.Event()
    fake.behave = two_messages(session, go_on)
    with rpc.Channel(gateway.way()) as channel:
        stream = channel.stream("ExecutePlan", rpc.sql(session, "x"))
        next(stream)
        gateway.reload()
        drains = [row["drain"] for row in gateway.ask("status")["processes"] if "drain" in row]
        assert len(drains) == 1 and drains[0]["connections"] == 1 and drains[0]["rpcs"] == 1, drains
        assert 20000 < drains[0]["left_ms"] <= 30000
        assert "LEFT" in gateway.ctl("status").stdout
        go_on.set()
        list(stream)
    net.wait_for(lambda: not [row for row in gateway.ask("status")["processes"] if "drain" in row], 10, "drained")


def test_drain_has_an_end(make_gateway, fake):
    """A stream that never ends is ended by drain_timeout, with a status."""
    gateway = make_gateway([fake], drain_timeout="2s")
    session = rpc.new_sessions(gateway, 1)[0]
    fake.behave = lambda s: (s.wait().send_headers(), s.send_message(pb.ExecutePlanResponse(session_id=session)))
    with rpc.Channel(gateway.way()) as channel:
        stream = channel.stream("ExecutePlan", rpc.sql(session, "x"))
        next(stream)
        start = time.monotonic()
        gateway.reload()
        with pytest.raises(grpc.RpcError) as caught:
            list(stream)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE and time.monotonic() - start < 6


def test_new_listener_and_driver(make_gateway, fakes):
    gateway = make_gateway([fakes[0]])
    session = rpc.new_sessions(gateway, 1)[0]
    port = net.free_port()
    gateway.conf["listeners"].append({"address": f"127.0.0.1:{port}"})
    gateway.conf["clusters"][0]["drivers"].append({"address": fakes[1].address})
    gateway.write()
    gateway.reload()
    gateway.wait()
    gateway.clear_port = port
    with rpc.Channel(gateway.way(clear=True)) as channel:
        channel.call("Config", rpc.config(session))
        for _ in range(6):
            channel.call("Config", rpc.config(rpc.new_id()))
    assert fakes[1].calls


def test_removed_driver(make_gateway, fakes):
    """Its sessions are told that it is gone."""
    gateway = make_gateway(fakes)
    sessions = rpc.new_sessions(gateway, 8)
    gone = {call.envelope()[1] for call in fakes[1].calls}
    gateway.conf["clusters"][0]["drivers"].pop()
    gateway.write()
    gateway.reload()
    gateway.wait()
    with rpc.Channel(gateway.way()) as channel:
        for session in sessions:
            if session in gone:
                assert "SESSION_CHANGED" in channel.refusal("Config", rpc.config(session)).details()
            else:
                channel.call("Config", rpc.config(session))


def test_new_tokens(make_gateway, fake):
    gateway = make_gateway([fake])
    tokens = gateway.folder / "tokens"
    tokens.write_text("token-erin erin eng\n")
    gateway.reload()
    with rpc.Channel(gateway.way(), token="token-erin") as channel:
        channel.call("Config", rpc.config(rpc.new_id()))
    with rpc.Channel(gateway.way(), token="token-alice") as channel:
        assert channel.refusal("Config", rpc.config(rpc.new_id())).code() == grpc.StatusCode.UNAUTHENTICATED


def test_new_certificate(make_gateway, fake, authority):
    import socket
    import ssl
    gateway = make_gateway([fake])

    def serial():
        context = ssl.create_default_context(cafile=authority.ca)
        context.set_alpn_protocols(["h2"])
        with socket.create_connection(("127.0.0.1", gateway.port)) as sock, \
                context.wrap_socket(sock, server_hostname="localhost") as tls:
            return tls.getpeercert()["serialNumber"]
    before = serial()
    authority.issue("localhost")
    gateway.reload()
    assert serial() != before


def test_more_and_fewer_workers(make_gateway, fake):
    gateway = make_gateway([fake], workers=1)
    sessions = rpc.new_sessions(gateway, 5)
    with Load(gateway.way(), sessions) as load:
        for count in (4, 2, 1, 3):
            gateway.conf["workers"] = count
            gateway.write()
            gateway.reload()
            net.wait_for(lambda: len(gateway.pids("worker")) == count, 30, f"{count} workers")
    assert load.failures == []


WRONG_VALUES = """workers: many
stat_dir: x
listeners:
  - address: "127.0.0.1:port"
clusters:
  - name: eng-prod
    team: eng
    env: prod
    drivers: []
  - {name: eng-prod, team: eng}
health: {interval: 5}
""", (1, 2, 4, 9, 10, 11)
WRONG_NAMES = """listeners:
  - address: "127.0.0.1:1"
  - address: "127.0.0.1:1"
auth: {required: false}
teams: [{name: eng}]
clusters:
  - name: eng-prod
    team: nobody
    env: prod
    drivers: [{address: "127.0.0.1:2"}, {address: "127.0.0.1:2"}]
  - name: eng-prod
    team: eng
    env: prod
    drivers: [{address: "127.0.0.1:3"}]
""", (3, 8, 10, 11)


@pytest.mark.parametrize("text,lines", [WRONG_VALUES, WRONG_NAMES], ids=["values", "names"])
def test_broken_file_changes_nothing(make_gateway, fake, text, lines):
    """Every error is told, with its line; the old configuration serves on."""
    gateway = make_gateway([fake])
    session = rpc.new_sessions(gateway, 1)[0]
    before = gateway.pids()
    gateway.write(text)
    done = gateway.reload(check=False)
    assert done.returncode == 1
    missing = [n for n in lines if f"sparkgw.yaml:{n}:" not in done.stdout + done.stderr]
    assert not missing, f"lines {missing} not named in\n{done.stdout}{done.stderr}"
    with rpc.Channel(gateway.way()) as channel:
        channel.call("Config", rpc.config(session))
    assert gateway.pids() == before
    logged = gateway.log.stat().st_size
    gateway.process.send_signal(signal.SIGHUP)
    net.wait_for(lambda: f"sparkgw.yaml:{lines[-1]}:" in gateway.log.read_text()[logged:], 10, "errors in the log")
    assert gateway.pids() == before
    gateway.write()
    gateway.reload()


@pytest.mark.parametrize("spoil", ["certificate", "key", "port"])
def test_broken_surroundings_change_nothing(make_gateway, fake, authority, spoil):
    import socket
    gateway = make_gateway([fake])
    session = rpc.new_sessions(gateway, 1)[0]
    taken = socket.create_server(("127.0.0.1", 0))
    tls = gateway.conf["listeners"][0]["tls"]
    if spoil == "certificate":
        tls["certificate"] = str(gateway.folder / "absent.crt")
    elif spoil == "key":
        tls["key"] = str(authority.issue("other")[1])
    else:
        gateway.conf["listeners"].append({"address": f"127.0.0.1:{taken.getsockname()[1]}"})
    gateway.write()
    assert gateway.reload(check=False).returncode == 1
    with rpc.Channel(gateway.way()) as channel:
        channel.call("Config", rpc.config(session))
    taken.close()


def test_storm_of_signals(make_gateway, fake):
    gateway = make_gateway([fake], drain_timeout="2s")
    sessions = rpc.new_sessions(gateway, 4)
    with Load(gateway.way(), sessions, pause=0.02) as load:
        for _ in range(300):
            gateway.process.send_signal(signal.SIGHUP)
            time.sleep(0.01)
        time.sleep(2)
    assert load.failures == []
    net.wait_for(lambda: len(gateway.pids("worker")) == 2, 30, "one generation of workers left")


def test_stop_during_a_reload(make_gateway, fake):
    gateway = make_gateway([fake], drain_timeout="2s")
    gateway.process.send_signal(signal.SIGHUP)
    gateway.stop()


def test_stop_lets_streams_finish(make_gateway, fake):
    gateway = make_gateway([fake])
    session = rpc.new_sessions(gateway, 1)[0]

    def behave(s):
        s.wait().send_headers()
        s.send_message(pb.ExecutePlanResponse(session_id=session))
        time.sleep(2)
        s.send_trailers()
    fake.behave = behave
    with rpc.Channel(gateway.way()) as channel:
        stream = channel.stream("ExecutePlan", rpc.sql(session, "x"))
        next(stream)
        gateway.process.send_signal(signal.SIGTERM)
        assert list(stream) == []
    gateway.stop()


def test_interrupt_stops_at_once(make_gateway, fake):
    gateway = make_gateway([fake])
    rpc.new_sessions(gateway, 1)
    start = time.monotonic()
    gateway.stop(signal.SIGINT)
    assert time.monotonic() - start < 5


def test_children_die_with_the_supervisor(make_gateway, fake):
    gateway = make_gateway([fake])
    pids = gateway.pids()
    os.kill(gateway.process.pid, signal.SIGKILL)
    net.wait_for(lambda: not any(procs.is_alive(p) for p in pids[1:]), 10, "children gone")
    gateway.process.wait()
    gateway.process = None
    gateway.start()


def test_stuck_worker_is_replaced(make_gateway, fake):
    gateway = make_gateway([fake], workers=1)
    old = gateway.pids("worker")[0]
    os.kill(old, signal.SIGSTOP)
    net.wait_for(lambda: gateway.pids("worker") not in ([], [old]), 40, "a new worker")
    rpc.new_sessions(gateway, 3)


def test_keeper_stopped_and_continued(make_gateway, fake):
    """Bound sessions go on while the keeper is stuck; new ones are told to come again."""
    gateway = make_gateway([fake])
    session = rpc.new_sessions(gateway, 1)[0]
    keeper = gateway.pids("keeper")[0]
    os.kill(keeper, signal.SIGSTOP)
    with rpc.Channel(gateway.way()) as channel:
        for _ in range(5):
            channel.call("Config", rpc.config(session), timeout=2)
        assert channel.refusal("Config", rpc.config(rpc.new_id()), timeout=15).code() == grpc.StatusCode.UNAVAILABLE
    os.kill(keeper, signal.SIGCONT)
    net.wait_for(lambda: works(gateway), 40, "new sessions again")


def works(gateway):
    try:
        rpc.new_sessions(gateway, 1)
        return True
    except grpc.RpcError:
        return False


def test_worker_death_costs_only_its_own_connections(make_gateway, fake):
    """With the other one's clients everything is well; and the dead one's come back by themselves."""
    fake.behave = Stream.answer_config
    gateway = make_gateway([fake], workers=2)
    sessions = rpc.new_sessions(gateway, 8)
    with Load(gateway.way(), sessions, threads=8) as load:
        time.sleep(1)
        os.kill(gateway.pids("worker")[0], signal.SIGKILL)
        time.sleep(3)
    assert len(load.failures) <= 4 * 8, load.failures[:5]
    assert all("UNAVAILABLE" in failure for failure in load.failures), load.failures[:5]
