"""Spans at a collector: a small HTTP server plays it, and says what it was sent."""

import http.server
import json
import secrets
import threading
import time

import pytest

from harness import net, rpc
from harness.load import Load
from harness.metrics import scrape
from test_audit import records

TRACE = "0af7651916cd43dd8448eb211c80319c"
RECORD = {"time": "2026-03-14T09:26:53.500Z", "begun": "2026-03-14T09:26:53.250Z", "gateway": "gate-a", "kind": "rpc", "user": "alice",
          "team": "eng", "session": "7e57ab1e-0000-4000-8000-000000000000", "method": "ExecutePlan", "trace": TRACE,
          "span": "b7ad6b7169203331", "status": "OK", "code": 0, "bytes_out": 5000000000, "ms": {"total": 250.5}}


class Collector:
    def __init__(self):
        self.requests, self.status, self.port, self.server = [], 200, net.free_port(), None

    def start(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.requests.append((outer.status, self.path, self.headers["content-type"], json.loads(body)))
                self.send_response(outer.status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def batches(self):
        """Lists of spans that were answered with 200."""
        return [body["resourceSpans"][0]["scopeSpans"][0]["spans"] for status, *_, body in self.requests if status == 200]

    def spans(self):
        return [span for batch in self.batches() for span in batch]


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.stop()


@pytest.fixture
def make_traced(make_gateway, fake, collector):
    def make(drivers=None, **tracing):
        gateway = make_gateway(drivers or [fake], workers=1, tracing={"endpoint": f"http://127.0.0.1:{collector.port}", **tracing})
        net.wait_for((gateway.folder / "state/audit/audit.log").exists, 10, gateway.tail)
        net.wait_for(lambda: tracing_of(gateway), 10, gateway.tail)
        return gateway
    return make


def tracing_of(gateway):
    return (gateway.ask("status") or {}).get("tracing")


def write(gateway, *records):
    """Lines as the keeper writes them; it goes on behind them."""
    lines = [json.dumps({"seq": 10**6 + i, **record, "chain": "0" * 32}, separators=(",", ":")) for i, record in enumerate(records)]
    with open(gateway.folder / "state/audit/audit.log", "a") as file:
        file.write("\n".join(lines) + "\n")


def attributes(thing):
    return {a["key"]: next(iter(a["value"].values())) for a in thing["attributes"]}


def test_a_span_is_what_the_record_says(make_traced, collector):
    collector.start()
    gateway = make_traced()
    write(gateway, RECORD, {**RECORD, "parent": "00f067aa0ba902b7", "sampled": True, "code": 14, "span": "b7ad6b7169203332"},
          {**RECORD, "parent": "00f067aa0ba902b7", "span": "b7ad6b7169203333"}, {"kind": "gateway", "time": RECORD["time"]})
    net.wait_for(lambda: len(collector.spans()) >= 2, 20, gateway.tail)
    _, path, kind, body = collector.requests[0]
    assert (path, kind, len(collector.spans())) == ("/v1/traces", "application/json", 2)  # one was not sampled, one is no RPC
    assert attributes(body["resourceSpans"][0]["resource"]) | {"service.version": ""} == \
        {"service.name": "sparkgw", "service.version": "", "service.instance.id": "gate-a"}
    good, bad = collector.spans()
    assert attributes(good) == {
        "rpc.system": "grpc", "rpc.service": "spark.connect.SparkConnectService", "rpc.method": "ExecutePlan",
        "rpc.grpc.status_code": "0", "enduser.id": "alice", "spark.session": RECORD["session"], "sparkgw.team": "eng",
        "sparkgw.bytes_out": "5000000000"}
    assert {name: good[name] for name in good if name != "attributes"} == {
        "traceId": TRACE, "spanId": RECORD["span"], "kind": 2, "name": "spark.connect.SparkConnectService/ExecutePlan",
        "startTimeUnixNano": "1773480413250000000", "endTimeUnixNano": "1773480413500500000"}
    assert (bad["parentSpanId"], bad["status"]) == ("00f067aa0ba902b7", {"code": 2})
    assert tracing_of(gateway) == {"exported": 2, "dropped": 0, "queued": 0, "failures": 0, "error": None}
    assert "spans: 2 sent, 0 wait, 0 dropped" in gateway.ctl("status").stdout


def test_a_record_becomes_one_span(make_traced, collector):
    """By its number, which both controllers of a reload know."""
    collector.start()
    gateway = make_traced()
    write(gateway, {**RECORD, "seq": 10**6})
    write(gateway, {**RECORD, "seq": 10**6, "span": "b7ad6b7169203332"}, {**RECORD, "seq": 10**6 + 1, "span": "b7ad6b7169203333"})
    net.wait_for(lambda: len(collector.spans()) >= 2, 20, gateway.tail)
    assert [span["spanId"] for span in collector.spans()] == [RECORD["span"], "b7ad6b7169203333"]


def test_a_collector_that_is_away_gets_what_fits(make_traced, collector):
    gateway = make_traced()
    write(gateway, *[{**RECORD, "span": f"{i:016x}"} for i in range(1, 10001)])
    net.wait_for(lambda: tracing_of(gateway)["dropped"] > 0 and tracing_of(gateway)["failures"] > 0, 30, gateway.tail)
    collector.start()
    net.wait_for(lambda: tracing_of(gateway)["queued"] == 0, 40, lambda: f"{tracing_of(gateway)}")
    sent, dropped = len(collector.spans()), tracing_of(gateway)["dropped"]
    assert sent + dropped == 10000 and sent >= 8192 and max(map(len, collector.batches())) == 512
    assert len({span["spanId"] for span in collector.spans()}) == sent
    assert gateway.log.read_text().count("spans cannot be sent") == gateway.log.read_text().count("spans are sent again") == 1


def test_sample(make_traced, collector):
    collector.start()
    gateway = make_traced(sample=25)
    write(gateway, *[{**RECORD, "trace": f"{i:016x}{i * 0x9e3779b97f4a7c15 % 2**64:016x}"} for i in range(1, 401)])
    net.wait_for(lambda: tracing_of(gateway)["exported"] > 0, 20, gateway.tail)
    assert 60 < len(collector.spans()) < 140


def test_refused_batches_are_dropped_and_counted(make_traced, collector):
    collector.start().status = 400
    gateway = make_traced()
    write(gateway, RECORD)
    net.wait_for(lambda: tracing_of(gateway)["dropped"] == 1, 20, gateway.tail)
    assert tracing_of(gateway)["error"] == "the answer is HTTP 400"


# ---- reload and stop ----

def recorded(gateway):
    """Span ids of all RPCs in the audit file."""
    text = (gateway.folder / "state/audit/audit.log").read_text()
    return [row["span"] for row in map(json.loads, text.rpartition("\n")[0].splitlines()) if row["kind"] == "rpc"]


def call(gateway, count):
    sessions = [rpc.new_id() for _ in range(count)]
    with rpc.Channel(gateway.way()) as channel:
        for session in sessions:
            channel.call("Config", rpc.config(session))
    return sessions


def test_reloads_lose_no_span_and_send_none_twice(make_traced, collector):
    collector.start()
    gateway = make_traced()
    with Load(gateway.way(), call(gateway, 4), threads=2, pause=0.01) as load:
        for _ in range(3):
            before = len(recorded(gateway))
            gateway.reload()
            net.wait_for(lambda: len(recorded(gateway)) > before + 100, 30, gateway.tail)
    assert not load.failures
    net.wait_for(lambda: len(recorded(gateway)) == load.done + 4, 20, lambda: f"{len(recorded(gateway))} of {load.done + 4}")
    net.wait_for(lambda: len(collector.spans()) >= load.done + 4, 20, lambda: f"{len(collector.spans())} of {load.done + 4}")
    assert sorted(span["spanId"] for span in collector.spans()) == sorted(recorded(gateway))
    page = scrape(gateway)
    assert page.sum("spark_gateway_spans_sent_total") == load.done + 4 and page.sum("spark_gateway_spans_dropped_total") == 0


@pytest.mark.parametrize("way", ["stop", "reload"])
def test_who_leaves_sends_what_waits(make_traced, collector, way):
    collector.start()
    gateway = make_traced()
    call(gateway, 20)
    net.wait_for(lambda: len(recorded(gateway)) == 20, 10, gateway.tail)
    assert collector.spans() == [], "they are gathered for five seconds"
    getattr(gateway, way)()
    net.wait_for(lambda: len(collector.spans()) == 20, 3, lambda: f"{len(collector.spans())}")


def test_what_nobody_takes_in_time_is_counted(make_traced, collector):
    """A collector that is away keeps the leaving process two seconds, no longer."""
    gateway = make_traced()
    call(gateway, 20)
    net.wait_for(lambda: len(recorded(gateway)) == 20, 10, gateway.tail)
    old = gateway.pids("controller")[0]
    gateway.reload()
    begin = time.monotonic()
    net.wait_for(lambda: old not in gateway.pids("controller"), 10, gateway.tail)
    assert time.monotonic() - begin < 5
    net.wait_for(lambda: scrape(gateway).sum("spark_gateway_spans_dropped_total") == 20, 10, gateway.tail)
    assert "20 spans were not sent before the end, and are dropped" in gateway.log.read_text()
    collector.start()
    call(gateway, 5)
    net.wait_for(lambda: len(collector.spans()) == 5, 20, gateway.tail)
    assert scrape(gateway).sum("spark_gateway_spans_sent_total") == 5


# ---- RPCs that were really made ----

PARENT = "00f067aa0ba902b7"


def ask(gateway, fake, flags, status=0):
    """An RPC in a trace of its own, or in none; its record, and the traceparent that the driver saw."""
    trace, session = secrets.token_hex(16), rpc.new_id()
    fake.behave = lambda s: (s.wait().send_headers(), s.send_message(b""), s.send_trailers(status))
    more = {"traceparent": f"00-{trace}-{PARENT}-{flags}"} if flags else {}
    with rpc.Channel(gateway.way(), **more) as channel:
        channel.status("ExecutePlan", rpc.sql(session, "select 1"))
    found = net.wait_for(lambda: [r for r in records(gateway, "rpc") if r.get("session") == session], 10, gateway.tail)
    assert len(found) == 1 and (not flags or found[0]["trace"] == trace)
    return found[0], fake.calls[-1].headers["traceparent"].split("-")


def test_spans_hang_together(make_traced, collector, fake):
    """Client, gateway, driver: each one's span is the parent of the next; what the client does not sample is not sent."""
    collector.start()
    gateway = make_traced()
    sampled, to_driver = ask(gateway, fake, "01")
    assert (sampled["parent"], sampled["sampled"]) == (PARENT, True)
    assert to_driver[1:] == [sampled["trace"], sampled["span"], "01"]
    silent, to_driver = ask(gateway, fake, "00")
    assert silent["parent"] == PARENT and "sampled" not in silent
    assert to_driver[1:] == [silent["trace"], silent["span"], "00"]
    begun, to_driver = ask(gateway, fake, None, 13)
    assert not {"parent", "sampled"} & set(begun) and to_driver[1:3] == [begun["trace"], begun["span"]]
    net.wait_for(lambda: len(collector.spans()) >= 2, 20, gateway.tail)
    spans = {span["traceId"]: span for span in collector.spans()}
    assert set(spans) == {sampled["trace"], begun["trace"]} and len(collector.spans()) == 2
    mine, new = spans[sampled["trace"]], spans[begun["trace"]]
    assert (mine["spanId"], mine["parentSpanId"]) == (sampled["span"], PARENT) and "status" not in mine
    assert new["spanId"] == begun["span"] and "parentSpanId" not in new and new["status"] == {"code": 2}
    assert attributes(mine)["rpc.method"] == "ExecutePlan" and attributes(mine)["spark.session"] == sampled["session"]
    assert tracing_of(gateway)["exported"] == 2


def test_spans_of_a_pyspark_session(make_traced, collector, spark_drivers):
    """Which was told its trace by the connection string: each of its RPCs is a span below the client's."""
    collector.start()
    gateway = make_traced(drivers=spark_drivers)
    assert gateway.way(traceparent=f"00-{TRACE}-{PARENT}-01").run("out(spark.range(5).count())") == 5
    net.wait_for(lambda: "ReleaseSession" in [r["method"] for r in records(gateway, "rpc")], 10, gateway.tail)
    found = records(gateway, "rpc")
    net.wait_for(lambda: len(collector.spans()) >= len(found), 20, gateway.tail)
    assert {(s["traceId"], s["parentSpanId"]) for s in collector.spans()} == {(TRACE, PARENT)}
    assert sorted(s["spanId"] for s in collector.spans()) == sorted(r["span"] for r in found)
    assert len({r["span"] for r in found}) == len(found) >= 3
