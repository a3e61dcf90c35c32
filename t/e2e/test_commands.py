"""The commands, the admin port, the log: what a sysadmin sees."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from harness import net, rpc
from harness.gateway import BUILD


@pytest.fixture
def small(make_gateway, fakes):
    gateway = make_gateway(fakes)
    with rpc.Channel(gateway.way()) as channel:
        for _ in range(4):
            channel.call("Config", rpc.config(rpc.new_id()))
    with rpc.Channel(gateway.way(), token="token-bob") as channel:
        channel.call("Config", rpc.config(rpc.new_id()))
    return gateway


def daemon(*args):
    return subprocess.run([BUILD / "sparkgwd", *args], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)


def test_status(small):
    status = small.ask("status")
    assert status["ready"] and status["sessions"] == 5
    kinds = sorted(p["kind"] for p in status["processes"])
    assert kinds == ["checker", "controller", "keeper", "supervisor", "worker", "worker"], kinds
    assert "worker" in small.ctl("status").stdout


def test_status_says_what_is_wrong_though_the_gateway_is_ready(small):
    assert small.ctl("status").stdout.splitlines()[1].startswith("5 sessions")
    tls, good = small.conf["listeners"][0]["tls"], small.file.read_text()
    subprocess.run(["openssl", "req", "-x509", "-new", "-key", tls["key"], "-out", tls["certificate"], "-days", "3", "-subj", "/CN=x"],
                   check=True, capture_output=True)
    small.reload()
    small.write("nonsense: true\n")
    small.reload(check=False)
    first, failed, ends, sessions = small.ctl("status").stdout.splitlines()[:4]
    assert first.endswith(", ready") and sessions.startswith("5 sessions")
    assert failed == "  the last reload failed: sparkgwd -t -c FILE says why"
    assert ends == f"  the certificate {tls['certificate']} of 127.0.0.1:{small.port} expires in 2d23h"
    small.write(good)
    small.reload()
    assert "reload" not in small.ctl("status").stdout
    assert [row["certificate"] for row in small.ask("status")["certificates"]] == [tls["certificate"]]


def test_drivers_and_clusters(small, fakes):
    rows = small.ask("drivers")["rows"]
    assert sorted(r["address"] for r in rows) == sorted(f.address for f in fakes)
    assert {r["state"] for r in rows} == {"up"}
    assert small.ask("clusters")["rows"][0]["name"] == "eng-prod"
    assert fakes[0].address in small.ctl("drivers").stdout and "eng-prod" in small.ctl("clusters").stdout


def test_sessions(small):
    rows = small.ask("sessions")["rows"]
    assert len(rows) == 5 and {r["user"] for r in rows} == {"alice", "bob"}
    assert {r["team"] for r in rows} == {"eng"} and {r["env"] for r in rows} == {"prod"}
    assert len(small.ask("sessions", "--user", "bob")["rows"]) == 1
    assert small.ctl("sessions").stdout.count("alice") == 4


def test_exit_statuses(small, tmp_path):
    assert small.ctl("no-such-command", check=False).returncode == 2
    assert small.ctl(check=False).returncode == 2
    # the problem is the last line, and above it stands what is like that which was meant
    assert small.ctl("sttus", check=False).stderr == "sparkgwctl: there is no such command (sparkgwctl --help lists them): sttus\n"
    *like, problem = small.ctl("driver", "drain", check=False).stderr.splitlines()
    assert problem == "sparkgwctl: an argument is missing" and [line.split()[:2] for line in like] == [["driver", "drain"], ["driver", "undrain"]]
    assert small.ctl("session", "close", rpc.new_id(), check=False).returncode == 1
    assert small.ctl("driver", "drain", "nobody", check=False).returncode == 1
    gone = subprocess.run([BUILD / "sparkgwctl", "-s", tmp_path / "none.sock", "status"], capture_output=True, text=True)
    assert gone.returncode == 3 and "is this its socket (-c FILE or -s SOCKET)?" in gone.stderr
    assert "no gateway at" in gone.stderr
    (tmp_path / "closed").mkdir(mode=0)
    powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
    denied = subprocess.run([*powerless, BUILD / "sparkgwctl", "-s", tmp_path / "closed/a.sock", "status"], capture_output=True, text=True)
    assert denied.returncode == 3 and denied.stderr.startswith("sparkgwctl: not allowed to use /"), denied.stderr


def test_options_that_every_program_has():
    for program in "sparkgwctl", "sparkgwd":
        for short, long, words in ("-h", "--help", f"usage: {program} "), ("-V", "--version", f"{program} "):
            said = [subprocess.run([BUILD / program, option], capture_output=True, text=True) for option in (short, long)]
            assert {done.returncode for done in said} == {0} and {done.stdout for done in said} == {said[0].stdout}
            assert said[0].stdout.startswith(words) and not said[0].stderr


def test_a_session_is_closed_by_a_uuid_only(small):
    done = small.ctl("session", "close", "x", check=False)
    assert done.returncode == 1 and done.stderr == "id: the UUID of a session is expected, beside it nothing but user\n"


def test_socket_of_a_configuration_file(small):
    done = subprocess.run([BUILD / "sparkgwctl", "-c", small.file, "status"], capture_output=True, text=True)
    assert done.returncode == 0 and "worker" in done.stdout


def get(gateway, path, method="GET"):
    request = urllib.request.Request(f"http://127.0.0.1:{gateway.admin_port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_admin_port(small, fakes):
    assert get(small, "/healthz")[0] == 200
    assert get(small, "/readyz")[0] == 200
    assert get(small, "/../etc/passwd")[0] == 404
    assert get(small, "/nothing")[0] == 404
    for act in ("/reload", "/session/close", "/driver/drain"):
        assert get(small, act, "POST")[0] in (403, 404, 405), act
    for fake in fakes:
        fake.die()
    net.wait_for(lambda: get(small, "/readyz")[0] == 503, 10, "not ready without drivers")


def test_check_of_a_file(small, tmp_path):
    assert daemon("-t", "-c", small.file).returncode == 0
    bad = tmp_path / "bad.yaml"
    for text in ("workers: 2\nworkers: 3\nlog: {level: info,\n  level: warn}\n", "region: a\nfoo: 1\nlog: {level: info,\n  bar: 1}\n"):
        bad.write_text(text)
        done = daemon("-t", "-c", bad)
        assert done.returncode == 1 and "bad.yaml:2:1: " in done.stderr and "bad.yaml:4:3: " in done.stderr, done.stderr


def test_effective_configuration_loads_again(small, tmp_path):
    printed = daemon("-T", "-c", small.file)
    assert printed.returncode == 0 and "token-alice" not in printed.stdout
    again = small.folder / "again.yaml"
    again.write_text(printed.stdout)
    assert daemon("-T", "-c", again).stdout == printed.stdout


def test_versions_and_usage():
    assert "sparkgwd" in daemon("-V").stdout and "nghttp2" in daemon("-V").stdout
    assert daemon("--nonsense").returncode == 2


@pytest.mark.parametrize("text", ["", "\0", "[", "a: &x [*x]", "a: !!str 1", "- 1", "a: 1\n---\nb: 2", "x" * 2_000_000, "[" * 100_000])
def test_files_that_are_no_configuration(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    done = daemon("-t", "-c", path)
    assert done.returncode == 1 and done.stderr.startswith(str(path)), done


def test_secret_file_that_others_may_read(small):
    (small.folder / "tokens").chmod(0o644)
    done = daemon("-t", "-c", small.file)
    assert done.returncode == 1 and "tokens" in done.stderr


def test_pepper_is_made_once_and_must_be_closed_to_others(make_gateway, fake):
    gateway = make_gateway([fake])
    pepper = gateway.folder / "state" / "keys" / "pepper"
    first = pepper.read_bytes()
    assert len(first) == 32 and pepper.stat().st_mode & 0o777 == 0o600 and pepper.parent.stat().st_mode & 0o777 == 0o700
    gateway.reload()
    gateway.stop()
    pepper.chmod(0o644)
    done = daemon("-c", gateway.file)
    assert done.returncode == 1 and f"{pepper}: open to others (mode 0644); do chmod o= on it" in done.stderr
    pepper.chmod(0o600)
    gateway.start()
    assert pepper.read_bytes() == first


def test_second_gateway_in_the_same_folder_is_refused(small):
    done = daemon("-c", small.file)
    assert done.returncode == 1 and done.stderr
    assert small.ask("status")["ready"]


def test_log_is_opened_again(make_gateway, fake):
    gateway = make_gateway([fake], start=False)
    log = gateway.folder / "gateway.log"
    gateway.conf["log"] = {"level": "info", "format": "json", "file": str(log)}
    gateway.write()
    gateway.start()
    old = log.rename(log.with_suffix(".1"))
    gateway.process.send_signal(signal.SIGUSR1)
    net.wait_for(lambda: log.exists(), 5, "a new log file")
    gateway.reload()
    net.wait_for(lambda: log.read_text(), 5, "lines in it")
    for line in old.read_text().splitlines() + log.read_text().splitlines():
        json.loads(line)


def test_two_clusters_of_two_teams(make_gateway, fakes):
    gateway = make_gateway({"eng-prod": [fakes[0].address], "ops-prod": [fakes[1].address]})
    with rpc.Channel(gateway.way(), token="token-alice", x_doordash_team=None) as channel:
        channel.call("Config", rpc.config(rpc.new_id()))
    with rpc.Channel(gateway.way(), token="token-carol", x_doordash_team="ops") as channel:
        channel.call("Config", rpc.config(rpc.new_id()))
    assert [c.envelope()[0] for c in fakes[0].calls] == ["alice"]
    assert [c.envelope()[0] for c in fakes[1].calls] == ["carol"]


def test_driver_token_replaces_the_clients(make_gateway, fake):
    gateway = make_gateway([fake], start=False)
    secret = gateway.folder / "driver.token"
    secret.write_text("token-of-the-driver\n")
    secret.chmod(0o600)
    gateway.conf["clusters"][0]["token_file"] = str(secret)
    gateway.write()
    gateway.start()
    with rpc.Channel(gateway.way()) as channel:
        channel.call("Config", rpc.config(rpc.new_id()))
    assert fake.calls[0].headers["authorization"] == "Bearer token-of-the-driver"


# ---- who else comes to the admin address ----

def healthz(gateway, host="127.0.0.1", timeout=10):
    """The first line of the answer."""
    with socket.create_connection(("127.0.0.1", gateway.admin_port), timeout=timeout) as peer:
        peer.sendall(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return peer.recv(4096).decode().partition("\r\n")[0]


def test_whoever_dawdles_keeps_nobody_out(small):
    """300 connections, most with half a request of which a byte comes now and then; on the control socket, too."""
    def dawdle(count, connect):
        for n in range(count):
            peer = connect()
            peer.setblocking(False)
            peers.append(peer)
            if n % 4:
                peer.send(b"GET /healthz HTTP/1.1\r\nX: ")

    def connect_control():
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(str(small.socket))
        return peer
    peers = []
    dawdle(300, lambda: socket.create_connection(("127.0.0.1", small.admin_port)))
    dawdle(100, connect_control)
    for _ in range(20):
        begin = time.monotonic()
        assert healthz(small).endswith(" 200 OK")
        assert small.ask("status")["ready"]
        assert time.monotonic() - begin < 3, "idle connections are closed after 10 s only"
        for peer in peers:
            try:
                peer.send(b"x")
            except OSError:
                pass  # it was sent away
    for peer in peers:
        peer.close()


@pytest.mark.parametrize("host, good", [
    ("127.0.0.1:15003", True), ("localhost", True), ("LocalHost:1", True), ("[::1]:15003", True), ("10.0.0.7", True),
    ("evil.example", False), ("evil.example:15003", False), ("localhost.evil.example", False), ("127.0.0.1.evil.example", False)])
def test_a_page_of_a_stranger_cannot_read_the_admin_address(small, host, good):
    """By a name that resolves to the loopback address."""
    assert healthz(small, host) == ("HTTP/1.1 200 OK" if good else "HTTP/1.1 421 Misdirected Request")
