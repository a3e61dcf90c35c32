"""Sessions stay on their driver, whatever happens to the gateway: fifty sessions, two real drivers, four workers.

Who says so is the drivers: their own records name every session that they saw.
"""

import os
import shutil
import signal

import pytest

from harness import net, rpc
from harness.gateway import STATIC, auth

SESSIONS = 50
CONFIG_KEY = "spark.sql.session.timeZone"


@pytest.fixture
def world(make_gateway, spark_drivers):
    return World(make_gateway(spark_drivers, workers=4), spark_drivers)


class World:
    def __init__(self, gateway, drivers):
        self.gateway, self.drivers = gateway, drivers
        self.sessions = [rpc.new_id() for _ in range(SESSIONS)]
        self.homes = {}

    def mark(self):
        """Each session gets a setting of its own, which only its own driver remembers."""
        for n, session in enumerate(self.sessions):
            with rpc.Channel(self.gateway.way()) as channel:
                set_ = rpc.pb.ConfigRequest.Operation(set=rpc.pb.ConfigRequest.Set(
                    pairs=[rpc.pb.KeyValue(key=CONFIG_KEY, value=f"+01:{n:02d}")]))
                channel.call("Config", rpc.pb.ConfigRequest(session_id=session, operation=set_))
        self.homes = self.seen()
        assert set(self.homes) == set(self.sessions)

    def seen(self):
        """{session: the driver that saw it}; fails when two did, or under another user."""
        homes = {}
        for driver in self.drivers:
            for user, session in driver.sessions():
                if session in self.sessions:
                    assert user == "alice", f"{driver.name} saw user {user}"
                    assert session not in homes, f"{session} was on two drivers"
                    homes[session] = driver.name
        return homes

    def check(self):
        """Every session over a connection of its own: it still has its setting, and is where it was."""
        for n, session in enumerate(self.sessions):
            with rpc.Channel(self.gateway.way()) as channel:
                answer = retried(lambda: channel.call("Config", rpc.config(session, key=CONFIG_KEY)))
            assert answer.pairs[0].value == f"+01:{n:02d}"
        assert self.seen() == self.homes


def retried(call):
    """As clients do it when UNAVAILABLE comes."""
    import grpc
    last = []

    def once():
        try:
            return call()
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE, error
            last[:] = [error]
            return None
    return net.wait_for(once, 10, lambda: f"an answer: {last}", 0.2)


def test_spread_evenly(world):
    world.mark()
    counts = [list(world.homes.values()).count(d.name) for d in world.drivers]
    assert min(counts) >= SESSIONS * 0.4, counts


def test_new_connections(world):
    world.mark()
    world.check()
    world.check()


def test_after_a_reload(world):
    world.mark()
    world.gateway.reload()
    world.check()


@pytest.mark.parametrize("kind", ["worker", "checker", "keeper", "controller"])
def test_after_the_death_of_a_process(world, kind):
    world.mark()
    gateway = world.gateway
    old = gateway.pids(kind)
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    world.check()
    net.wait_for(lambda: len(gateway.pids(kind)) == len(old) and not set(old) & set(gateway.pids(kind)), 10, f"new {kind}")
    world.check()
    assert gateway.ask("status")["ready"]


def test_after_a_restart(world):
    world.mark()
    world.gateway.restart()
    world.check()


def test_after_the_death_of_everything(world):
    world.mark()
    world.gateway.kill()
    world.gateway.start()
    world.check()


def test_two_users_with_one_session_id_are_two_sessions(make_gateway, fakes):
    gateway = make_gateway(fakes)
    session = rpc.new_id()
    for token, user in (("token-alice", "alice"), ("token-bob", "bob")):
        with rpc.Channel(gateway.way(), token=token) as channel:
            channel.call("Config", rpc.config(session))
    seen = [call.envelope() for fake in fakes for call in fake.calls]
    assert sorted(seen) == [("alice", session), ("bob", session)]
    rows = gateway.ask("sessions")["rows"]
    assert sorted(row["user"] for row in rows if row["id"] == session) == ["alice", "bob"]


def test_same_session_from_many_connections_at_once(make_gateway, fakes):
    """Workers race to bind it: one wins, all use what it bound."""
    from concurrent.futures import ThreadPoolExecutor
    gateway = make_gateway(fakes, workers=4)
    for _ in range(5):
        session = rpc.new_id()

        def call(_):
            with rpc.Channel(gateway.way()) as channel:
                return channel.call("Config", rpc.config(session)).server_side_session_id
        with ThreadPoolExecutor(16) as pool:
            assert len(set(pool.map(call, range(16)))) == 1


