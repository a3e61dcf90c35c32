"""Drivers that misbehave: the client gets exactly one grpc-status, whatever they do, and no plan runs twice."""

import time

import pytest
from hyperframe import frame

from harness import net, rpc
from harness.fake import OK_HEADERS, Stream
from harness.raw import Raw, grpc_headers
from harness.rpc import pb

UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE = 2, 4, 13, 14


@pytest.fixture
def ask(setup):
    """Calls once over a raw connection while the driver behaves so; gives (answer, calls that the driver saw)."""
    gateway, fake = setup

    def ask(behave, method="ExecutePlan", seconds=10, session=None, **headers):
        bind(gateway, fake, session := session or rpc.new_id())
        fake.calls.clear()
        fake.behave = behave
        request = {"Config": rpc.config}.get(method, lambda s: rpc.sql(s, "select 1"))(session)
        with Raw(gateway.clear_port) as raw:
            stream = raw.request(grpc_headers(method, **headers), rpc.envelope(request))
            return raw.answer(stream, seconds), list(fake.calls)
    return ask


def bind(gateway, fake, session):
    fake.behave = Stream.answer_config
    with rpc.Channel(gateway.way(clear=True)) as channel:
        channel.call("Config", rpc.config(session))


def part(stream):
    """Headers and one message."""
    stream.wait().send_headers()
    stream.send_message(pb.ExecutePlanResponse(session_id=stream.envelope()[1]))


def test_good_answer(ask):
    answer, calls = ask(lambda s: (part(s), s.send_trailers()))
    assert answer.status == 0 and answer.headers[":status"] == "200" and len(answer.data) > 5
    assert len(calls) == 1 and calls[0].headers["te"] == "trailers"


def test_token_stays_in_the_gateway(ask):
    _, calls = ask(lambda s: (part(s), s.send_trailers()))
    assert not [k for k in calls[0].headers if k in ("authorization", "authentication")]


def test_dies_in_mid_stream(ask):
    answer, calls = ask(lambda s: (part(s), time.sleep(0.2), s.peer.close()))
    assert answer.status == UNAVAILABLE and answer.ended and answer.reset is None
    assert len(calls) == 1


def test_dies_before_the_answer(ask):
    answer, calls = ask(lambda s: (s.wait(), s.peer.close()))
    assert answer.status == UNAVAILABLE and len(calls) == 1


def test_ends_without_trailers(ask):
    answer, _ = ask(lambda s: (s.wait().send_headers(), s.send_data(rpc.envelope(b""), end=True)))
    assert answer.status == UNKNOWN and answer.ended


def test_headers_only_and_no_status(ask):
    answer, _ = ask(lambda s: s.wait().send_headers(OK_HEADERS, end=True))
    assert answer.status == UNKNOWN and answer.ended


@pytest.mark.parametrize("http,status", [(503, UNAVAILABLE), (502, UNAVAILABLE), (429, UNAVAILABLE), (404, 12), (401, 16),
                                         (403, 7), (400, INTERNAL), (500, UNKNOWN)])
def test_html(ask, http, status):
    def behave(s):
        s.wait().send_headers([(":status", str(http)), ("content-type", "text/html")])
        s.send_data(b"<html>sorry</html>", end=True)
    answer, _ = ask(behave)
    assert answer.status == status and answer.headers[":status"] == "200" and b"html" not in answer.data


def test_html_with_status_200(ask):
    def behave(s):
        s.wait().send_headers([(":status", "200"), ("content-type", "text/html")])
        s.send_data(b"<html>hello</html>", end=True)
    answer, _ = ask(behave)
    assert answer.status == UNKNOWN and b"html" not in answer.data


@pytest.mark.parametrize("code,status", [(0, INTERNAL), (1, INTERNAL), (2, INTERNAL), (3, INTERNAL), (8, 1), (11, 8), (12, 7)])
def test_reset_before_the_answer(ask, code, status):
    answer, calls = ask(lambda s: s.wait().send_reset(code))
    assert answer.status == status and len(calls) == 1


@pytest.mark.parametrize("code", [2, 7, 8])
def test_reset_in_mid_stream(ask, code):
    answer, calls = ask(lambda s: (part(s), time.sleep(0.1), s.send_reset(code)))
    assert answer.status is not None and answer.status != 0 and answer.ended
    assert len(calls) == 1, "never sent again after an answer began"


def test_refused_stream_is_sent_again_once(ask):
    def behave(s):
        s.wait()
        if behave.refused:
            return part(s), s.send_trailers()
        behave.refused = True
        s.send_reset(7)
    behave.refused = False
    answer, calls = ask(behave)
    assert answer.status == 0 and len(calls) == 2 and calls[0].body == calls[1].body


