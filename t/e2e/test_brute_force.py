"""Whoever guesses tokens is answered late, and harms nobody behind the same address."""

import hashlib
import threading
import time

import pytest

from harness import rpc
from harness.raw import Raw, grpc_headers

UNAUTHENTICATED = 16
LIMIT = 10


@pytest.fixture
def gateway(make_gateway, fake):
    return make_gateway([fake], workers=1, limits={"failed_tokens": LIMIT})


def guess(raw, token):
    return raw.request(grpc_headers(token=token), rpc.envelope(rpc.config(rpc.new_id())))


def seconds_of(raw, token, status):
    begin = time.monotonic()
    answer = raw.answer(guess(raw, token))
    assert answer.status == status, answer
    return time.monotonic() - begin


def test_bad_tokens_are_answered_late(gateway, fake):
    """At once for as many as anybody mistypes, then ever later; good ones of the same connection are not held back."""
    with Raw(gateway.clear_port) as raw:
        first = [seconds_of(raw, f"wrong-{n}", UNAUTHENTICATED) for n in range(LIMIT)]
        later = [seconds_of(raw, f"wrong-{LIMIT + n}", UNAUTHENTICATED) for n in range(3)]
        good = [seconds_of(raw, "token-alice", 0) for _ in range(10)]
    assert max(first) < 0.5 and min(later) > 0.5 and max(good) < 0.5, (first, later, good)
    counters = gateway.ask("status")["counters"]
    assert counters["auth_refused"] >= LIMIT + 3 and counters["auth_slowed"] >= 3
    assert len(fake.calls) == 10


class Guesser(threading.Thread):
    """Many guesses at a time, over one connection."""

    def __init__(self, gateway, until, width=50):
        super().__init__(daemon=True)
        self.gateway, self.until, self.width, self.count, self.codes = gateway, until, width, 0, set()

    def run(self):
        with Raw(self.gateway.clear_port) as raw:
            while time.monotonic() < self.until:
                streams = [guess(raw, f"wrong-{self.name}-{self.count + n}") for n in range(self.width)]
                self.codes |= {raw.answer(stream).status for stream in streams}
                self.count += self.width


def store(gateway):
    return hashlib.sha256((gateway.folder / "state/data.mdb").read_bytes()).hexdigest()


def test_others_of_the_same_address_notice_nothing(gateway, fake):
    """While guesses come as fast as they are answered, and nothing of them goes to the disk."""
    session = rpc.new_id()
    with Raw(gateway.clear_port) as raw:
        raw.answer(raw.request(grpc_headers(), rpc.envelope(rpc.config(session))))
        before, until, took = store(gateway), time.monotonic() + 4, []
        guessers = [Guesser(gateway, until) for _ in range(4)]
        for guesser in guessers:
            guesser.start()
        while time.monotonic() < until:
            begin = time.monotonic()
            assert raw.answer(raw.request(grpc_headers(), rpc.envelope(rpc.config(session)))).status == 0
            took.append(time.monotonic() - begin)
            time.sleep(0.01)
        for guesser in guessers:
            guesser.join(20)
    assert set().union(*(guesser.codes for guesser in guessers)) == {UNAUTHENTICATED}
    guessed = sum(guesser.count for guesser in guessers)
    assert guessed <= 4 * 50 * 6, f"{guessed} guesses in 4 s"
    assert sorted(took)[len(took) * 95 // 100] < 0.25, sorted(took)[-5:]
    assert store(gateway) == before
