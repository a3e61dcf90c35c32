"""Clients that send nonsense: a clear status for each, no crash, and the next client is served."""

import gzip
import socket
import ssl
import struct

import pytest
from hpack import NeverIndexedHeaderTuple
from hyperframe import frame

from harness import net, rpc
from harness.fake import Stream
from harness.raw import PREFACE, Answer, Raw, grpc_headers
from harness.rpc import pb

INVALID_ARGUMENT, DEADLINE_EXCEEDED, PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, UNAUTHENTICATED = 3, 4, 7, 8, 12, 16


@pytest.fixture
def gateway(setup):
    """Whatever a test did, a good client is served after it, by the same worker."""
    gateway, fake = setup
    fake.behave = Stream.answer_config
    workers = gateway.pids("worker")
    yield gateway
    fake.behave = Stream.answer_config
    with rpc.Channel(gateway.way()) as channel:
        channel.call("Config", rpc.config(rpc.new_id()))
    assert gateway.pids("worker") == workers, gateway.tail()


def ask(gateway, body=None, method="Config", seconds=10, headers=None, **changes):
    body = rpc.envelope(rpc.config(rpc.new_id())) if body is None else body
    with Raw(gateway.clear_port) as raw:
        return raw.answer(raw.request(headers or grpc_headers(method, **changes), body), seconds)


def test_good(gateway):
    assert ask(gateway).status == 0


# ---- below HTTP/2 ----

@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"\0" * 100, b"PRI * HTTP/2.0\r\n\r\nXX"])
def test_not_http2(gateway, data):
    with gateway.connect_clear() as sock:
        sock.sendall(data)
        sock.settimeout(15)
        while sock.recv(65536):
            pass


def test_clear_text_to_the_tls_port(gateway):
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=15) as sock:
        sock.sendall(PREFACE)
        while True:
            try:
                if not sock.recv(65536):
                    break
            except ConnectionResetError:
                break


@pytest.mark.parametrize("alpn", [["http/1.1"], ["spdy/3"], []])
def test_wrong_alpn(gateway, alpn):
    context = ssl.create_default_context(cafile=gateway.authority.ca)
    if alpn:
        context.set_alpn_protocols(alpn)
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=15) as plain, \
                context.wrap_socket(plain, server_hostname="localhost") as sock:
            if not sock.recv(1):
                raise EOFError


def test_old_tls(gateway):
    context = ssl.create_default_context(cafile=gateway.authority.ca)
    context.set_alpn_protocols(["h2"])
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=15) as plain:
            context.wrap_socket(plain, server_hostname="localhost")


def test_hangs_up_in_the_handshake(gateway):
    for n in (0, 1, 5, 60):
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as sock:
            sock.sendall((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(60))[:n])


@pytest.mark.parametrize("bad", [
    b"\0\x40\x01\0\0\0\0\0\x01",            # DATA on a stream that is not open, larger than allowed
    b"\xff\xff\xff\x01\x04\0\0\0\x01",       # HEADERS of 16 MiB
    b"\0\0\x05\x04\0\0\0\0\0" + b"\0" * 5,     # SETTINGS of odd length
    b"\0\0\x04\x08\0\0\0\0\0" + b"\0" * 4,     # WINDOW_UPDATE of nothing
    b"\0\0\x04\x01\x04\0\0\0\x01\xff\xff\xff\xff",  # HPACK nonsense
    b"\0\0\x08\x06\0\0\0\0\x01" + b"\0" * 8,   # PING on a stream
])
def test_bad_frames(gateway, bad):
    with Raw(gateway.clear_port) as raw:
        raw.send(bad)
        raw.pump(10, lambda: raw.goaway is not None)
        assert raw.goaway is not None or raw.closed


def test_legal_headers_in_three_frames_byte_by_byte(gateway):
    body = rpc.envelope(rpc.config(rpc.new_id()))
    with Raw(gateway.clear_port) as raw:
        data = raw.hpack.encode(grpc_headers())
        a, b = len(data) // 3, 2 * len(data) // 3
        parts = [frame.HeadersFrame(1, data[:a]), frame.ContinuationFrame(1, data[a:b]), frame.ContinuationFrame(1, data[b:])]
        parts[2].flags.add("END_HEADERS")
        last = frame.DataFrame(1, body)
        last.flags.add("END_STREAM")
        # h2 must know of the stream to take its answer
        raw.conn.send_headers(1, grpc_headers(), end_stream=True)
        raw.conn.data_to_send()
        raw.answers[1] = Answer()
        for byte in b"".join(p.serialize() for p in (*parts, last)):
            raw.send(bytes([byte]))
        assert raw.answer(1).status == 0


