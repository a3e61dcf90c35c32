"""Clients that call without a pause, and count what fails."""

import threading
import time

import grpc

from harness import rpc


class Load:
    """`threads` callers, each on a connection of its own, going round through its share of the sessions."""

    def __init__(self, way, sessions, threads=4, pause=0.005):
        self.way, self.pause = way, pause
        self.done, self.failures, self.slowest = 0, [], 0.0
        self.stopping, self.lock = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(sessions[i::threads],), daemon=True)
                        for i in range(threads)]

    def _run(self, sessions):
        with rpc.Channel(self.way) as channel:
            while not self.stopping.is_set():
                for session in sessions:
                    self._one(channel, session)
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
            self.done += 1
            self.slowest = max(self.slowest, time.monotonic() - start)
            if failure:
                self.failures.append(failure)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
