"""The Debian package on a clean system with systemd: installed, started, confined, reloaded, killed, upgraded, removed. About four
minutes, of which three go into the making of the package and of the system.
"""

import os
import re
import shutil

import pytest
import yaml

from harness import net, package
from harness.booted import System, make_root
from harness.client import Way
from harness.gateway import ROOT
from harness.spark import Driver

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
UNIT = "sparkgwd.service"
DROP_INS = f"/etc/systemd/system/{UNIT}.d"
TLS_PORT = 15003
TWO_QUERIES = """
out(spark.range(1000).selectExpr("sum(id)").collect()[0][0])
time.sleep(4)
out(spark.range(10).count())
"""


@pytest.fixture(scope="module")
def deb(debian):
    return package.main_package(debian)


@pytest.fixture(scope="module")
def system(deb, tmp_path_factory):
    """Booted, with the package installed as an operator would."""
    if os.geteuid() != 0:
        pytest.skip("only root can boot a system")
    root = tmp_path_factory.mktemp("system") / "root"
    make_root(root, deb)
    system = System(root)
    try:
        system.boot()
        system.run("apt-get", "install", "-y", "--no-install-recommends", f"/root/{deb.name}")
        yield system
    finally:
        system.stop()


def show(system, name):
    return system.ask("systemctl", "show", "-P", name, UNIT)


def journal(system):
    return system.ask("journalctl", "-u", UNIT, "-o", "cat", "--no-pager")


def status(system):
    return yaml.safe_load(system.ask("sparkgwctl", "--json", "status", check=False) or "{}")


def wait_until_it_runs(system, seconds=30):
    net.wait_for(lambda: show(system, "ActiveState") == "active" and status(system), seconds, lambda: journal(system))


class Edit:
    """Changes of the configuration and of the unit; undone at the end of the test."""

    def __init__(self, system):
        self.system, self.file, self.folder = system, system.path("/etc/sparkgw/sparkgw.yaml"), system.path(DROP_INS)
        self.before = self.file.read_text()

    def configure(self, change):
        conf = yaml.safe_load(self.file.read_text())
        change(conf)
        self.file.write_text(yaml.safe_dump(conf))

    def drop_in(self, text):
        self.folder.mkdir(exist_ok=True)
        (self.folder / "test.conf").write_text(text)
        self.system.run("systemctl", "daemon-reload")

    def undo(self):
        self.file.write_text(self.before)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.system.run("systemctl", "daemon-reload")
        self.system.run("systemctl", "restart", UNIT)


@pytest.fixture
def edit(system):
    edit = Edit(system)
    yield edit
    edit.undo()


# ---- as it is installed ----

def test_it_runs_at_once(system):
    assert show(system, "ActiveState") == "active"
    assert system.ask("systemctl", "is-enabled", UNIT) == "enabled"
    assert system.ask("systemctl", "is-enabled", "sparkgwd.socket", check=False) == "disabled"
    system.run("sparkgwd", "-t")
    assert status(system)["ready"] is False
    assert "worker" in show(system, "StatusText")


def test_its_folders(system):
    for path, mode in (("/var/lib/sparkgw", 750), ("/var/log/sparkgw", 750), ("/run/sparkgw", 755)):
        assert system.ask("stat", "-c", "%U:%G %a", path) == f"sparkgw:sparkgw {mode}", path


def test_systemd_says_what_we_say(system):
    """The score of the running unit, and no complaint about it."""
    assert system.ask("systemd-analyze", "verify", "--man=no", UNIT, "sparkgwd.socket") == ""
    found = system.ask("systemd-analyze", "security", "--no-pager", UNIT)
    assert float(re.search(r"level for sparkgwd.service: ([\d.]+)", found).group(1)) <= 1.2


def test_its_programs_can_be_replaced(system):
    """By new ones of the same name, as a package does: they can be run as the old ones could."""
    for name in ("sparkgwd", "sparkgw-controller"):
        path = system.path(f"/usr/libexec/sparkgw/{name}")
        shutil.copy2(path, path.with_suffix(".new"))
        path.with_suffix(".new").rename(path)
    system.run("nsenter", "-t", show(system, "MainPID"), "-m", "/usr/libexec/sparkgw/sparkgwd", "-V")
    generation = status(system)["generation"]
    system.run("systemctl", "reload", UNIT)
    net.wait_for(lambda: [p["generation"] for p in status(system).get("processes", []) if p["kind"] == "controller"] == [generation + 1],
                 10, lambda: journal(system))
    assert "cannot run" not in journal(system)


