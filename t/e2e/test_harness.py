"""The fakes themselves: a test that leans on them must be able to trust them."""

import pathlib
import socket

import grpc
import pytest

from harness import net, rpc
from harness.client import Way
from harness.fake import Stream
from harness.raw import Raw, grpc_headers
from harness.rpc import pb


def test_fake_driver_answers_grpcio(fake):
    session = rpc.new_id()
    with rpc.Channel(Way("direct", fake.port, {}), token=None) as channel:
        assert channel.call("Config", rpc.config(session)).session_id == session
    assert fake.calls[0].envelope() == ("alice", session)


def test_fake_driver_streams_50_megabytes(fake):
    part = pb.ExecutePlanResponse(arrow_batch=pb.ExecutePlanResponse.ArrowBatch(data=bytes(1 << 20)))
    fake.behave = lambda s: s.wait().answer(*[part] * 50)
    with rpc.Channel(Way("direct", fake.port, {}), token=None) as channel:
        assert sum(len(m.arrow_batch.data) for m in channel.stream("ExecutePlan", rpc.sql(rpc.new_id(), "x"))) == 50 << 20


def test_fake_driver_resets(fake):
    fake.behave = lambda s: s.wait().send_reset(11)
    with rpc.Channel(Way("direct", fake.port, {}), token=None) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channel.call("Config", rpc.config(rpc.new_id()))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_raw_client(fake):
    fake.behave = Stream.answer_config
    with Raw(fake.port) as raw:
        answer = raw.answer(raw.request(grpc_headers(), rpc.envelope(rpc.config(rpc.new_id()))))
    assert answer.status == 0 and answer.ended and len(answer.data) > 5


def test_raw_client_sees_a_dead_driver(fake):
    fake.behave = lambda s: s.peer.close()
    with Raw(fake.port) as raw:
        answer = raw.answer(raw.request(grpc_headers(), b""))
    assert answer.closed and answer.status is None


def test_free_ports():
    """Each once; and where the system leaves enough of them, none that a connection may be given meanwhile."""
    ephemeral = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = [net.free_port() for _ in range(300)]
    assert len(set(ports)) == 300 and min(ports) >= net.FIRST
    assert max(ports) < ephemeral or ephemeral - net.FIRST < net.ENOUGH
    with socket.create_server(("127.0.0.1", net.free_port())) as taken:
        assert not net.is_free(taken.getsockname()[1])
