"""The books balance: wild clients, drivers that misbehave and an operator who does everything at once; then all leave.

Seeded: STORM_SEED repeats a run as far as threads allow, STORM_SECONDS makes it longer.
"""

import os
import random
import signal
import threading
import time

from hyperframe import frame

from harness import net, procs, rpc
from harness.fake import OK_HEADERS, Fake
from harness.rpc import pb
from harness.wild import Wild

SECONDS = float(os.environ.get("STORM_SECONDS", 30))
SEED = int(os.environ.get("STORM_SEED", 0)) or random.SystemRandom().randrange(1, 1 << 30)
CLIENTS, OLD_SESSIONS = 8, 30
PATIENCE = 25  # seconds; above all time-outs that a call may have to sit through
METHODS = ["Config"] * 4 + ["ExecutePlan"] * 6 + ["AddArtifacts"] * 4 + [
    "AnalyzePlan", "CloneSession", "CloneSession", "ReleaseSession", "Interrupt", "ReattachExecute", "ReleaseExecute",
    "FetchErrorDetails", "GetStatus", "NoSuchMethod"]


class Weather:
    """What drivers do: each RPC another thing."""

    def __init__(self, rng):
        self.rng, self.lock, self.seen, self.answers = rng, threading.Lock(), {}, [
            self.answer] * 12 + [self.big, self.drip, self.early, self.slow, self.refuse, self.refuse, self.hints_and_refuses,
                             self.breaks_off, self.trailers_only, self.no_trailers, self.html, self.resets, self.goes_away,
                             self.drops, self.drops_late]

    def __call__(self, s):
        with self.lock:
            act = self.rng.choice(self.answers)
            self.seen[act.__name__] = self.seen.get(act.__name__, 0) + 1
            s.act = act.__name__
        try:
            act(s)
        except (AssertionError, OSError):
            s.send_reset(2)

    def reply(self, s):
        if s.method == "CloneSession":
            return pb.CloneSessionResponse(session_id="x", new_session_id=rpc.new_id())
        return pb.ConfigResponse(session_id="x")

    def answer(self, s):
        s.ended.wait(PATIENCE)
        if s.reset is None:
            s.answer(self.reply(s))

    def big(self, s):
        s.wait().send_headers()
        for _ in range(16):
            if not s.send_message(bytes(65536)):
                break
        s.send_trailers()

    def drip(self, s):
        s.wait().send_headers()
        for byte in rpc.envelope(self.reply(s)):
            s.send_data(bytes([byte]))
        s.send_trailers()

    def early(self, s):
        s.got.wait(2)
        s.answer(b"x")

    def slow(self, s):
        s.ended.wait(1)
        time.sleep(1)
        s.answer(self.reply(s))

    def refuse(self, s):
        s.send_reset(7)

    def hints_and_refuses(self, s):
        s.send_headers([(":status", "103"), ("x-hint", "h" * 99)])
        s.send_reset(7)

    def breaks_off(self, s):
        s.wait().send_headers()
        s.send_data(b"\0\0\0\1\0half of a message")
        s.send_reset(2)

    def trailers_only(self, s):
        s.send_headers([*OK_HEADERS, ("grpc-status", "9"), ("grpc-message", "no")], end=True)

    def no_trailers(self, s):
        s.wait().send_headers()
        s.send_data(b"\0\0\0\0\1x", end=True)

    def html(self, s):
        s.send_headers([(":status", "502"), ("content-type", "text/html")], end=True)

    def resets(self, s):
        s.got.wait(1)
        s.send_reset(8)

    def goes_away(self, s):
        """Streams from this one on have not been looked at."""
        with s.peer.lock:
            s.peer.sock.sendall(frame.GoAwayFrame(0, last_stream_id=max(0, s.number - 2)).serialize())
        time.sleep(0.5)
        s.peer.close()

    def drops(self, s):
        s.peer.close()

    def drops_late(self, s):
        s.got.wait(1)
        s.send_headers()
        s.peer.close()


