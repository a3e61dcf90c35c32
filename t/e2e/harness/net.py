"""Ports, sockets and waiting."""

import itertools
import pathlib
import random
import socket
import time


FIRST, ENOUGH = 10000, 4000


def _not_ephemeral():
    """Ports the system gives to no connection of its own accord, each once, in an order of this process's own. Where it leaves
    too few of them, all others: each once is still true then."""
    end = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if end - FIRST < ENOUGH:
        end = 60000
    start = random.randrange(FIRST, end)
    return itertools.chain(range(start, end), range(FIRST, start))


_ports = _not_ephemeral()


def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def free_port():
    """A port for a server to be started. Asked for "any port", the system may name the same one twice, or lend it to a client
    before the server is there."""
    return next(port for port in _ports if is_free(port))


def is_open(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def wait_for(question, seconds, what, pause=0.05):
    """The first true answer of question(); AssertionError with `what` when there is none in time."""
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < end, f"not within {seconds} s: {what() if callable(what) else what}"
        time.sleep(pause)
