"""A driver is killed: its sessions hear of it at once and can start anew; nothing runs twice."""

import time

import grpc
import pytest

from harness import net, rpc
from harness.rpc import pb


@pytest.fixture
def killed(make_gateway, own_drivers):
    """(gateway, drivers); the test kills one."""
    drivers = own_drivers("first", "second")
    return make_gateway(drivers), drivers


def home_of(gateway, session, drivers):
    name = gateway.sessions()[session]["driver"]
    return next(d for d in drivers if name.endswith(d.address))


PROGRAM = """
import grpc
from pyspark.errors import PySparkException
from pyspark.sql.functions import udf
counter = os.environ["COUNTER"]

@udf("long")
def slow(x):
    import time
    with open(counter, "a") as f:
        f.write(f"{x}\\n")
    time.sleep(25)
    return x

out(spark.session_id)
first = spark.session_id
begin = time.time()
try:
    spark.range(0, 1, numPartitions=1).select(slow("id")).collect()
    out("finished")
except Exception as e:
    out([type(e).__name__, str(e).splitlines()[0], time.time()])
spark = connect()
out([spark.range(5).count(), spark.session_id != first, time.time()])
"""


def test_killed_in_mid_query(killed, tmp_path):
    gateway, drivers = killed
    counter = tmp_path / "counter"
    program = gateway.way().start(PROGRAM, COUNTER=str(counter))
    session = program.next()
    net.wait_for(lambda: counter.exists() and counter.read_text(), 60, "the query runs")
    victim = home_of(gateway, session, drivers)
    at = time.time()
    victim.kill()
    kind, text, failed_at = program.next(timeout=30)
    assert "INVALID_HANDLE.SESSION_CHANGED" in text, text
    count, fresh, back_at = program.next(timeout=30)
    program.finish(30)
    assert (count, fresh) == (5, True)
    assert failed_at - at < 4, f"{failed_at - at:.1f} s until the client knew"
    assert counter.read_text() == "0\n", "the plan ran more than once"


def test_rpcs_after_the_death(killed):
    """On the wire: the stream under way ends with UNAVAILABLE at once; within 2 s SESSION_CHANGED; a new session works."""
    gateway, drivers = killed
    session = rpc.new_id()
    with rpc.Channel(gateway.way()) as channel:
        channel.call("Config", rpc.config(session))
        victim = home_of(gateway, session, drivers)
        stream = channel.stream("ExecutePlan", rpc.sql(session, "select count(*) from range(100000000000L) where hash(id) = 7"))
        net.wait_for(lambda: victim.plans(session), 20, "the query runs")
        at = time.monotonic()
        victim.kill()
        with pytest.raises(grpc.RpcError) as caught:
            list(stream)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE and time.monotonic() - at < 1.5
        codes = []

        def changed():
            error = channel.refusal("Config", rpc.config(session))
            codes.append((round(time.monotonic() - at, 2), error.code().name))
            return error if error.code() == grpc.StatusCode.INTERNAL else None
        error = net.wait_for(changed, 10, lambda: f"SESSION_CHANGED: {codes}")
        assert time.monotonic() - at <= 2.5, codes
        assert error.details().startswith("[INVALID_HANDLE.SESSION_CHANGED]")
        status = rpc.check_error(error)
        assert len(status.details) == 1 and status.details[0].type_url.endswith("google.rpc.ErrorInfo")
        for _ in range(4):
            new = rpc.new_id()
            channel.call("Config", rpc.config(new))
            assert home_of(gateway, new, drivers) is not victim


def test_driver_comes_back(killed):
    """A restarted driver is used again; sessions from before its death are told, not resurrected."""
    gateway, drivers = killed
    sessions = [rpc.new_id() for _ in range(6)]
    with rpc.Channel(gateway.way()) as channel:
        for session in sessions:
            channel.call("Config", rpc.config(session))
        lost = [s for s in sessions if home_of(gateway, s, drivers) is drivers[0]]
        drivers[0].kill()
        net.wait_for(lambda: gateway.ask("status")["drivers"]["down"] == 1, 10, "seen to be down")
        drivers[0].start()
        net.wait_for(lambda: gateway.ask("status")["drivers"]["up"] == 2, 10, "seen to be up")
        for session in sessions:
            if session in lost:
                assert "SESSION_CHANGED" in channel.refusal("Config", rpc.config(session)).details()
            else:
                channel.call("Config", rpc.config(session))
        news = [rpc.new_id() for _ in range(8)]
        for session in news:
            channel.call("Config", rpc.config(session))
        assert any(home_of(gateway, s, drivers) is drivers[0] for s in news)


def test_no_driver_at_all(make_gateway, fake):
    gateway = make_gateway([fake])
    fake.die()
    net.wait_for(lambda: gateway.ask("status")["drivers"]["down"] == 1, 10, "seen to be down")
    with rpc.Channel(gateway.way()) as channel:
        error = channel.refusal("Config", rpc.config(rpc.new_id()))
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert any(d.type_url.endswith("google.rpc.RetryInfo") for d in rpc.check_error(error).details)


def test_unhealthy_driver_gets_nothing_new(make_gateway, fakes):
    gateway = make_gateway(fakes)
    fakes[0].healthy = False
    net.wait_for(lambda: gateway.ask("status")["drivers"]["down"] == 1, 15, "seen to be down")
    with rpc.Channel(gateway.way()) as channel:
        for _ in range(6):
            channel.call("Config", rpc.config(rpc.new_id()))
    assert fakes[0].calls == [] and len(fakes[1].calls) == 6
    fakes[0].healthy = True
    net.wait_for(lambda: gateway.ask("status")["drivers"]["up"] == 2, 15, "seen to be up")


def test_never_run_twice(make_gateway, fake):
    """The driver dies at a random moment of many calls: it never sees an operation a second time."""
    gateway = make_gateway([fake])
    session = rpc.new_id()
    with rpc.Channel(gateway.way()) as channel:
        channel.call("Config", rpc.config(session))
        fake.calls.clear()
        for n in range(100):
            fake.behave = (lambda s: s.wait().peer.close()) if n % 2 else (lambda s: (s.wait().send_headers(), s.peer.close()))
            request = rpc.sql(session, f"select {n}")
            request.operation_id = rpc.new_id()
            with pytest.raises(grpc.RpcError):
                list(channel.stream("ExecutePlan", request, timeout=10))
    seen = [pb.ExecutePlanRequest.FromString(m).operation_id for call in fake.calls for m in call.messages()]
    assert len(seen) == len(set(seen))


def test_port_that_answers_nothing(make_gateway):
    """Something listens that is no driver: it never becomes healthy, and nothing waits for it."""
    import socket
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gateway = make_gateway([f"127.0.0.1:{listener.getsockname()[1]}"], start=False)
        gateway.start(wait=False)
        net.wait_for(lambda: (gateway.ask("status") or {}).get("drivers", {}).get("down") == 1, 20, "seen to be down")
        with rpc.Channel(gateway.way()) as channel:
            assert channel.refusal("Config", rpc.config(rpc.new_id())).code() == grpc.StatusCode.UNAVAILABLE
