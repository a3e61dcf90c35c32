"""A real gateway of a build folder: its configuration, its processes, its commands.

stop() looks at what it leaves behind, so every test that uses one also asks: no obituary, no sanitizer report, no process and no
descriptor too many, exit status 0.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess

from harness import net, procs
from harness.client import Way

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("SPARKGW_BUILD", ROOT / "build")).resolve()
ALARMS = ("obituary", "ERROR: AddressSanitizer", "LeakSanitizer", "runtime error:")
TOKENS = """# TOKEN USER [GROUP,GROUP]
token-alice alice eng
token-bob bob eng
token-carol carol ops
token-dave dave
"""
STATIC = {"name": "tests", "type": "static", "tokens_file": "tokens"}
SANITIZED = b"__asan_init" in (BUILD / "sparkgwd").read_bytes() if (BUILD / "sparkgwd").exists() else False


def auth(*providers, **more):
    """That part of the configuration."""
    return {"required": True, "providers": list(providers), **more}


class Gateway:
    def __init__(self, folder, authority, drivers, **changes):
        """drivers: addresses, of the one cluster; or {cluster: [addresses]}. changes: over the keys of the configuration."""
        self.folder, self.authority = pathlib.Path(folder), authority
        self.folder.mkdir(parents=True, exist_ok=True)
        self.run, self.log, self.file = self.folder / "run", self.folder / "log", self.folder / "sparkgw.yaml"
        self.socket = self.run / "control.sock"
        self.port, self.clear_port, self.admin_port = net.free_port(), net.free_port(), net.free_port()
        self.process, self.seen, self.open_at_start = None, set(), {}
        self.secrets = ["token-alice", "token-bob", "token-carol"]
        self.write_tokens(TOKENS)
        self.conf = {**self._defaults(drivers), **changes}
        self.write()

    def _defaults(self, drivers):
        crt, key = self.authority.issue("localhost")
        clusters = drivers if isinstance(drivers, dict) else {"eng-prod": drivers}
        return {
            "workers": 2, "state_dir": "state", "run_dir": "run", "drain_timeout": "20s",
            "log": {"level": "info", "format": "text", "file": "stderr"},
            "listeners": [
                {"address": f"127.0.0.1:{self.port}", "tls": {"certificate": str(crt), "key": str(key)}},
                {"address": f"127.0.0.1:{self.clear_port}"},
            ],
            "admin": {"address": f"127.0.0.1:{self.admin_port}"},
            "auth": auth(STATIC),
            "headers": {"team": ["x-doordash-team"], "env": ["x-doordash-env", "x-doordash-environment"]},
            "routing": {"default_env": "prod"},
            "teams": [{"name": "eng", "groups": ["eng"], "envs": ["dev", "prod"]},
                      {"name": "ops", "groups": ["ops"], "envs": ["prod"]}],
            "clusters": [{"name": name, "team": name.rpartition("-")[0], "env": name.rpartition("-")[2],
                          "drivers": [{"address": a} for a in addresses]} for name, addresses in clusters.items()],
            "health": {"interval": "500ms", "timeout": "2s", "rise": 1, "fall": 2},
            "session": {"idle_timeout": "2h", "driver_lost_after": "10s"},
            "limits": {"connections": 1000, "streams_per_connection": 256},
        }

    def write_tokens(self, text):
        tokens = self.folder / "tokens"
        tokens.write_text(text)
        tokens.chmod(0o600)

    def write(self, text=None):
        """JSON is YAML, too."""
        self.file.write_text(text if text is not None else json.dumps(self.conf, indent=2) + "\n")

    # ---- life ----

    def start(self, wait=True):
        env = {**os.environ, "ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1"}
        with open(self.log, "a") as log:
            self.process = subprocess.Popen([BUILD / "sparkgwd", "-c", self.file], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=env, cwd=self.folder)
        if wait:
            self.wait()
        return self

    def wait(self, seconds=30):
        """Until everything is there: every process, and each driver either up or down."""
        drivers = sum(len(c["drivers"]) for c in self.conf["clusters"])

        def is_ready():
            assert self.process.poll() is None, f"sparkgwd ended with {self.process.returncode}\n{self.tail()}"
            status = self.ask("status")
            return status and status["ready"] and status["drivers"]["unknown"] == 0 \
                and status["drivers"]["up"] + status["drivers"]["down"] == drivers
        net.wait_for(is_ready, seconds, lambda: f"ready: {self.ask('status')}\n{self.tail()}")
        self.open_at_start = {p: len(procs.descriptors(p)) for p in self.pids()}
        return self

    def stop(self, number=signal.SIGTERM, status=0):
        if self.process is None:
            return
        self.pids()
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = "none: SIGTERM was not enough"
        self.process = None
        # LeakSanitizer looks through a process while it ends: give the children a moment
        try:
            net.wait_for(lambda: not self.left_over(), 10, lambda: f"gone: {self.left_over()}")
        finally:
            for pid in self.left_over():
                os.kill(pid, signal.SIGKILL)
        assert code == status, f"exit status {code}\n{self.tail()}"
        self.check_log()

    def restart(self):
        self.stop()
        return self.start()

    def kill(self):
        """All of it at once, as a power cut would (the run directory stays)."""
        for pid in [self.process.pid, *self.pids()]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        net.wait_for(lambda: not self.left_over(), 10, lambda: f"gone: {self.left_over()}")
        self.process = None

    def upgrade(self, seconds=40):
        """SIGUSR2; returns when the new supervisor serves. The old one, as Popen or Adopted; it drains yet."""
        procs.adopt_orphans()
        old = self.process
        self.pids()
        old.send_signal(signal.SIGUSR2)
        net.wait_for(lambda: self.pid_in_file() not in (None, old.pid), seconds, lambda: f"taken over\n{self.tail()}")
        self.process = procs.Adopted(self.pid_in_file())
        return old

    def pid_in_file(self):
        text = (self.run / "sparkgwd.pid").read_text().strip()
        return int(text) if text else None

    def left_over(self):
        return [pid for pid in self.seen if procs.is_alive(pid)]

    def check_log(self):
        text = self.log.read_text(errors="replace")
        for alarm in ALARMS:
            at = text.find(alarm)
            assert at < 0, f"in {self.log}:\n{text[max(0, at - 500):at + 4000]}"
        for word in self.secrets:
            assert word not in text, f"a secret in {self.log}"

    def tail(self, lines=40):
        return "".join(self.log.read_text(errors="replace").splitlines(True)[-lines:])

    # ---- looking at it ----

    def pids(self, kind=None):
        """All processes, or those of one kind: supervisor, worker, checker, keeper, controller."""
        if self.process is None or self.process.poll() is not None:
            return []
        below = procs.children(self.process.pid)
        self.seen.update(below)
        if kind is None:
            return [self.process.pid, *below]
        if kind == "supervisor":
            return [self.process.pid]
        rows = (self.ask("status") or {"processes": []})["processes"]
        return [row["pid"] for row in rows if row["kind"] == kind and row["pid"] in below]

    def check_descriptors(self, slack=0):
        """Once clients are gone every process has open what it had at the start; workers may keep connections to drivers."""
        def grown():
            now = {p: procs.descriptors(p) for p in self.open_at_start if procs.is_alive(p)}
            return {p: sorted(now[p].values()) for p in now
                    if len(now[p]) > self.open_at_start[p] + slack + (16 if p in self.pids("worker") else 0)}
        net.wait_for(lambda: not grown(), 10, lambda: f"descriptors back to {self.open_at_start}: {grown()}")

    def ctl(self, *args, check=True, timeout=60):
        done = subprocess.run([BUILD / "sparkgwctl", "-s", self.socket, *args], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout)
        for alarm in ALARMS:
            assert alarm not in done.stderr, done.stderr
        assert not check or done.returncode == 0, f"sparkgwctl {args}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def ask(self, *args):
        """The JSON answer of a command; None when nobody answers."""
        done = self.ctl("--json", *args, check=False)
        if done.returncode != 0:
            return None
        pages = [json.loads(line) for line in done.stdout.splitlines()]
        if len(pages) > 1:  # a long list comes in pages
            pages[0]["rows"] = [row for page in pages for row in page["rows"]]
        return pages[0]

    def sessions(self):
        """{session id: row}"""
        return {row["id"]: row for row in self.ask("sessions")["rows"]}

    def create_token(self, user="alice", team="eng", **more):
        """The row of a new one, with its text as `token`. more: service, env, ttl, note."""
        who = ["--service", more.pop("service")] if "service" in more else ["--user", user]
        made = json.loads(self.ctl("--json", "token", "create", *who, "--team", team, *[
            word for name, value in more.items() for word in (f"--{name}", value)]).stdout)
        self.secrets.append(made["token"])
        return made

    def tokens(self, *args):
        """{id: row}"""
        return {row["id"]: row for row in self.ask("token", "list", *args)["rows"]}

    def reload(self, check=True):
        return self.ctl("reload", check=check)

    # ---- ways in ----

    def way(self, token="token-alice", team="eng", env="prod", clear=False, **params):
        more = {"token": token, "x-doordash-team": team, "x-doordash-env": env, **params}
        if clear:
            return Way("gateway", self.clear_port, more)
        return Way("gateway", self.port, {"use_ssl": "true", **more}, self.authority.ca)

    def connect_clear(self):
        return socket.create_connection(("127.0.0.1", self.clear_port), timeout=20)
