"""Real Spark Connect servers out of the pyspark package of this Python.

A driver's own record is its log: Spark writes a line whenever a session is used and whenever a plan starts to run, each with
the user and the session id as the driver saw them.
"""

import importlib.util
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

from harness import net

LOG4J = """rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss.SSS} %p %c{1}: %m%n
logger.connect.name = org.apache.spark.sql.connect
logger.connect.level = info
"""
USED = re.compile(r"Session with userId: (\S+) and sessionId: (\S+) accessed")
RAN = re.compile(r"ExecuteHolder ExecuteKey\(([^,]*),([^,]*),([^)]*)\) is created")


def home():
    return pathlib.Path(importlib.util.find_spec("pyspark").origin).parent


class Driver:
    def __init__(self, name, folder, conf=None, env=None, heap="1g"):
        self.name, self.folder, self.heap = name, pathlib.Path(folder), heap
        self.conf, self.env = conf or {}, env or {}
        self.port, self.process = net.free_port(), None
        self.log = self.folder / f"{name}.log"

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self, wait=True):
        self.folder.mkdir(parents=True, exist_ok=True)
        log4j = self.folder / "log4j2.properties"
        log4j.write_text(LOG4J)
        conf = {
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": self.port,
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": 4,
            "spark.sql.warehouse.dir": self.folder / f"{self.name}-warehouse",
            "spark.local.dir": self.folder / f"{self.name}-local",
            "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile=file:{log4j}",
            **self.conf,
        }
        command = [home() / "bin/spark-submit", "--class", "org.apache.spark.sql.connect.service.SparkConnectServer",
                   "--master", "local[2]", "--driver-memory", self.heap, "--name", self.name]
        for key, value in conf.items():
            command += ["--conf", f"{key}={value}"]
        env = {**os.environ, "SPARK_HOME": str(home()), "PYSPARK_PYTHON": sys.executable,
               "SPARK_LOCAL_IP": "127.0.0.1", **self.env}
        with open(self.log, "a") as log:
            log.write("---- start\n")
            log.flush()
            self.process = subprocess.Popen([*command, "spark-internal"], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=env, cwd=self.folder, start_new_session=True)
        if wait:
            self.wait()
        return self

    def wait(self):
        net.wait_for(self.is_started, 90, f"{self.name} started, see {self.log}", 0.1)
        return self

    def is_started(self):
        assert self.process.poll() is None, f"{self.name} ended by itself, see {self.log}"
        return "Spark Connect server started" in self.record()

    def record(self):
        """What this run of the driver wrote."""
        return self.log.read_text(errors="replace").rpartition("---- start\n")[2]

    def sessions(self):
        """{(user, session id): how often it was used here}"""
        seen = {}
        for key in USED.findall(self.log.read_text(errors="replace")):
            seen[key] = seen.get(key, 0) + 1
        return seen

    def plans(self, session=None):
        """[(user, session id, operation id)] of the plans that ran here."""
        return [p for p in RAN.findall(self.log.read_text(errors="replace")) if session in (None, p[1])]

    def kill(self):
        """As the kernel would do it: no farewell."""
        self._signal(signal.SIGKILL)

    def stop(self):
        if self.process and self.process.poll() is None:
            self._signal(signal.SIGTERM)
        for name in ("warehouse", "local"):
            shutil.rmtree(self.folder / f"{self.name}-{name}", ignore_errors=True)

    def _signal(self, number):
        try:
            os.killpg(self.process.pid, number)  # the JVM and its Python workers
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(20)
        except ProcessLookupError:
            pass
