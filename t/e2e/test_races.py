"""Things that happen at the same moment: a short story for each race that the data path has lost once."""

import os
import signal
import threading
import time
from contextlib import contextmanager

import grpc
import pytest
from hyperframe import frame

from harness import net, rpc
from harness.fake import Stream
from harness.raw import Raw, grpc_headers
from harness.rpc import pb

REFUSED_STREAM = 7


@pytest.fixture
def gateway(make_gateway, fake):
    return make_gateway([fake], workers=1)


@contextmanager
def stopped(gateway, kind):
    """The only process of this kind stands still."""
    pid, = gateway.pids(kind)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def open_rpcs(gateway):
    return gateway.ask("status")["counters"]["rpcs_open"]


def is_idle(gateway, seconds=5):
    net.wait_for(lambda: open_rpcs(gateway) == 0, seconds, lambda: f"no RPC under way: {open_rpcs(gateway)}")


def chunks(session, count, size=30_000):
    """Messages of an upload, as they stand on the wire."""
    return [rpc.envelope(pb.AddArtifactsRequest(session_id=session, batch=pb.AddArtifactsRequest.Batch(
        artifacts=[pb.AddArtifactsRequest.SingleChunkArtifact(
            name=f"files/{n}", data=pb.AddArtifactsRequest.ArtifactChunk(data=bytes(size)))]))) for n in range(count)]


@pytest.mark.parametrize("first", ["client", "driver"])
def test_stream_is_reset_while_its_result_arrives(gateway, fake, first):
    """Both are read in the same turn: an RST that was queued leaves with the driver's bytes, and closes the stream."""
    go = threading.Event()

    def behave(s):
        s.wait().send_headers()
        s.send_data(b"\0\0\0\0\1x")
        go.wait(10)
        s.send_data(bytes(1000))
    fake.behave = behave
    with Raw(gateway.clear_port) as raw:
        stream = raw.request(grpc_headers("ExecutePlan"), rpc.envelope(rpc.sql(rpc.new_id(), "x")))
        raw.pump(5, lambda: raw.answers[stream].data)
        acts = [lambda: raw.frames(frame.WindowUpdateFrame(stream, 2**31 - 1)), go.set]
        with stopped(gateway, "worker"):
            for act in acts if first == "client" else reversed(acts):
                act()
                time.sleep(0.2)
        assert raw.answer(stream).reset == 3  # FLOW_CONTROL_ERROR
        fake.behave = Stream.answer_config
        other = raw.request(grpc_headers(), rpc.envelope(rpc.config(rpc.new_id())))
        assert raw.answer(other).status == 0
    is_idle(gateway)


def test_trailers_of_a_request_while_its_session_is_bound(gateway, fake):
    """The headers that go to the driver are the headers."""
    with Raw(gateway.clear_port) as raw:
        with stopped(gateway, "keeper"):
            stream = raw.request(grpc_headers(x_mine="headers"), rpc.envelope(rpc.config(rpc.new_id())), end=False)
            raw.conn.send_headers(stream, [("x-late", "trailers")], end_stream=True)
            raw.flush()
            time.sleep(0.3)
        assert raw.answer(stream).status == 0
    call, = fake.calls
    assert call.method == "Config" and call.headers["x-mine"] == "headers" and "x-late" not in call.headers


def test_upload_goes_on_while_another_driver_is_sought(make_gateway, fakes):
    """The first driver refuses the stream; what arrives until the second is bound is lost by neither."""
    gateway = make_gateway(fakes, workers=1)
    keeper, = gateway.pids("keeper")
    refused = threading.Event()

    def refuse_once(s):
        if refused.is_set():
            s.wait().answer(pb.AddArtifactsResponse(session_id=session))
            return
        s.got.wait(5)
        os.kill(keeper, signal.SIGSTOP)
        s.send_reset(REFUSED_STREAM)
        s.peer.round_trip()
        refused.set()
    for fake in fakes:
        fake.behave = refuse_once
    session = rpc.new_id()
    parts = chunks(session, 5)
    try:
        with Raw(gateway.clear_port) as raw:
            stream = raw.request(grpc_headers("AddArtifacts"), parts[0], end=False)
            raw.pump(5, lambda: raw.conn.local_flow_control_window(stream) > 150_000)
            assert refused.wait(5)
            for part in parts[1:]:
                for at in range(0, len(part), 10_000):
                    raw.conn.send_data(stream, part[at:at + 10_000])
                    raw.flush()
            raw.conn.end_stream(stream)
            raw.flush()
            time.sleep(0.3)
            os.kill(keeper, signal.SIGCONT)
            assert raw.answer(stream).status == 0
    finally:
        os.kill(keeper, signal.SIGCONT)
    last = [call for fake in fakes for call in fake.calls if call.reset is None and call.ended.is_set()]
    names = [pb.AddArtifactsRequest.FromString(m).batch.artifacts[0].name for m in last[-1].messages()]
    assert names == [f"files/{n}" for n in range(5)]