# ---- headers ----

@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS", "HEAD"])
def test_other_http_methods(gateway, method):
    answer = ask(gateway, _method=method)
    assert answer.headers[":status"] == "405" and answer.over


@pytest.mark.parametrize("kind", ["text/html", "application/grpc-web", "application/grpcx", "", None, "application/json"])
def test_other_content_types(gateway, kind):
    assert ask(gateway, content_type=kind).headers[":status"] == "415"


@pytest.mark.parametrize("kind", ["application/grpc", "application/grpc+proto", "application/grpc;charset=x"])
def test_good_content_types(gateway, kind):
    assert ask(gateway, content_type=kind).status == 0


def test_te_is_not_demanded(gateway):
    assert ask(gateway, te=None).status == 0


@pytest.mark.parametrize("path", ["/other.Service/Method", "/grpc.health.v1.Health/Check",
                                  "/prefix/spark.connect.SparkConnectService/Config"])
def test_unknown_services(gateway, path):
    assert ask(gateway, _path=path).status == UNIMPLEMENTED


@pytest.mark.parametrize("path", ["/", "/spark.connect.SparkConnectService", "/spark.connect.SparkConnectService/", "/a/../b", "/a#b"])
def test_malformed_paths(gateway, path):
    assert ask(gateway, _path=path).status in (INVALID_ARGUMENT, UNIMPLEMENTED)


@pytest.mark.parametrize("value", ["123456789S", "", "5x", "5 S", "5", "S", "-5S", "5.5S"])
def test_bad_timeouts(gateway, value):
    assert ask(gateway, grpc_timeout=value).status == INVALID_ARGUMENT


@pytest.mark.parametrize("value", ["99999999H", "99999999n", "1M"])
def test_good_timeouts(gateway, value):
    assert ask(gateway, grpc_timeout=value).status == 0


def test_timeout_of_nothing(gateway):
    assert ask(gateway, grpc_timeout="0m").status == DEADLINE_EXCEEDED


@pytest.mark.parametrize("header", ["authorization", "content-type", "host", "grpc-timeout"])
def test_two_of_a_kind(gateway, header):
    extra = {"authorization": "Bearer token-bob", "content-type": "application/grpc", "host": "localhost", "grpc-timeout": "5S"}[header]
    answer = ask(gateway, headers=[*grpc_headers(host="localhost", grpc_timeout="5S"), (header, extra)])
    assert answer.status == INVALID_ARGUMENT or answer.reset is not None


def test_host_that_differs_from_authority(gateway):
    answer = ask(gateway, host="elsewhere.example.com")
    assert answer.status == INVALID_ARGUMENT or answer.reset is not None


@pytest.mark.parametrize("value", ["a\rb", "a\nb", "a\0b", " a", "a\x7f"])
def test_bad_header_values_do_not_reach_the_driver(setup, gateway, value):
    _, fake = setup
    fake.calls.clear()
    ask(gateway, x_trace=value)
    for call in fake.calls:
        assert not set("\r\n\0") & set(call.headers.get("x-trace", ""))


def test_what_came_never_indexed_goes_on_so(setup, gateway):
    """RFC 7541, 6.2.3: no compression table between here and the driver keeps what the client calls a secret."""
    _, fake = setup
    fake.calls.clear()
    assert ask(gateway, headers=[*grpc_headers(), NeverIndexedHeaderTuple("x-secret", "s"), ("x-open", "o")]).status == 0
    assert fake.calls[0].headers["x-secret"] == "s" and fake.calls[0].headers["x-open"] == "o"
    assert "x-secret" in fake.calls[0].never_indexed and "x-open" not in fake.calls[0].never_indexed


@pytest.mark.parametrize("size", [20_000, 64_000])
def test_headers_too_large(gateway, size):
    answer = ask(gateway, x_big="a" * size)
    assert answer.status == RESOURCE_EXHAUSTED or answer.headers.get(":status") == "431" or answer.goaway is not None \
        or answer.reset is not None


def test_too_many_headers(gateway):
    answer = ask(gateway, headers=[*grpc_headers(), *((f"x-{n}", "1") for n in range(200))])
    assert answer.status == RESOURCE_EXHAUSTED or answer.headers.get(":status") == "431" or answer.reset is not None


