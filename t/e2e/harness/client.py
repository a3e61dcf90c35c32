"""PySpark programs as processes of their own: grpc reads its trust roots once, and sessions stay apart.

A program has `spark`, and tells what it found with out(value), one JSON line each.
"""

import json
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading
from urllib.parse import quote

PRELUDE = '''
import json, os, sys, time
def out(value):
    print("OUT " + json.dumps(value), flush=True)
from pyspark.sql import SparkSession
def connect():
    return SparkSession.builder.remote(os.environ["SPARK_URL"]).getOrCreate()
spark = connect()
'''
# The interpreter's own end is no matter of Spark's: a call that is under way then can hang PySpark in closing its channel.
POSTLUDE = '''
try:
    spark.stop()
except Exception:
    pass
sys.stdout.flush()
sys.stderr.flush()
os._exit(0)
'''


class Failed(AssertionError):
    pass


class Program:
    """One that runs."""

    def __init__(self, way, code, python, env):
        self.folder = tempfile.TemporaryDirectory(prefix="program-")
        path = pathlib.Path(self.folder.name) / "program.py"
        path.write_text(PRELUDE + code + POSTLUDE)
        self.errors = open(path.with_name("stderr"), "w+")
        self.process = subprocess.Popen(
            [python, "-W", "ignore", path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self.errors, text=True, cwd=self.folder.name, env={**way.environ(), **env})
        self.values = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            if line.startswith("OUT "):
                self.values.put(json.loads(line[4:]))
        self.values.put(Failed)

    def next(self, timeout=60):
        """The next out() of the program."""
        try:
            value = self.values.get(timeout=timeout)
        except queue.Empty:
            raise Failed(f"nothing said in {timeout} s\n{self._complaint()}") from None
        if value is Failed:
            raise Failed(self._complaint())
        return value

    def finish(self, timeout=120):
        """Everything that is still to be said; the program must end well."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"still running after {timeout} s\n{self._complaint()}") from None
        said = list(iter(lambda: self.values.get(timeout=10), Failed))
        complaint = self._complaint()
        self.close()
        if code != 0:
            raise Failed(f"exit status {code}, said {said}\n{complaint}")
        return said

    def _complaint(self):
        self.errors.flush()
        with open(self.errors.name) as f:
            lines = [line for line in f if not line.startswith('{"ts"')]
        return "".join(lines[-25:])

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def close(self):
        self.kill()
        self.errors.close()
        self.folder.cleanup()


class Way:
    """How a program gets to Spark: straight, or through the gateway."""

    def __init__(self, name, port, params, ca=None, host="localhost"):
        self.name, self.port, self.params, self.ca, self.host = name, port, params, ca, host

    def url(self, **more):
        pairs = {**self.params, **more}
        return f"sc://{self.host}:{self.port}/;" + ";".join(
            f"{key}={quote(str(value), safe='')}" for key, value in pairs.items() if value is not None)

    def environ(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK", "PYSPARK", "ASAN", "UBSAN"))}
        env.update(SPARK_URL=self.url(), PYSPARK_PYTHON=sys.executable, GRPC_VERBOSITY="NONE")
        if self.ca:
            env["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = str(self.ca)
        return env

    def start(self, code, python=sys.executable, **env):
        return Program(self, code, python, env)

    def run(self, code, timeout=120, python=sys.executable, **env):
        """What the program said: a value if it was one, else the list."""
        said = self.start(code, python, **env).finish(timeout)
        return said[0] if len(said) == 1 else said