def test_refused_stream_twice_is_the_end(ask):
    answer, calls = ask(lambda s: s.wait().send_reset(7))
    assert answer.status == UNAVAILABLE and len(calls) == 2


def test_goaway_below_this_stream(ask):
    """The driver says that it has not looked at it: it goes out again, on another connection."""
    def behave(s):
        s.wait()
        if not behave.peers:
            behave.peers.append(s.peer)
            s.peer.send_bytes(frame.GoAwayFrame(0, last_stream_id=max(0, s.number - 2)).serialize())
            return
        behave.peers.append(s.peer)
        part(s)
        s.send_trailers()
    behave.peers = []
    answer, calls = ask(behave)
    assert answer.status == 0 and len(calls) == 2 and behave.peers[0] is not behave.peers[1]


def test_goaway_above_this_stream(ask):
    """It finishes where it is."""
    def behave(s):
        s.wait().peer.send_bytes(frame.GoAwayFrame(0, last_stream_id=s.number).serialize())
        part(s)
        s.send_trailers()
    answer, calls = ask(behave)
    assert answer.status == 0 and len(calls) == 1


def test_silent_until_the_deadline(ask):
    start = time.monotonic()
    answer, calls = ask(lambda s: None, grpc_timeout="300m")
    took = time.monotonic() - start
    assert answer.status == DEADLINE_EXCEEDED and 0.3 <= took < 2
    net.wait_for(lambda: calls[0].reset == 8, 2, "the driver's stream is cancelled")


def test_deadline_goes_on_to_the_driver(ask):
    _, calls = ask(lambda s: (part(s), s.send_trailers()), grpc_timeout="90S")
    value = calls[0].headers["grpc-timeout"]
    assert value[-1] in "numSMH" and 80 <= int(value[:-1]) * {"n": 1e-9, "u": 1e-6, "m": 1e-3, "S": 1, "M": 60, "H": 3600}[value[-1]] <= 90


def test_trailers_only_error_passes_unchanged(ask):
    error = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "13"),
             ("grpc-message", "%e6%bc%a2 is wrong"), ("grpc-status-details-bin", "CA0SA2FiYw"), ("x-other", "kept")]
    answer, _ = ask(lambda s: s.wait().send_headers(error, end=True))
    assert list(answer.headers.items()) == error


def test_error_after_messages_passes_unchanged(ask):
    answer, _ = ask(lambda s: (part(s), s.send_trailers(13, "why", ("grpc-status-details-bin", "CA0SA3doeQ"), ("a-bin", "AAE="))))
    assert answer.trailers == {"grpc-status": "13", "grpc-message": "why", "grpc-status-details-bin": "CA0SA3doeQ", "a-bin": "AAE="}


TWICE = [("grpc-status", "13"), ("grpc-message", "first"), ("grpc-status", "0"), ("grpc-message", "second")]


@pytest.mark.parametrize("behave", [
    lambda s: (part(s), s.peer.do(lambda c: c.send_headers(s.number, TWICE, end_stream=True))),
    lambda s: s.wait().send_headers([(":status", "200"), ("content-type", "application/grpc"), *TWICE], end=True),
    lambda s: (s.wait().send_headers([(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "0"),
                                      ("grpc-message", "early")]), s.send_trailers(13, "first"))],
    ids=["trailers", "trailers only", "headers and trailers"])
def test_a_verdict_is_told_once(ask, behave):
    """The first of two, and at the end: what stands in the record is what every client reads."""
    answer, _ = ask(behave)
    assert [f for f in answer.fields if f[0].startswith("grpc-")] == [("grpc-status", "13"), ("grpc-message", "first")]


def test_trailers_of_60_kilobytes(ask):
    details = "QUJD" * 15000
    answer, _ = ask(lambda s: (part(s), s.send_trailers(13, "big", ("grpc-status-details-bin", details))))
    assert answer.status == INTERNAL and answer.trailers["grpc-status-details-bin"] == details


def test_trailers_beyond_the_limit(ask):
    answer, _ = ask(lambda s: (part(s), s.send_trailers(13, "big", ("grpc-status-details-bin", "QUJD" * 40000))))
    assert answer.status is not None and answer.ended or answer.reset is not None


def test_informational_headers_are_skipped(ask):
    def behave(s):
        s.wait()
        for _ in range(8):
            s.peer.send_bytes(frame_of_103(s))
        part(s)
        s.send_trailers()
    answer, _ = ask(behave)
    assert answer.status == 0