class Client(threading.Thread):
    """Connection after connection."""

    def __init__(self, gateway, fakes, rng, sessions, until):
        super().__init__(daemon=True)
        self.gateway, self.fakes, self.rng, self.sessions, self.until = gateway, fakes, rng, sessions, until
        self.bad, self.count, self.codes, self.failed = [], 0, {}, None

    def run(self):
        try:
            while time.monotonic() < self.until:
                self.connection()
        except Exception as error:  # told by the test
            self.failed = repr(error)
            raise

    def connection(self):
        rng, tls = self.rng, self.rng.random() < 0.5
        wild = Wild(self.gateway.port if tls else self.gateway.clear_port, self.gateway.authority.ca if tls else None, rng,
                    rng.choice((0, 1, 100, 65535, 1 << 20, 1 << 20)))
        for _ in range(rng.choice((1, 3, 10, 40))):
            if wild.refuses or time.monotonic() > self.until:
                break
            self.call(wild)
            wild.pump(rng.choice((0, 0, 0.01, 0.1)))
        fate = rng.random()
        if fate < 0.2:
            wild.pump(rng.random())
            wild.close(hard=fate < 0.1)
        else:
            wild.pump(PATIENCE)
        self.bad += [self.explain(wild, bad) for bad in wild.verdicts()]
        self.count += len(wild.calls)
        for call in wild.calls.values():
            for status in call.statuses:
                self.codes[status] = self.codes.get(status, 0) + 1
        wild.close()

    def explain(self, wild, bad):
        """With what the drivers know of it."""
        name = next((f"{self.name}-{self.count}-{n}" for n in wild.calls if bad.startswith(f"stream {n} ")), None)
        seen = [(s.act, len(s.body), s.ended.is_set(), s.reset, s.peer.alive)
                for fake in self.fakes for s in fake.calls if s.headers.get("x-call") == name]
        return f"{bad}; at the drivers: {seen}"

    def call(self, wild):
        rng = self.rng
        session = rng.choice(self.sessions) if rng.random() < 0.6 else rpc.new_id()
        method, more = rng.choice(METHODS), {"x_call": f"{self.name}-{self.count}-{wild.next_id}"}
        if rng.random() < 0.15:
            more["grpc_timeout"] = f"{rng.choice((0, 1, 5, 20, 50, 1000))}m"
        window_opens = wild.given > 65536 or rng.random() < 0.5
        wild.call(method, self.body(method, session), rng.choice(("token-alice", "token-bob")), more=more,
                  size=rng.choice((1, 30, 1000, 16384, 16384)), pause=rng.choice((0, 0, 0.001)),
                  cancel_at=rng.random() ** 3 if rng.random() < 0.3 else None if window_opens else 3.0,
                  late=rng.random() < 0.2, credit=rng.choice((20_000, 1 << 20)) if window_opens else 0,
                  trailers=rng.random() < 0.1)

    def body(self, method, session):
        rng = self.rng
        if method == "AddArtifacts":
            part = pb.AddArtifactsRequest(session_id=session, batch=pb.AddArtifactsRequest.Batch(
                artifacts=[pb.AddArtifactsRequest.SingleChunkArtifact(
                    name="files/x",
                    data=pb.AddArtifactsRequest.ArtifactChunk(data=bytes(rng.choice((10, 9_000, 60_000)))))]))
            body = rpc.envelope(part) * rng.choice((1, 3, 6))
        elif method in ("Config", "NoSuchMethod"):
            body = rpc.envelope(rpc.config(session))
        else:
            body = rpc.envelope(rpc.sql(session, "x" * rng.choice((1, 100, 5_000))))
        fault = rng.random()
        if fault < 0.03:
            body = rpc.envelope(body[5:] + b"\x0a\x24" + session.encode())  # session_id twice, at the very end
        elif fault < 0.05:
            body = body[:-1]
        return body


