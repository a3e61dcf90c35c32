"""Programs of the JVM client, whose jars come with PySpark. They are written in Scala; the compiler is there, too, and wants no more
than a Java runtime.

A program has `spark`, and tells what it found with out(value): one line of text each.
"""

import os
import pathlib
import subprocess

from harness import spark
from harness.client import Failed

PROGRAM = """
import org.apache.spark.sql.connect.SparkSession
object Program {
  def out(value: Any): Unit = println("OUT " + value)
  def main(args: Array[String]): Unit = {
    val spark = SparkSession.builder().remote(sys.env("SPARK_URL")).create()
    try {
%s
    } finally spark.close()
  }
}
"""
# what a program has that is only a client; with these, too, it would be a driver's
NOT_OF_THE_CLIENT = ("spark-sql_", "spark-connect_", "spark-catalyst_", "spark-hive", "spark-repl", "hive-")
COMPILER = ("scala-compiler-", "scala-library-", "scala-reflect-")
SMALL = ["-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xmx512m"]


def jars():
    folder = spark.home() / "jars"
    client = sorted((folder / "connect-repl").glob("spark-connect-client-jvm_*.jar"))
    assert client, f"no JVM client in {folder}"
    return client + sorted(jar for jar in folder.glob("*.jar") if not jar.name.startswith(NOT_OF_THE_CLIENT))


def joined(paths):
    return ":".join(map(str, paths))


class Program:
    """Compiled once, run as often as wanted."""

    def __init__(self, folder, authority, code):
        self.folder, self.authority = pathlib.Path(folder), authority
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "Program.scala").write_text(PROGRAM % code)
        compiler = [jar for jar in jars() if jar.name.startswith(COMPILER)]
        self._java("-cp", joined(compiler), "scala.tools.nsc.Main", "-d", ".", "-cp", joined(jars()), "Program.scala")
        self.trust = self.folder / "trust.p12"
        if not self.trust.exists():
            self._command("keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", authority.ca, "-storetype", "PKCS12",
                          "-keystore", self.trust, "-storepass", "changeit")

    def run(self, way, timeout=120):
        """What it said, line by line."""
        said = self._java("--add-opens=java.base/java.nio=ALL-UNNAMED", f"-Djavax.net.ssl.trustStore={self.trust}",
                          "-Djavax.net.ssl.trustStorePassword=changeit", "-cp", joined([self.folder, *jars()]), "Program",
                          timeout=timeout, SPARK_URL=way.url())
        return [line[4:] for line in said.splitlines() if line.startswith("OUT ")]

    def _java(self, *args, **more):
        return self._command("java", *SMALL, *args, **more)

    def _command(self, *args, timeout=120, **env):
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK", "ASAN", "UBSAN"))}
        done = subprocess.run(args, cwd=self.folder, env={**clean, **env}, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=timeout)
        if done.returncode != 0:
            raise Failed(f"{args[0]}: exit status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout
