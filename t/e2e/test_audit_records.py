"""What the audit file says of RPCs: each kind of end gives one record, with the right facts."""

import hashlib
import os
import re
import signal
import time

import grpc
import pytest
import zstandard
from h2.exceptions import ProtocolError

from harness import net, rpc
from harness.fake import OK_HEADERS
from harness.metrics import scrape
from harness.raw import Raw, grpc_headers
from harness.rpc import pb
from test_audit import audit, files, records

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def gateway(make_gateway, fake):
    return make_gateway([fake], workers=1, headers={"team": ["x-doordash-team"], "env": ["x-doordash-env"],
                                                    "run_id": ["x-run", "x-metaflow-run-id"]})


def of_rpcs(gateway):
    return [r for r in records(gateway) if r["kind"] == "rpc"]


def wait_for(gateway, count):
    """Exactly so many records of RPCs."""
    net.wait_for(lambda: len(of_rpcs(gateway)) >= count, 10, lambda: f"recorded: {of_rpcs(gateway)}")
    time.sleep(0.3)
    found = of_rpcs(gateway)
    assert len(found) == count, found
    return found


def ask(gateway, message, method="ExecutePlan", **headers):
    with Raw(gateway.clear_port) as raw:
        stream = raw.request(grpc_headers(method, **headers), rpc.envelope(message))
        return raw.answer(stream)


def answer(s):
    s.wait()
    session = pb.ExecutePlanRequest.FromString(s.messages()[0]).session_id
    s.answer(pb.ExecutePlanResponse(session_id=session), pb.ExecutePlanResponse(session_id=session))


def test_good_one(gateway, fake):
    fake.behave = answer
    session, request = rpc.new_id(), None
    request = rpc.sql(session, "select 1")
    request.operation_id = rpc.new_id()
    done = ask(gateway, request, **{"traceparent": TRACE, "tracestate": "a=b", "x-metaflow-run-id": "second", "x-run": "run-7"})
    assert done.status == 0
    record, = wait_for(gateway, 1)
    wanted = {"user": "alice", "provider": "tests", "team": "eng", "env": "prod", "cluster": "eng-prod", "driver": fake.address,
              "session": session, "operation": request.operation_id, "method": "ExecutePlan", "run_id": "run-7",
              "status": "OK", "code": 0, "messages_in": 1, "messages_out": 2, "bytes_out": len(done.data),
              "bytes_in": len(rpc.envelope(request)), "client": 1, "rpc": 1,
              "trace": TRACE.split("-")[1], "parent": TRACE.split("-")[2], "sampled": True}
    assert {key: record.get(key) for key in wanted} == wanted
    assert record["plan"] == {"kind": "relation", "sql": "select 1", "sql_length": 8,
                              "sql_sha256": hashlib.sha256(b"select 1").hexdigest()}
    assert record["peer"].startswith("127.0.0.1:") and not {"refused", "words", "unfinished"} & set(record)
    assert 0 < record["ms"]["first"] <= record["ms"]["total"] and record["begun"] <= record["time"]
    sent = fake.calls[-1].headers
    assert sent["traceparent"] == f"00-{record['trace']}-{record['span']}-01" and sent["tracestate"] == "a=b"


@pytest.mark.parametrize("bad", [None, "00-xyz", TRACE.replace("4b", "4B"), TRACE.replace("00f067aa0ba902b7", "0" * 16)])
def test_a_trace_begins(gateway, fake, bad):
    fake.behave = answer
    ask(gateway, rpc.sql(rpc.new_id(), "x"), **{**({"traceparent": bad} if bad else {}), "tracestate": "a=b"})
    record, = wait_for(gateway, 1)
    sent = fake.calls[-1].headers
    assert sent["traceparent"].split("-")[1:3] == [record["trace"], record["span"]] and "tracestate" not in sent
    assert len(record["trace"]) == 32 and "parent" not in record and "sampled" not in record


def command(text, old=False):
    plan = pb.Plan()
    if old:
        plan.command.sql_command.sql = text
    else:
        plan.command.sql_command.input.sql.query = text
    return plan


