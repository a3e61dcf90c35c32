"""Whoever guesses tokens is answered late, and harms nobody behind the same address."""

import hashlib
import threading
import time
from collections import Counter

import pytest

from harness import net, rpc
from harness.gateway import STATIC, auth
from harness.metrics import scrape
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
    """At once for as many as anybody mistypes, then later; known good ones never wait, new ones as long as any new one."""
    with Raw(gateway.clear_port) as raw:
        assert seconds_of(raw, "token-alice", 0) < 0.5
        first = [seconds_of(raw, f"wrong-{n}", UNAUTHENTICATED) for n in range(LIMIT)]
        later = [seconds_of(raw, f"wrong-{LIMIT + n}", UNAUTHENTICATED) for n in range(3)]
        good = [seconds_of(raw, "token-alice", 0) for _ in range(10)]
        new = seconds_of(raw, "token-bob", 0)
    assert max(first) < 0.5 and min(later) > 0.5 and max(good) < 0.5 and new < 3, (first, later, good, new)
    counters = gateway.ask("status")["counters"]
    assert counters["auth_refused"] >= LIMIT + 3 and counters["auth_slowed"] >= 3
    assert len(fake.calls) == 12
    said = [line for line in gateway.log.read_text().splitlines() if "many bad tokens come from this address" in line]
    assert len(said) == 1 and " warn " in said[0] and "peer=127.0.0.1:" in said[0], said


class Guesser(threading.Thread):
    """Many guesses at a time, over one connection."""

    def __init__(self, gateway, until, width=50, stays=True):
        """stays: on its connection, rather than open another one for the next guesses."""
        super().__init__(daemon=True)
        self.gateway, self.until, self.width, self.stays, self.count, self.codes = gateway, until, width, stays, 0, Counter()

    def run(self):
        while time.monotonic() < self.until:
            with Raw(self.gateway.clear_port) as raw:
                self._guess(raw)
                while self.stays and time.monotonic() < self.until:
                    self._guess(raw)

    def _guess(self, raw):
        streams = [guess(raw, f"wrong-{self.name}-{self.count + n}") for n in range(self.width)]
        self.codes.update(raw.answer(stream).status for stream in streams)
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
    codes = sum((guesser.codes for guesser in guessers), Counter())
    assert set(codes) == {UNAUTHENTICATED, UNAVAILABLE}, codes
    assert codes[UNAUTHENTICATED] <= LIMIT + 64 * 8, f"{codes} in 4 s: each was looked at"
    assert sorted(took)[len(took) * 95 // 100] < 0.25, sorted(took)[-5:]
    assert store(gateway) == before
    # all of them count as refused, none as the gateway's own trouble
    assert gateway.ask("status")["counters"]["auth_refused"] == sum(codes.values())
    errors = scrape(gateway).values("error_type")
    assert errors == {"authentication"}, errors


def test_newcomers_of_the_same_address_are_served(gateway, issuer):
    """Each with a good token that was never seen before, over a connection of its own."""
    def first_call(token):
        with Raw(gateway.clear_port) as raw:
            begin = time.monotonic()
            answer = raw.answer(guess(raw, token))
            return answer.status, time.monotonic() - begin
    guessers = [Guesser(gateway, time.monotonic() + 8) for _ in range(4)]
    for guesser in guessers:
        guesser.start()
    net.wait_for(lambda: gateway.ask("status")["counters"]["auth_slowed"] > 0, 5, "slowed down")
    found = [first_call(issuer.token()) for _ in range(4)] + [first_call("token-bob")]
    for guesser in guessers:
        guesser.join(20)
    assert {status for status, _ in found} == {0} and max(took for _, took in found) < 2.5, found


@pytest.mark.parametrize("stays", [True, False], ids=["on-their-connections", "each-on-a-new-one"])
def test_newcomers_are_served_though_guessers_want_every_place(gateway, issuer, stays):
    """120 at a time, of 96 places: who comes again when told to has one, on the first or the second try."""
    guessers = [Guesser(gateway, time.monotonic() + 12, width=3 if stays else 1, stays=stays) for _ in range(40 if stays else 120)]
    for guesser in guessers:
        guesser.start()
    net.wait_for(lambda: any(guesser.codes[UNAVAILABLE] for guesser in guessers), 10, "turned away")
    found = []
    for _ in range(2):
        with Raw(gateway.clear_port) as raw:
            token, tries = issuer.token(), 1
            while (answer := raw.answer(guess(raw, token))).status == UNAVAILABLE and tries < 4:
                tries += 1
                time.sleep(2)  # as RetryInfo says
            found.append((answer.status, tries))
    for guesser in guessers:
        guesser.join(30)
    assert {status for status, _ in found} == {0} and max(tries for _, tries in found) <= 2, found
