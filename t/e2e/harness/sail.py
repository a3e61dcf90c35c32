"""A Sail server (pysail): a second, independent implementation of the service. It wants a PySpark that it knows beside it."""

import subprocess

from harness import net


class Sail:
    def __init__(self, folder, python):
        self.python = python
        self.port, self.log, self.process = net.free_port(), folder / "sail.log", None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        folder = self.log.parent
        folder.mkdir(parents=True, exist_ok=True)
        code = "from pysail.spark import SparkConnectServer; s = SparkConnectServer('127.0.0.1', %d); s.start(background=False)"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([self.python, "-c", code % self.port], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=folder)
        net.wait_for(lambda: net.is_open(self.port), 30, f"sail listens, see {self.log}")
        return self

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