class Operator:
    def __init__(self, gateway, fakes, sessions, rng):
        self.gateway, self.fakes, self.sessions, self.rng = gateway, fakes, sessions, rng
        self.done = {}

    def work(self, until):
        acts = [self.restart_driver, self.close_session, self.close_session, self.drain, self.reload, self.stop_keeper,
                self.kill_keeper, self.stop_worker]
        while time.monotonic() < until:
            act = self.rng.choice(acts)
            self.done[act.__name__] = self.done.get(act.__name__, 0) + 1
            act()
            for _ in range(3):  # closed and lost ones stay marked; so that not all are
                self.sessions[self.rng.randrange(OLD_SESSIONS)] = rpc.new_id()
            time.sleep(self.rng.random())

    def restart_driver(self):
        fake = self.rng.choice(self.fakes)
        fake.die()
        time.sleep(self.rng.random() * 2)
        fake.start()

    def close_session(self):
        self.gateway.ctl("session", "close", self.rng.choice(self.sessions), check=False)

    def drain(self):
        verb, fake = self.rng.choice(("drain", "undrain", "undrain")), self.rng.choice(self.fakes)
        self.gateway.ctl("driver", verb, fake.address, check=False)

    def reload(self):
        if self.done["reload"] <= 4:
            self.gateway.reload(check=False)

    def _signal(self, kind, number):
        for pid in self.gateway.pids(kind):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def stop_keeper(self):
        keepers = self.gateway.pids("keeper")
        self._stop(keepers, self.rng.random() * 2.5)

    def stop_worker(self):
        self._stop(self.gateway.pids("worker")[:1], 0.3)

    def _stop(self, pids, seconds):
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for pid in pids:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
            time.sleep(seconds if number == signal.SIGSTOP else 0)

    def kill_keeper(self):
        self._signal("keeper", signal.SIGKILL)


def check_books(gateway):
    """Nothing is left of all the clients."""
    def open_items():
        status, drivers = gateway.ask("status"), gateway.ask("drivers")
        if not status or not drivers:
            return "no answer"
        counters = status["counters"]
        left = {name: counters[name] for name in ("rpcs_open", "connections_open") if counters[name]}
        running = {row["name"]: row["running"] for row in drivers["rows"] if row["running"]}
        workers = [row for row in status["processes"] if row["kind"] == "worker"]
        if len(workers) != gateway.conf["workers"]:
            left["workers"] = len(workers)
        return {**left, **running}
    net.wait_for(lambda: not open_items(), 40, open_items)
    for worker in gateway.ask("status")["workers"]:
        sockets = [where for where in procs.descriptors(worker["pid"]).values() if where.startswith("socket:")]
        assert len(sockets) <= 30 + worker["counters"]["driver_connections"], sockets


def test_storm(make_gateway):
    print(f"STORM_SEED={SEED} STORM_SECONDS={SECONDS:g}")
    rng = random.Random(SEED)
    weather = Weather(random.Random(rng.random()))
    fakes = [Fake(f"fake{n}").start() for n in range(3)]
    for fake in fakes:
        fake.behave = weather
    gateway = make_gateway(fakes, workers=2, drain_timeout="30s")
    sessions = [rpc.new_id() for _ in range(OLD_SESSIONS)]
    until = time.monotonic() + SECONDS
    clients = [Client(gateway, fakes, random.Random(rng.random()), sessions, until) for _ in range(CLIENTS)]
    operator = Operator(gateway, fakes, sessions, random.Random(rng.random()))
    try:
        for client in clients:
            client.start()
        operator.work(until)
        for client in clients:
            client.join(PATIENCE + 20)
        assert not [c for c in clients if c.is_alive()], "a client hangs"
        codes = {}
        for client in clients:
            for code, count in client.codes.items():
                codes[code] = codes.get(code, 0) + count
        print(f"{sum(c.count for c in clients)} RPCs, statuses {dict(sorted(codes.items()))}, drivers {weather.seen},"
              f" operator {operator.done}")
        bad = [b for c in clients for b in [*c.bad, *([c.failed] if c.failed else [])]]
        assert not bad, f"seed {SEED}: {len(bad)}: {bad[:10]}"
        check_books(gateway)
    finally:
        for fake in fakes:
            fake.stop()
    died = [line for line in gateway.log.read_text().splitlines() if " died: " in line and "child=keeper" not in line]
    assert not died, died