def test_nothing_else_can_be_run_in_it(system):
    pid = show(system, "MainPID")
    for program, works in (("/usr/bin/sparkgwctl", True), ("/bin/sh", False), ("/usr/bin/perl", False), ("/usr/lib/apt/apt-helper", False)):
        done = system.run("nsenter", "-t", pid, "-m", program, "--version", check=False)
        assert ("Permission denied" not in done.stderr) is works, done.stderr
    for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
        assert f"{line}\n" in system.path(f"/proc/{pid}/status").read_text()
    assert re.search(r"^Max core file size +0 +0 ", system.path(f"/proc/{pid}/limits").read_text(), re.M)


# ---- work ----

def serve(conf, port=None):
    conf["listeners"].append({"address": f"127.0.0.1:{TLS_PORT}", "tls": {"certificate": "server.crt", "key": "server.key"}})
    conf["teams"] = [{"name": "eng", "groups": ["eng"]}]
    conf["clusters"] = [{"name": "eng-prod", "team": "eng", "env": "prod", "drivers": [{"address": f"127.0.0.1:{port}"}]}]


def give(system, name, owner, mode):
    system.run("chown", owner, f"/etc/sparkgw/{name}")
    system.run("chmod", mode, f"/etc/sparkgw/{name}")


@pytest.fixture
def secrets(system, authority):
    """A certificate, its key, and a driver's token, for root and the gateway."""
    crt, key = authority.issue("localhost")
    for name, text in (("server.crt", crt.read_text()), ("server.key", key.read_text()), ("fe-prod.token", "secret-of-spark\n")):
        system.path(f"/etc/sparkgw/{name}").write_text(text)
        give(system, name, "root:sparkgw", 640)
    yield
    for name in ("server.crt", "server.key", "fe-prod.token"):
        system.path(f"/etc/sparkgw/{name}").unlink()


def test_a_query_over_tls(system, edit, secrets, authority, tmp_path):
    """Real Spark behind it, real PySpark before it, the sandbox around it; with a reload between two queries of a session."""
    with system.network():
        driver = Driver("driver", tmp_path).start()
        try:
            edit.configure(lambda conf: serve(conf, driver.port))
            system.run("systemctl", "reload", UNIT)
            net.wait_for(lambda: status(system)["ready"], 20, lambda: status(system))
            token = system.ask("sparkgwctl", "token", "create", "--user", "alice", "--team", "eng")
            way = Way("gateway", TLS_PORT, {"use_ssl": "true", "token": token, "x-doordash-team": "eng",
                                            "x-doordash-env": "prod"}, authority.ca)
            program = way.start(TWO_QUERIES)
            assert program.next() == 499500
            system.run("systemctl", "reload", UNIT)
            assert program.next() == 10
            program.finish()
        finally:
            driver.stop()


def test_reload_that_is_refused(system, edit):
    generation = status(system)["generation"]
    edit.configure(lambda conf: conf.update(nonsense=1))
    assert system.run("systemctl", "reload", UNIT, check=False).returncode != 0
    assert "nonsense: unknown key" in journal(system)
    assert show(system, "ActiveState") == "active" and status(system)["generation"] == generation


def test_the_log_says_who_it_was(system):
    """A member of the group, not root."""
    system.run("setpriv", "--reuid=daemon", "--regid=sparkgw", "--clear-groups", "sparkgwctl", "reload")
    number = system.ask("id", "-u", "daemon")
    assert re.search(rf"uid={number} pid=\d+ reload: done", journal(system))
    assert system.run("setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups", "sparkgwctl", "reload", check=False).returncode == 3


def test_secrets_that_root_alone_may_read(system, edit, secrets):
    for name in ("server.key", "fe-prod.token"):
        give(system, name, "root:root", 600)

    def name_them(conf):
        serve(conf, 1)
        conf["listeners"][1]["tls"]["key"] = f"/run/credentials/{UNIT}/server.key"
        conf["clusters"][0]["token_file"] = f"/run/credentials/{UNIT}/fe-prod.token"
    edit.configure(name_them)
    edit.drop_in((ROOT / "etc/systemd/credentials.conf").read_text())
    system.run("systemctl", "restart", UNIT)
    system.run("systemctl", "reload", UNIT)
    wait_until_it_runs(system)