def test_binding_is_on_disk_before_the_driver_sees_the_session(make_gateway, fakes):
    """Everything is killed while the driver looks at the first RPC; the next start knows the session."""
    import threading
    gateway = make_gateway(fakes)
    session, arrived = rpc.new_id(), threading.Event()
    for fake in fakes:
        fake.behave = lambda s: (s.wait(), arrived.set())
    with rpc.Channel(gateway.way()) as channel:
        stub = channel.channel.unary_unary(rpc.SERVICE + "Config")
        call = stub.future(rpc.config(session).SerializeToString(), metadata=channel.metadata)
        assert arrived.wait(10)
        gateway.kill()
        call.cancel()
    gateway.start()
    home = next(fake for fake in fakes if fake.calls)
    assert gateway.sessions()[session]["driver"].endswith(home.address)


def test_anonymous_users(make_gateway, fake):
    gateway = make_gateway([fake], auth={"required": False})
    with rpc.Channel(gateway.way(), token=None) as channel:
        channel.call("Config", rpc.config(rpc.new_id(), user="zoe"))
        channel.call("Config", rpc.config(rpc.new_id(), user=""))
    assert [call.envelope()[0] for call in fake.calls] == ["zoe", "anonymous"]


def test_session_closed_by_an_administrator(make_gateway, fake):
    gateway = make_gateway([fake])
    session = rpc.new_id()
    with rpc.Channel(gateway.way()) as channel:
        channel.call("Config", rpc.config(session))
        gateway.ctl("session", "close", session)
        error = channel.refusal("Config", rpc.config(session))
    assert "[INVALID_HANDLE.SESSION_CLOSED]" in error.details() and error.code().name == "INTERNAL"
    net.wait_for(lambda: "ReleaseSession" in fake.methods(), 5, "the driver is told")


def test_the_state_of_a_gateway_moves_to_another(make_gateway, fakes):
    """As doc/operations.md has it: stopped, copied, started elsewhere. Nobody has to begin anew."""
    both = auth(STATIC, {"name": "personal", "type": "pat"})
    old, new = make_gateway(fakes, auth=both), make_gateway(fakes, start=False, auth=both)
    token = old.ctl("token", "create", "--user", "zoe", "--team", "eng").stdout.strip()
    sessions = [rpc.new_id() for _ in range(8)]
    with rpc.Channel(old.way(), token=token) as channel:
        for session in sessions:
            channel.call("Config", rpc.config(session))
    before = [{call.envelope()[1] for call in fake.calls} for fake in fakes]
    assert all(before)
    old.ctl("driver", "drain", fakes[0].address)
    old.stop()
    shutil.copytree(old.folder / "state", new.folder / "state")
    for fake in fakes:
        fake.calls.clear()
    new.start()
    with rpc.Channel(new.way(), token=token) as channel:
        for session in sessions:
            channel.call("Config", rpc.config(session))
    assert [{call.envelope()[1] for call in fake.calls} for fake in fakes] == before
    assert [row["wanted"] for row in new.ask("drivers")["rows"] if row["address"] == fakes[0].address] == ["drain"]
    assert new.ctl("audit", "verify", "--state-dir", str(new.folder / "state")).returncode == 0


def test_draining_driver_gets_no_new_sessions(make_gateway, fakes):
    gateway = make_gateway(fakes)
    with rpc.Channel(gateway.way()) as channel:
        old = [rpc.new_id() for _ in range(8)]
        for session in old:
            channel.call("Config", rpc.config(session))
        on_one = {call.envelope()[1] for call in fakes[0].calls}
        assert on_one and on_one != set(old)
        row = next(r for r in gateway.ask("drivers")["rows"] if r["address"] == fakes[0].address)
        gateway.ctl("driver", "drain", row["name"])
        fakes[0].calls.clear()
        for session in [rpc.new_id() for _ in range(10)]:
            channel.call("Config", rpc.config(session))
        assert fakes[0].calls == []
        for session in on_one:
            channel.call("Config", rpc.config(session))
        assert len(fakes[0].calls) == len(on_one)
        gateway.ctl("driver", "undrain", row["name"])
        for session in [rpc.new_id() for _ in range(12)]:
            channel.call("Config", rpc.config(session))
        assert len(fakes[0].calls) > len(on_one)