def compressed(text):
    plan = pb.Plan()
    plan.compressed_operation.data = zstandard.ZstdCompressor().compress(command(text).command.SerializeToString())
    plan.compressed_operation.op_type = 2
    plan.compressed_operation.compression_codec = 1
    return plan


@pytest.mark.parametrize("make,more", [(lambda t: command(t, old=True), {}), (command, {}), (compressed, {"compressed": True})])
@pytest.mark.parametrize("size", [10, 30_000, 3_000_000])
def test_sql(gateway, fake, make, more, size):
    fake.behave = answer
    text = f"select '{os.urandom(size // 2).hex()}'"
    request = rpc.sql(rpc.new_id(), "")
    request.plan.CopyFrom(make(text))
    request.operation_id = rpc.new_id()
    assert ask(gateway, request).status == 0
    assert fake.calls[-1].messages()[0].endswith(request.operation_id.encode())
    record, = wait_for(gateway, 1)
    assert record["plan"] == {"kind": "command", "command": "sql_command", "sql": text[:2048], "sql_length": len(text),
                              "sql_sha256": hashlib.sha256(text.encode()).hexdigest(), **more}
    assert record["operation"] == request.operation_id


@pytest.mark.parametrize("how", ["hash", "none"])
def test_sql_by_configuration(make_gateway, fake, how):
    gateway = make_gateway([fake], workers=1, audit={"sql": how})
    fake.behave = answer
    ask(gateway, rpc.sql(rpc.new_id(), "select 1"))
    record, = wait_for(gateway, 1)
    hashed = {"sql_length": 8, "sql_sha256": hashlib.sha256(b"select 1").hexdigest()} if how == "hash" else {}
    assert record["plan"] == {"kind": "relation", **hashed}


def test_words_are_blacked_out(make_gateway, fake):
    gateway = make_gateway([fake], workers=1, audit={"redact": ["pass[a-z]*"]})
    fake.behave = answer
    ask(gateway, rpc.sql(rpc.new_id(), "select 'password'"))
    assert wait_for(gateway, 1)[0]["plan"]["sql"] == "select '[redacted]'"


def fails(s):
    s.wait().send_headers()
    s.send_message(pb.ExecutePlanResponse(session_id=s.envelope()[1]))
    s.send_trailers(13, "no such table")


ENDS = {
    "driver's error": (fails, {}, "INTERNAL", {}),
    "driver's reset": (lambda s: s.wait().send_reset(2), {}, "INTERNAL", {"refused": True}),
    "driver's death": (lambda s: (s.wait().send_headers(), time.sleep(0.1), s.peer.close()), {}, "UNAVAILABLE", {"refused": True}),
    "no trailers": (lambda s: s.wait().send_headers(OK_HEADERS, end=True), {}, "UNKNOWN", {"refused": True}),
    "deadline": (lambda s: None, {"grpc-timeout": "300m"}, "DEADLINE_EXCEEDED", {"refused": True, "words": "grpc-timeout passed"}),
    "no token": (answer, {"token": None}, "UNAUTHENTICATED", {"refused": True}),
    "not allowed": (answer, {"x-doordash-team": "ops"}, "PERMISSION_DENIED", {"refused": True}),
    "unknown service": (answer, {":path": "/a.B/c"}, "UNIMPLEMENTED", {"refused": True}),
    "HTTP": (answer, {"content-type": "text/html"}, "UNKNOWN", {"refused": True, "words": "HTTP 415"}),
    "GET": (answer, {":method": "GET"}, "UNKNOWN", {"refused": True, "words": "HTTP 405"}),
    "session unknown": (answer, {":path": rpc.SERVICE + "ReattachExecute"}, "INTERNAL", {"refused": True}),
    "method unknown": (answer, {":path": rpc.SERVICE + "Later"}, "INTERNAL", {"refused": True, "method": "Later"}),
}


@pytest.mark.parametrize("end", ENDS)
def test_ends(gateway, fake, end):
    behave, headers, status, more = ENDS[end]
    fake.behave = behave
    ask(gateway, rpc.sql(rpc.new_id(), "select 1"), **headers)
    record, = wait_for(gateway, 1)
    assert record["status"] == status and {key: record.get(key) for key in more} == more
    assert ("refused" in record) == ("refused" in more) == ("words" in record)
    assert record["ms"]["total"] > 0