# ---- tokens ----

@pytest.mark.parametrize("value", ["", "Bearer", "Bearer wrong", "Basic dXNlcg==", "Bearer token-alice x", "Bearer token-alic",
                                   "Bearer token-alicee", None])
def test_bad_tokens(gateway, value):
    answer = ask(gateway, authorization=value)
    assert answer.status == UNAUTHENTICATED and "token-alic" not in answer.message


def test_token_under_the_jvm_clients_name(gateway):
    assert ask(gateway, authorization=None, authentication="Bearer token-alice").status == 0


# ---- envelopes ----

ID = rpc.new_id()
TWO_IDS = rpc.config(ID).SerializeToString() + pb.ConfigRequest(session_id=rpc.new_id()).SerializeToString()
TWO_USERS = rpc.config(ID).SerializeToString() + pb.ConfigRequest(user_context=pb.UserContext(user_id="root")).SerializeToString()
DEEP = b"\x0a$" + ID.encode() + b"\x1b" * 5000  # groups within groups


@pytest.mark.parametrize("body", [
    b"", b"\0", b"\0\0\0\0", struct.pack(">BI", 0, 1 << 31), struct.pack(">BI", 0, 0xffffffff), struct.pack(">BI", 7, 10) + bytes(10),
    rpc.envelope(b""), rpc.envelope(b"\xff" * 50), rpc.envelope(b"\x0a\xff\xff\xff\xff\x0f"),
    rpc.envelope(pb.ConfigRequest()), rpc.envelope(rpc.config("not-a-uuid")), rpc.envelope(rpc.config(ID[:-1])),
    rpc.envelope(TWO_IDS), rpc.envelope(TWO_USERS), rpc.envelope(DEEP),
    rpc.envelope(rpc.config(ID))[:-3],
    rpc.envelope(rpc.config(ID)) + rpc.envelope(rpc.config(rpc.new_id())),
], ids=range(17))
def test_bad_envelopes(gateway, body):
    answer = ask(gateway, body)
    assert answer.status in (INVALID_ARGUMENT, RESOURCE_EXHAUSTED, 13, UNIMPLEMENTED) and answer.over, answer


def test_session_id_behind_64_kilobytes(gateway):
    late = pb.ConfigRequest(client_type="x" * 70_000).SerializeToString() + rpc.config(ID).SerializeToString()
    assert ask(gateway, rpc.envelope(late)).status == INVALID_ARGUMENT


def test_second_session_id_behind_a_long_plan(setup, gateway):
    """Protobuf lets the last one win: the driver must never see the message complete."""
    _, fake = setup
    fake.calls.clear()
    fake.behave = Stream.wait
    message = rpc.sql(ID, "select '" + "x" * 300_000 + "'").SerializeToString()
    answer = ask(gateway, rpc.envelope(message + pb.ExecutePlanRequest(session_id=rpc.new_id()).SerializeToString()), "ExecutePlan")
    assert answer.status == INVALID_ARGUMENT
    for call in fake.calls:
        net.wait_for(lambda: call.ended.is_set(), 5, "stream to the driver reset")
        assert call.messages() == [] and call.reset is not None


def test_second_message_of_an_upload_with_another_session(setup, gateway):
    _, fake = setup
    fake.behave = lambda s: s.ended.wait(10)
    fake.calls.clear()
    body = b"".join(rpc.envelope(pb.AddArtifactsRequest(session_id=s)) for s in (ID, rpc.new_id()))
    answer = ask(gateway, body, "AddArtifacts")
    assert answer.status == INVALID_ARGUMENT
    assert all(len(call.messages()) <= 1 for call in fake.calls)


def test_user_of_the_message_is_replaced(setup, gateway):
    _, fake = setup
    fake.calls.clear()
    assert ask(gateway, rpc.envelope(rpc.config(rpc.new_id(), user="root"))).status == 0
    assert fake.calls[-1].envelope()[0] == "alice"


def test_compressed_message(gateway):
    squeezed = gzip.compress(rpc.config(ID).SerializeToString())
    body = struct.pack(">BI", 1, len(squeezed)) + squeezed
    assert ask(gateway, body, grpc_encoding="gzip").status == UNIMPLEMENTED


# ---- who may what ----

