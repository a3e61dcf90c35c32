"""Whoever guesses tokens is answered late, and harms nobody behind the same address."""

import collections
import contextlib
import hashlib
import threading
import time

import pytest

from harness import net, rpc
from harness.gateway import STATIC, auth
from harness.raw import Raw, grpc_headers

UNAVAILABLE, UNAUTHENTICATED = 14, 16
LIMIT = 10


@pytest.fixture
def gateway(make_gateway, fake, issuer, tmp_path):
    return make_gateway([fake], workers=1, auth=auth(issuer.conf(tmp_path), STATIC), limits={"failed_tokens": LIMIT})


def guess(raw, token):
    return raw.request(grpc_headers(token=token), rpc.envelope(rpc.config(rpc.new_id())))


def seconds_of(raw, token, status):
    begin = time.monotonic()
    answer = raw.answer(guess(raw, token))
    assert answer.status == status, answer
    return time.monotonic() - begin


def test_bad_tokens_are_answered_late(gateway, fake):
    """At once for as many as anybody mistypes, then later; a good one of the same connection goes on as before."""
    with Raw(gateway.clear_port) as raw:
        seconds_of(raw, "token-alice", 0)
        first = [seconds_of(raw, f"wrong-{n}", UNAUTHENTICATED) for n in range(LIMIT)]
        seconds_of(raw, "wrong", UNAUTHENTICATED)  # some of the first have been forgotten by now
        later = [seconds_of(raw, f"wrong-{LIMIT + n}", UNAUTHENTICATED) for n in range(3)]
        good = [seconds_of(raw, "token-alice", 0) for _ in range(10)]
    assert max(first) < 0.5 and min(later) > 0.5 and max(good) < 0.5, (first, later, good)
    counters = gateway.ask("status")["counters"]
    assert counters["auth_refused"] == LIMIT + 4 and counters["auth_slowed"] >= 3
    assert len(fake.calls) == 11


class Guesser(threading.Thread):
    """Many guesses at a time, over one connection."""

    def __init__(self, gateway, until, width=50):
        super().__init__(daemon=True)
        self.gateway, self.until, self.width, self.codes = gateway, until, width, collections.Counter()

    def run(self):
        with Raw(self.gateway.clear_port) as raw:
            while time.monotonic() < self.until:
                streams = [guess(raw, f"wrong-{self.name}-{time.monotonic()}-{n}") for n in range(self.width)]
                self.codes.update(raw.answer(stream).status for stream in streams)


@contextlib.contextmanager
def guessing(gateway, seconds, count=4):
    """As fast as they are answered, for so long; gives all answers when it is over."""
    until, codes = time.monotonic() + seconds, collections.Counter()
    guessers = [Guesser(gateway, until) for _ in range(count)]
    for guesser in guessers:
        guesser.start()
    net.wait_for(lambda: gateway.ask("status")["counters"]["auth_slowed"] > 0, seconds, "slowed down")
    yield codes
    for guesser in guessers:
        guesser.join(20)
        codes.update(guesser.codes)


def store(gateway):
    return hashlib.sha256((gateway.folder / "state/data.mdb").read_bytes()).hexdigest()


def test_others_of_the_same_address_notice_nothing(gateway):
    """While guesses come as fast as they are answered, and nothing of them goes to the disk."""
    session, took = rpc.new_id(), []
    with Raw(gateway.clear_port) as raw:
        def call():
            return raw.answer(raw.request(grpc_headers(), rpc.envelope(rpc.config(session)))).status
        assert call() == 0
        before = store(gateway)
        with guessing(gateway, 4) as codes:
            end = time.monotonic() + 3
            while (begin := time.monotonic()) < end:
                assert call() == 0
                took.append(time.monotonic() - begin)
        assert store(gateway) == before
    assert set(codes) <= {UNAUTHENTICATED, UNAVAILABLE}
    assert codes[UNAUTHENTICATED] <= 4 * 50 * 6, f"{codes} in 4 s"
    assert sorted(took)[len(took) * 95 // 100] < 0.25, sorted(took)[-5:]


def test_newcomers_of_the_same_address_are_served(gateway, issuer):
    """Each with a good token that was never seen before, over a connection of its own."""
    def first_call(token):
        with Raw(gateway.clear_port) as raw:
            begin = time.monotonic()
            answer = raw.answer(guess(raw, token))
            return answer.status, time.monotonic() - begin
    with guessing(gateway, 8):
        found = [first_call(issuer.token()) for _ in range(5)] + [first_call("token-bob")]
    assert {status for status, _ in found} == {0}, found
    assert max(took for _, took in found) < 2.5, found
