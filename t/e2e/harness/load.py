"""Clients that call without a pause, and count what fails.

They live in a process of their own: what earlier tests did to grpc's threads (a TLS handshake that a dying gateway broke off can
leave an error behind in a thread, and the next handshake there fails) must not count.
"""

import json
import pathlib
import subprocess
import sys
import threading
import time

import grpc

from harness import rpc
from harness.client import Way


class Load:
    """`threads` callers, each on a connection of its own, going round through its share of the sessions."""

    def __init__(self, way, sessions, threads=4, pause=0.005, token="token-alice"):
        self.done, self.failures, self.slowest = 0, [], 0.0
        self.order = json.dumps({"port": way.port, "ca": way.ca and str(way.ca), "sessions": sessions, "threads": threads,
                                 "pause": pause, "token": token})

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-W", "ignore", "-m", "harness.load"], text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, cwd=pathlib.Path(__file__).parents[1])
        self.process.stdin.write(self.order + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "under way\n"
        return self

    def use(self, token):
        """From now on all callers show this one; returns when each has."""
        self.process.stdin.write(token + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "in use\n"

    def __exit__(self, *_):
        said = self.process.communicate(timeout=90)[0]
        for key, value in json.loads(said).items():
            setattr(self, key, value)


class Callers:
    def __init__(self, port, ca, sessions, threads, pause, token):
        self.way, self.pause, self.token, self.used = Way("load", port, {}, ca), pause, token, {}
        self.result = {"done": 0, "failures": [], "slowest": 0.0}
        self.stopping, self.lock = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(sessions[i::threads],), daemon=True)
                        for i in range(threads)]

    def _run(self, sessions):
        with rpc.Channel(self.way, token=self.token) as channel:
            while not self.stopping.is_set():
                for session in sessions:
                    token = self.token
                    channel.use(token)
                    self._one(channel, session)
                    self.used[threading.get_ident()] = token
                    time.sleep(self.pause)

    def _one(self, channel, session):
        start = time.monotonic()
        failure = None
        try:
            answer = channel.call("Config", rpc.config(session))
            if answer.session_id != session:
                failure = f"answer of session {answer.session_id} to {session}"
        except grpc.RpcError as error:
            failure = f"{error.code()}: {error.details()}"
        with self.lock:
            self.result["done"] += 1
            self.result["slowest"] = max(self.result["slowest"], time.monotonic() - start)
            if failure:
                self.result["failures"].append(failure)

    def work(self):
        """Until nobody is at the other end of standard input."""
        for thread in self.threads:
            thread.start()
        patience = time.monotonic() + 10
        while self.result["done"] < len(self.threads) and time.monotonic() < patience:
            time.sleep(0.05)
        print("under way", flush=True)
        for line in sys.stdin:
            self.token, patience = line.strip(), time.monotonic() + 30
            while set(self.used.values()) != {self.token} and time.monotonic() < patience:
                time.sleep(0.01)
            print("in use", flush=True)
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
        print(json.dumps(self.result), flush=True)


if __name__ == "__main__":
    Callers(**json.loads(sys.stdin.readline())).work()