def test_client_goes(gateway, fake):
    """Cancelled before an answer, in the middle of one, and by the loss of the connection."""
    fake.behave = lambda s: (s.wait().send_headers(), s.send_message(b"x"))
    with Raw(gateway.clear_port) as raw:
        for _ in range(2):
            stream = raw.request(grpc_headers("ExecutePlan"), rpc.envelope(rpc.sql(rpc.new_id(), "select 1")))
            raw.pump(5, lambda: raw.answers[stream].data)
            raw.conn.reset_stream(stream, 8)
            raw.flush()
        raw.request(grpc_headers("ExecutePlan"), rpc.envelope(rpc.sql(rpc.new_id(), "select 1"))[:7], end=False)
        raw.pump(0.2)
    found = wait_for(gateway, 3)
    assert [(r["status"], r.get("refused")) for r in found] == [("CANCELLED", None)] * 3
    assert found[0]["plan"]["sql"] == "select 1" and found[0]["messages_out"] == 1


def test_answer_that_the_client_does_not_take(gateway, fake):
    """The driver said OK, but the client has gone before it heard of it."""
    fake.behave = lambda s: s.answer(bytes(100_000))
    with Raw(gateway.clear_port) as raw:
        raw.conn.update_settings({4: 0})
        raw.flush()
        raw.pump(0.2)
        raw.request(grpc_headers("ExecutePlan"), rpc.envelope(rpc.sql(rpc.new_id(), "select 1")))
        raw.pump(0.5)
    record, = wait_for(gateway, 1)
    assert record["status"] == "CANCELLED"


def test_worker_is_killed(gateway, fake):
    fake.behave = lambda s: (s.wait().send_headers(), s.send_message(b"x"))
    session = rpc.new_id()
    with Raw(gateway.clear_port) as raw:
        stream = raw.request(grpc_headers("ExecutePlan"), rpc.envelope(rpc.sql(session, "select 1")))
        raw.pump(5, lambda: raw.answers[stream].data)
        os.kill(gateway.pids("worker")[0], signal.SIGKILL)
        raw.pump(5, lambda: raw.closed)
    record, = wait_for(gateway, 1)
    assert record["unfinished"] and record["session"] == session and record["user"] == "alice"
    assert (record["team"], record["env"], record["cluster"], record["driver"]) == ("eng", "prod", "eng-prod", fake.address)
    net.wait_for(lambda: gateway.ask("status")["ready"], 10, lambda: "ready again")
    page = scrape(gateway)
    assert page.sum("spark_connect_requests_total", team="eng", env="prod", status="UNAVAILABLE") == 1
    assert page.sum("spark_connect_requests_total") == page.sum("spark_connect_errors_total") == 1
    assert page.sum("spark_connect_errors_total", team="eng", env="prod", error_type="worker_died") == 1


def test_a_worker_with_many_rpcs_is_killed(gateway, fake):
    """More than it has slots for at first."""
    fake.behave = lambda s: None
    raws = [Raw(gateway.clear_port) for _ in range(6)]
    sessions = [rpc.new_id() for _ in raws]
    for raw, session in zip(raws, sessions):
        for _ in range(250):
            raw.request(grpc_headers("ExecutePlan"), rpc.envelope(rpc.sql(session, "select 1")))
        raw.flush()
    net.wait_for(lambda: gateway.ask("status")["counters"]["rpcs_open"] == 1500, 60, lambda: f"{gateway.ask('status')['counters']}")
    net.wait_for(lambda: len(fake.calls) >= 1500, 60, lambda: f"{len(fake.calls)}")
    os.kill(gateway.pids("worker")[0], signal.SIGKILL)
    found = wait_for(gateway, 1500)
    assert all(record["unfinished"] and record["team"] == "eng" for record in found)
    net.wait_for(lambda: scrape(gateway).sum("spark_connect_errors_total", team="eng", env="prod", error_type="worker_died") == 1500, 10,
                 lambda: scrape(gateway).text)
    for raw in raws:
        raw.close()