def test_ports_below_1024(system, edit):
    edit.configure(lambda conf: conf["listeners"][0].update(address="127.0.0.1:443"))
    assert system.run("systemctl", "restart", UNIT, check=False).returncode != 0
    assert "cannot listen on 127.0.0.1:443: Permission denied" in journal(system)
    edit.drop_in((ROOT / "etc/systemd/low-ports.conf").read_text())
    system.run("systemctl", "restart", UNIT)
    wait_until_it_runs(system)
    with system.network():
        assert net.is_open(443)


def test_sockets_of_the_service_manager(system):
    system.run("systemctl", "stop", UNIT)
    system.run("systemctl", "start", "sparkgwd.socket")
    try:
        with system.network():
            assert net.is_open(15002)  # which starts the service
            wait_until_it_runs(system)
            system.run("systemctl", "stop", UNIT)
            assert net.is_open(15002)
        wait_until_it_runs(system)
    finally:
        system.run("systemctl", "stop", "sparkgwd.socket", UNIT)
        system.run("systemctl", "start", UNIT)


def test_rotation_of_logs(system, edit):
    edit.configure(lambda conf: conf.update(log={"file": "/var/log/sparkgw/gateway.log"}))
    system.run("systemctl", "restart", UNIT)
    system.run("logrotate", "--force", "/etc/logrotate.d/sparkgw")
    system.run("systemctl", "reload", UNIT)
    log = system.path("/var/log/sparkgw/gateway.log")
    net.wait_for(lambda: log.exists() and "generation 2" in log.read_text(), 10, "lines in a new log")
    assert "generation 2" not in log.with_name("gateway.log.1").read_text()


# ---- trouble ----

def test_killed_it_comes_back(system):
    """All of it is killed; what is in its shared memory is still there when it starts again."""
    pid, segment = show(system, "MainPID"), system.path("/run/sparkgw/segment")
    number = segment.stat().st_ino
    system.run("systemctl", "kill", "--signal=KILL", UNIT)
    net.wait_for(lambda: show(system, "SubState") == "auto-restart", 5, "it is dead")
    assert segment.stat().st_ino == number
    wait_until_it_runs(system)
    assert show(system, "NRestarts") == "1" and show(system, "MainPID") != pid


def test_it_hangs(system, edit):
    """The watchdog: a supervisor that says nothing is aborted, and started again."""
    edit.drop_in("[Service]\nWatchdogSec=2s\n")
    system.run("systemctl", "restart", UNIT)
    pid = show(system, "MainPID")
    system.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", UNIT)
    net.wait_for(lambda: show(system, "MainPID") not in (pid, "0"), 30, lambda: journal(system))
    wait_until_it_runs(system)
    assert f"{UNIT}: Watchdog timeout" in journal(system)


# ---- another version, and the end ----

def test_another_version_takes_over(system, deb):
    """Nothing is stopped: the new program gets the sockets from the old one, and goes on with its numbers."""
    system.run("systemctl", "reload", UNIT)
    reloads = status(system)["counters"]["reloads_ok"]
    pid, restarts = show(system, "MainPID"), show(system, "NRestarts")
    system.run("dpkg", "-i", f"/root/{deb.name}")
    net.wait_for(lambda: show(system, "MainPID") != pid, 30, lambda: journal(system))
    wait_until_it_runs(system)
    net.wait_for(lambda: not system.path(f"/proc/{pid}").exists(), 30, lambda: journal(system))
    assert show(system, "NRestarts") == restarts and show(system, "ActiveState") == "active"
    assert status(system)["counters"]["reloads_ok"] == reloads > 0
    system.run("systemctl", "reload", UNIT)


def test_removal(system):
    system.run("apt-get", "remove", "-y", "sparkgw")
    assert not system.path("/usr/sbin/sparkgwd").exists() and system.path("/etc/sparkgw/sparkgw.yaml").exists()
    assert system.ask("pgrep", "-c", "sparkgw", check=False) in ("", "0")
    system.run("apt-get", "purge", "-y", "sparkgw")
    assert not system.path("/etc/sparkgw").exists() and not system.path("/var/log/sparkgw").exists()
    state = system.path("/var/lib/sparkgw")
    assert {str(p.relative_to(state)) for p in state.rglob("*") if p.parent.name != "audit"} == {"audit", "keys", "keys/audit"}
