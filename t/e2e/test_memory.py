"""Bounded memory: a client that does not read, an upload that the driver does not read, many streams."""

import threading
import time

import pytest

from harness import net, procs, rpc
from harness.fake import Stream
from harness.raw import Raw, grpc_headers
from harness.rpc import pb

MIB = 1 << 20


@pytest.fixture
def lean(unsanitized, make_gateway, fake):
    """A gateway without sanitizers, one worker, warm."""
    gateway = make_gateway([fake], workers=1)
    with rpc.Channel(gateway.way()) as channel:
        for _ in range(50):
            channel.call("Config", rpc.config(rpc.new_id()))
    time.sleep(1)
    return gateway


def flood(total):
    """Behaviour: a result of `total` bytes in messages of 4 MiB."""
    part = rpc.envelope(pb.ExecutePlanResponse(arrow_batch=pb.ExecutePlanResponse.ArrowBatch(data=bytes(4 * MIB))))

    def behave(s):
        if s.method == "Config":
            return s.answer_config()
        s.wait().send_headers()
        for _ in range(total // len(part) + 1):
            if not s.send_data(part):
                return None
        return s.send_trailers()
    return behave


def test_client_that_does_not_read_a_gigabyte(lean, fake):
    gateway, session = lean, rpc.new_id()
    fake.behave = flood(1 << 30)
    before = procs.pss(gateway.pids())
    with rpc.Channel(gateway.way(clear=True)) as other:
        other.call("Config", rpc.config(session))
        with Raw(gateway.clear_port) as raw:
            raw.conn.update_settings({4: 2**31 - 1})
            raw.conn.increment_flow_control_window(2**31 - 1 - (1 << 24) - 65535)
            raw.request(grpc_headers("ExecutePlan"), rpc.envelope(rpc.sql(session, "x")))
            settle(fake)
            grown = procs.pss(gateway.pids()) - before
            slowest = 0.0
            for _ in range(50):  # neighbours on the same driver
                start = time.monotonic()
                other.call("Config", rpc.config(session), timeout=5)
                slowest = max(slowest, time.monotonic() - start)
    assert grown <= MIB, f"{grown / MIB:.2f} MiB for one client that does not read; the driver has sent {fake.sent / MIB:.1f} MiB"
    assert slowest < 1


def settle(fake):
    """Until the driver is held back: nothing more leaves it."""
    def still():
        sent = fake.sent
        time.sleep(1)
        return fake.sent == sent and sent > 0
    net.wait_for(still, 60, lambda: f"back-pressure: {fake.sent / MIB:.0f} MiB sent and it goes on")


def test_twenty_clients_that_do_not_read(lean, fake):
    gateway = lean
    fake.behave = flood(1 << 30)
    before = procs.pss(gateway.pids())
    raws = []
    for _ in range(20):
        raw = Raw(gateway.clear_port)
        raw.conn.update_settings({4: 2**31 - 1})
        raw.request(grpc_headers("ExecutePlan"), rpc.envelope(rpc.sql(rpc.new_id(), "x")))
        raws.append(raw)
    settle(fake)
    grown = procs.pss(gateway.pids()) - before
    with rpc.Channel(gateway.way()) as channel:
        channel.call("Config", rpc.config(rpc.new_id()), timeout=5)
    for raw in raws:
        raw.close()
    assert grown <= 20 * MIB, f"{grown / 20 / MIB:.2f} MiB for each"


def test_a_gigabyte_to_a_client_that_reads(lean, fake):
    gateway, session = lean, rpc.new_id()
    fake.behave = flood(1 << 30)
    before, peak, done = procs.pss(gateway.pids()), [0], threading.Event()

    def watch():
        while not done.wait(0.2):
            peak[0] = max(peak[0], procs.pss(gateway.pids()))
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with rpc.Channel(gateway.way()) as channel:
            got = sum(len(m.arrow_batch.data) for m in channel.stream("ExecutePlan", rpc.sql(session, "x"), timeout=200))
    finally:
        done.set()
        watcher.join()
    assert got >= 1 << 30
    assert peak[0] - before < 4 * MIB, f"{(peak[0] - before) / MIB:.2f} MiB at the peak"


def test_driver_that_does_not_read_an_upload(lean, fake):
    """The client is held back, not the gateway filled."""
    gateway, session = lean, rpc.new_id()
    with rpc.Channel(gateway.way(clear=True)) as channel:
        channel.call("Config", rpc.config(session))
    fake.behave = Stream.wait
    for peer in fake.peers:
        peer.conn.acknowledge_received_data = lambda *a: None
    before = procs.pss(gateway.pids())
    with Raw(gateway.clear_port) as raw:
        stream = raw.request(grpc_headers("AddArtifacts"), rpc.envelope(pb.AddArtifactsRequest(session_id=session)), end=False)
        part = rpc.envelope(pb.AddArtifactsRequest(session_id=session, batch=pb.AddArtifactsRequest.Batch(
            artifacts=[pb.AddArtifactsRequest.SingleChunkArtifact(name="files/x", data=pb.AddArtifactsRequest.ArtifactChunk(data=bytes(30_000)))])))
        sent, end = 0, time.monotonic() + 3
        while time.monotonic() < end and sent < 64 * MIB:
            room = raw.conn.local_flow_control_window(stream)
            if room < 16_384:
                raw.pump(0.1, lambda: raw.conn.local_flow_control_window(stream) >= 16_384)
                continue
            at = sent % len(part)
            piece = (part + part)[at:at + 16_384]
            raw.conn.send_data(stream, piece)
            raw.flush()
            sent += len(piece)
        grown = procs.pss(gateway.pids()) - before
    assert sent < 8 * MIB, "not held back"
    assert grown <= 2 * MIB, f"{grown / MIB:.2f} MiB"


def test_memory_comes_back(lean, fake):
    """A thousand streams that end badly leave nothing."""
    gateway = lean
    fake.behave = lambda s: s.answer_config() if s.method == "Config" else s.wait().send_reset(2)

    def storm():
        session = rpc.new_id()
        with rpc.Channel(gateway.way()) as channel:
            channel.call("Config", rpc.config(session))
            for _ in range(500):
                try:
                    list(channel.stream("ExecutePlan", rpc.sql(session, "x"), timeout=5))
                except Exception:
                    pass
    storm()
    before = procs.pss(gateway.pids("worker"))
    storm()
    storm()
    grown = procs.pss(gateway.pids("worker")) - before
    assert grown < MIB // 2, f"{grown} bytes"