def test_drained(make_gateway, fake):
    gateway = make_gateway([fake], workers=1, drain_timeout="1s")
    fake.behave = lambda s: (s.wait().send_headers(), s.send_message(b""))
    with rpc.Channel(gateway.way(clear=True)) as channel:
        stream = channel.stream("ExecutePlan", rpc.sql(rpc.new_id(), "select 1"))
        next(stream)
        gateway.stop()
        with pytest.raises(grpc.RpcError) as error:
            list(stream)
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    record, = of_rpcs(gateway)
    assert record["status"] == "UNAVAILABLE" and record["words"] == "this gateway process ends"


def test_books_balance(gateway, fake):
    """As many records as RPCs were begun; each of all kinds once."""
    def behave(s):
        s.wait()
        number = int(s.headers.get("x-number", "0"))
        [answer, fails, lambda s: s.send_reset(8), lambda s: None][number % 4](s)
    fake.behave = behave
    with Raw(gateway.clear_port) as raw:
        streams = []
        for number in range(60):
            streams.append(raw.request(grpc_headers("ExecutePlan", **{"x-number": str(number), **(
                {"grpc-timeout": "200m"} if number % 4 == 3 else {"token": "bad"} if number % 5 == 4 else {})}),
                rpc.envelope(rpc.sql(rpc.new_id(), f"select {number}"))))
        ends = [raw.answer(stream).status for stream in streams]
    found = wait_for(gateway, 60)
    assert sorted(r["code"] for r in found) == sorted(ends)
    assert sorted(r["rpc"] for r in found) == list(range(1, 61))
    assert gateway.ask("status")["counters"]["rpcs_total"] == 60


HOSTILE = ["a\nb\r\n{\"seq\":1}", "\x1b[31m\x1b]0;title\x07", "\u202eevil", "\"\\\\\"", "\x7f\x80\x9b31m", "\u2028\u2029", "\u00e9\U0001f600" * 4000,
           b"\xff\xfe\x00", b"\xc0\xaf", b"\xed\xa0\x80"]


def test_hostile_texts(make_gateway, fake):
    """In each text that a client may choose: lines stay lines of JSON, the chain whole, and no terminal obeys what it is shown."""
    gateway = make_gateway([fake], workers=1, auth={"required": False})
    fake.behave = lambda s: s.wait().answer()
    for text in HOSTILE:
        raw = text if isinstance(text, bytes) else text.encode()
        for message in (hostile(raw, raw), hostile(b"alice", raw)):
            for changes in ({}, {"x_metaflow_run_id": raw.decode("latin-1")[:8000]}, {"_path": "/x.Y/" + raw.decode("latin-1")[:8000]}):
                with Raw(gateway.clear_port) as peer:
                    try:
                        peer.answer(peer.request(grpc_headers("ExecutePlan", authorization=None, **changes), rpc.envelope(message)))
                    except ProtocolError:
                        pass  # it was closed for such a header
    net.wait_for(lambda: len(of_rpcs(gateway)) >= 30, 10, "recorded")
    gateway.ctl("driver", "drain", "\u202e\x1b[1m", check=False)
    shown = audit(gateway, "tail", "-n", "1000").stdout + gateway.ctl("sessions").stdout + gateway.log.read_text()
    assert not re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]", shown)
    lines = [line for path in files(gateway) for line in path.read_bytes().split(b"\n")]
    assert not any(re.search(b"[\x00-\x1f]", line) for line in lines)
    assert "evil" in shown and len({r["plan"].get("sql") for r in of_rpcs(gateway) if "plan" in r}) > 5
    audit(gateway, "verify")


def hostile(user, text):
    """An ExecutePlanRequest with this in every text, which need not be UTF-8."""
    def field(number, data):
        size, out = len(data), b""
        while size > 127:
            out, size = out + bytes([size & 127 | 128]), size >> 7
        return bytes([number << 3 | 2]) + out + bytes([size]) + data
    return field(1, rpc.new_id().encode()) + field(2, field(1, user[:250]) + field(2, user[:250])) \
        + field(3, field(1, field(10, field(1, text)))) + field(4, text) + field(5, text) + field(6, text)