def frame_of_103(s):
    data = s.peer.conn.encoder.encode([(":status", "103"), ("link", "</x>")])
    made = frame.HeadersFrame(s.number, data)
    made.flags.add("END_HEADERS")
    return made.serialize()


def test_answer_before_the_request_ends(setup):
    """Upload of a client that is not done yet: the answer arrives, the stream is over."""
    gateway, fake = setup
    bind(gateway, fake, session := rpc.new_id())
    fake.behave = lambda s: (s.got.wait(5), s.send_headers([*OK_HEADERS, ("grpc-status", "8")], end=True))
    with Raw(gateway.clear_port) as raw:
        stream = raw.request(grpc_headers("AddArtifacts"), rpc.envelope(pb.AddArtifactsRequest(session_id=session)), end=False)
        answer = raw.answer(stream, 5)
    assert answer.status == 8 and answer.over


def test_client_cancels(setup):
    gateway, fake = setup
    bind(gateway, fake, session := rpc.new_id())
    fake.calls.clear()
    fake.behave = part
    with Raw(gateway.clear_port) as raw:
        stream = raw.request(grpc_headers("ExecutePlan"), rpc.envelope(rpc.sql(session, "select 1")))
        raw.pump(5, lambda: raw.answers[stream].data)
        raw.conn.reset_stream(stream, 8)
        raw.flush()
        net.wait_for(lambda: fake.calls and fake.calls[0].reset == 8, 2, "the driver's stream is cancelled")


def test_client_vanishes(setup):
    gateway, fake = setup
    bind(gateway, fake, session := rpc.new_id())
    fake.calls.clear()
    fake.behave = part
    raw = Raw(gateway.clear_port)
    stream = raw.request(grpc_headers("ExecutePlan"), rpc.envelope(rpc.sql(session, "select 1")))
    raw.pump(5, lambda: raw.answers[stream].data)
    raw.close()
    net.wait_for(lambda: fake.calls and fake.calls[0].reset is not None, 2, "the driver's stream is cancelled")


def test_messages_keep_their_shape(ask):
    """Cut at odd places, two in one frame: the bytes are the same."""
    whole = b"".join(rpc.envelope(bytes([n]) * size) for n, size in enumerate((0, 1, 5, 16_379, 16_384, 70_000, 3)))

    def behave(s):
        s.wait().send_headers()
        for at in range(0, len(whole), 7919):
            s.send_data(whole[at:at + 7919])
        s.send_trailers()
    answer, _ = ask(behave)
    assert answer.status == 0 and answer.data == whole


def test_message_of_100_megabytes(setup):
    gateway, fake = setup
    bind(gateway, fake, session := rpc.new_id())
    big = pb.ExecutePlanResponse(session_id=session, arrow_batch=pb.ExecutePlanResponse.ArrowBatch(data=bytes(100 << 20)))

    fake.behave = lambda s: s.wait().answer(big)
    with rpc.Channel(gateway.way(clear=True)) as channel:
        answers = list(channel.stream("ExecutePlan", rpc.sql(session, "select 1")))
    assert len(answers) == 1 and len(answers[0].arrow_batch.data) == 100 << 20


def test_unknown_method_of_the_service_passes(ask):
    answer, calls = ask(lambda s: (part(s), s.send_trailers()), method="SomethingNew")
    assert answer.status == 0 and calls[0].method == "SomethingNew"


def test_clone_is_bound_before_it_is_answered(setup):
    gateway, fake = setup
    bind(gateway, fake, session := rpc.new_id())
    clone = rpc.new_id()
    fake.behave = lambda s: s.wait().answer(pb.CloneSessionResponse(session_id=session, new_session_id=clone))
    with rpc.Channel(gateway.way(clear=True)) as channel:
        assert channel.call("CloneSession", pb.CloneSessionRequest(session_id=session)).new_session_id == clone
    assert gateway.sessions()[clone]["driver"] == gateway.sessions()[session]["driver"]


def test_release_removes_the_binding(setup):
    gateway, fake = setup
    bind(gateway, fake, session := rpc.new_id())
    assert session in gateway.sessions()
    fake.behave = lambda s: s.wait().answer(pb.ReleaseSessionResponse(session_id=session))
    with rpc.Channel(gateway.way(clear=True)) as channel:
        channel.call("ReleaseSession", pb.ReleaseSessionRequest(session_id=session))
    net.wait_for(lambda: session not in gateway.sessions(), 3, "binding removed")