@pytest.mark.parametrize("changes,status", [
    ({"x_doordash_team": "nobody"}, INVALID_ARGUMENT),
    ({"x_doordash_env": "moon"}, None),
    ({"x_doordash_team": "ops"}, PERMISSION_DENIED),
    ({"authorization": "Bearer token-carol"}, PERMISSION_DENIED),
    ({"authorization": "Bearer token-dave"}, PERMISSION_DENIED),
    ({"x_doordash_team": None}, 0),
    ({"x_doordash_team": None, "x_doordash_env": None}, 0),
])
def test_teams(gateway, changes, status):
    answer = ask(gateway, **changes)
    assert answer.status == status if status is not None else answer.status in (INVALID_ARGUMENT, PERMISSION_DENIED), answer


@pytest.mark.parametrize("method,request_type,status,text", [
    ("ReattachExecute", pb.ReattachExecuteRequest, 13, "[INVALID_HANDLE.SESSION_NOT_FOUND]"),
    ("ReleaseExecute", pb.ReleaseExecuteRequest, 13, "[INVALID_HANDLE.SESSION_NOT_FOUND]"),
    ("CloneSession", pb.CloneSessionRequest, 13, "[INVALID_HANDLE.SESSION_NOT_FOUND]"),
    ("GetStatus", pb.ConfigRequest, 13, "[INVALID_HANDLE.SESSION_NOT_FOUND]"),
    ("ReleaseSession", pb.ReleaseSessionRequest, 0, ""),
    ("FetchErrorDetails", pb.FetchErrorDetailsRequest, 0, ""),
])
def test_methods_that_make_no_session(setup, gateway, method, request_type, status, text):
    _, fake = setup
    fake.calls.clear()
    session = rpc.new_id()
    answer = ask(gateway, rpc.envelope(request_type(session_id=session)), method)
    assert answer.status == status and answer.message.startswith(text) and not fake.calls
    assert session not in gateway.sessions()


# ---- floods ----

def closed_by(gateway, frames, total, batch=100):
    """How many frames went out until the gateway had enough; None: it never had."""
    with Raw(gateway.clear_port, deaf=True) as raw:
        for sent in range(0, total, batch):
            raw.send(b"".join(frames(raw, sent + n) for n in range(batch)))
            raw.pump(0.001)
            if raw.closed or raw.goaway is not None:
                return sent + batch
    return None


def reset(raw, n):
    stream = 2 * n + 1
    return raw.headers_frame(stream, grpc_headers()).serialize() + frame.RstStreamFrame(stream, 8).serialize()


@pytest.mark.parametrize("name,frames,limit", [
    ("rapid reset", reset, 2000),
    ("empty continuation", lambda raw, n: frame.HeadersFrame(1, b"").serialize() if n == 0 else frame.ContinuationFrame(1, b"").serialize(), 1000),
    ("settings", lambda raw, n: frame.SettingsFrame(0, settings={4: 65535}).serialize(), 20_000),
    ("ping", lambda raw, n: frame.PingFrame(0, b"12345678").serialize(), 20_000),
    ("priority", lambda raw, n: frame.PriorityFrame(1, depends_on=0, stream_weight=1).serialize(), 50_000),
])
def test_floods_are_cut_off(gateway, name, frames, limit):
    assert closed_by(gateway, frames, limit) is not None, name


def test_window_overflow_on_many_streams(gateway):
    """Streams that are broken by the client on purpose, so that the gateway resets them."""
    def broken(raw, n):
        stream = 2 * n + 1
        return raw.headers_frame(stream, grpc_headers()).serialize() + frame.WindowUpdateFrame(stream, 2**31 - 1).serialize()
    assert closed_by(gateway, broken, 2000, batch=10) is not None


def test_header_bomb_stays_small(gateway):
    """16,000 references to one entry of 3,000 bytes."""
    from harness import procs
    with Raw(gateway.clear_port, deaf=True) as raw:
        before = procs.pss(gateway.pids("worker"))
        raw.hpack.encode([("a", "b" * 3000)])
        data = raw.hpack.encode([(":method", "POST"), ("a", "b" * 3000)]) + b"\xbe" * 16_000
        made = frame.HeadersFrame(1, data[:16_384])
        for flag in ("END_HEADERS", "END_STREAM"):
            made.flags.add(flag)
        raw.frames(made)
        raw.pump(3, lambda: raw.goaway is not None or raw.closed)
        assert procs.pss(gateway.pids("worker")) - before < 8 << 20