def test_only_driver_refuses_the_first_stream_of_a_session(gateway, fake):
    """Nothing reached its application, so the request goes there once more; 1xx headers before that leave nothing behind."""
    def behave(s):
        if len(fake.calls) > 1:
            return s.answer_config()
        s.send_headers([(":status", "103"), ("x-hint", "h" * 300)])
        return s.send_reset(REFUSED_STREAM)
    fake.behave = behave
    with rpc.Channel(gateway.way(clear=True)) as channel:
        channel.call("Config", rpc.config(rpc.new_id()))
    assert fake.methods() == ["Config", "Config"]


def test_early_answer_while_the_driver_takes_no_more(gateway, fake):
    """The answer is complete; the rest of the upload, for which the driver gives no window, is not waited for."""
    session = rpc.new_id()
    with rpc.Channel(gateway.way(clear=True)) as channel:
        channel.call("Config", rpc.config(session))

    def behave(s):
        net.wait_for(lambda: len(s.body) >= 1 << 20, 10, lambda: f"the window is full: {len(s.body)}")
        time.sleep(0.3)
        s.answer(pb.AddArtifactsResponse(session_id=session))
    fake.behave = behave
    for peer in fake.peers:
        peer.conn.acknowledge_received_data = lambda *a: None
    with Raw(gateway.clear_port) as raw:
        stream = raw.request(grpc_headers("AddArtifacts"), b"".join(chunks(session, 40)))
        assert raw.answer(stream).status == 0
        is_idle(gateway)


def test_trailers_too_large(gateway, fake):
    def behave(s):
        s.wait().send_headers()
        s.send_trailers(0, "fine", *[(f"x-big-{n}", "b" * 1000) for n in range(70)])
    fake.behave = behave
    with rpc.Channel(gateway.way(clear=True)) as channel:
        error = channel.refusal("Config", rpc.config(rpc.new_id()))
    assert error.code() == grpc.StatusCode.INTERNAL and "too large" in error.details()


def test_session_is_closed_while_it_is_bound(gateway, fake):
    """Whichever the keeper does first: after a `session close` that closed something, nothing more runs."""
    for _ in range(8):
        session = rpc.new_id()
        fake.calls.clear()
        with Raw(gateway.clear_port) as raw:
            closing = []
            with stopped(gateway, "keeper"):
                stream = raw.request(grpc_headers(), rpc.envelope(rpc.config(session)))
                thread = threading.Thread(target=lambda: closing.append(
                    gateway.ctl("session", "close", session, check=False).returncode))  # noqa: B023
                thread.start()
                time.sleep(0.3)
            thread.join()
            answer = raw.answer(stream)
            later = raw.answer(raw.request(grpc_headers(), rpc.envelope(rpc.config(session))))
        if closing == [0]:
            assert later.status == 13 and "SESSION_CLOSED" in later.message
            assert answer.status == 0 or "SESSION_CLOSED" in answer.message
        else:
            assert answer.status == later.status == 0 and len(fake.calls) == 2


def test_answer_of_a_clone_waits_and_its_client_goes(gateway, fake):
    session = rpc.new_id()
    with rpc.Channel(gateway.way(clear=True)) as channel:
        channel.call("Config", rpc.config(session))
    fake.behave = lambda s: s.wait().answer(pb.CloneSessionResponse(session_id=session, new_session_id=rpc.new_id()))
    request = rpc.envelope(pb.CloneSessionRequest(session_id=session))
    with stopped(gateway, "keeper"):
        with Raw(gateway.clear_port) as raw:
            for _ in range(5):
                raw.request(grpc_headers("CloneSession"), request)
            raw.pump(0.5)
            late = raw.request(grpc_headers("CloneSession", grpc_timeout="200m"), request)
            assert raw.answer(late).status == 4
        is_idle(gateway)
    with Raw(gateway.clear_port) as raw:
        assert raw.answer(raw.request(grpc_headers("CloneSession"), request)).status == 0


def test_clone_under_an_id_that_lives_elsewhere(make_gateway, fakes):
    """The client names the new id itself, and may name one that another driver has."""
    gateway = make_gateway(fakes, workers=1)
    homes = {}
    with rpc.Channel(gateway.way(clear=True)) as channel:
        while len(homes) < 2:
            channel.call("Config", rpc.config(session := rpc.new_id()))
            homes[gateway.sessions()[session]["driver"]] = session
        old, other = homes.values()
        for fake in fakes:
            fake.behave = lambda s: s.wait().answer(pb.CloneSessionResponse(session_id=old, new_session_id=other))
        error = channel.refusal("CloneSession", pb.CloneSessionRequest(session_id=old))
    assert error.code() == grpc.StatusCode.ALREADY_EXISTS


def test_session_is_closed_while_a_worker_leaves(gateway, fake):
    """The old worker hears of both at once; what it still does for the session opens no connection behind its back."""
    session = rpc.new_id()
    with rpc.Channel(gateway.way(clear=True)) as channel:
        channel.call("Config", rpc.config(session))
    net.wait_for(lambda: gateway.ask("status")["counters"]["connections_open"] == 0, 5, "the client has gone")
    with stopped(gateway, "worker"):
        gateway.ctl("session", "close", session)
        gateway.reload()
        time.sleep(0.3)
    net.wait_for(lambda: len(gateway.pids("worker")) == 1, 10, "the old worker has left")
    assert " died: " not in gateway.log.read_text()
