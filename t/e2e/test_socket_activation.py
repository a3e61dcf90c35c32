"""The service manager opens the sockets: LISTEN_FDS. The test plays the manager."""

import os
import signal
import socket
import subprocess

import pytest

from harness import net, rpc
from harness import gateway as gateways
from harness.fake import Stream
from harness.load import Load

# the number of the process must be known to itself only after fork
START = "import os, sys; os.environ['LISTEN_PID'] = str(os.getpid()); os.execv(sys.argv[1], sys.argv[1:])"


def listen(port, family=socket.AF_INET, reuse=False):
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(4096)
    return sock


def activate(gateway, socks, **env):
    """As systemd: the sockets are descriptors 3 and on."""
    def place():
        copies = [os.dup(s.fileno()) for s in socks]
        for number, fd in enumerate(copies, 3):
            os.dup2(fd, number)
    env = {**os.environ, "LISTEN_FDS": str(len(socks)), "LISTEN_FDNAMES": ":".join(["sparkgwd.socket"] * len(socks)),
           "ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1", **env}
    with open(gateway.log, "a") as log:
        gateway.process = subprocess.Popen(
            ["python3", "-c", START, gateways.BUILD / "sparkgwd", "-c", gateway.file], stdin=subprocess.DEVNULL, stdout=log,
            stderr=log, env=env, cwd=gateway.folder, preexec_fn=place, close_fds=False)
    return gateway


def call(gateway, clear=False):
    with rpc.Channel(gateway.way(clear=clear)) as channel:
        channel.call("Config", rpc.config(rpc.new_id()))


def test_given_and_own_sockets(make_gateway, fake):
    """One of two listeners is given, the other is bound by the gateway; no child sees the variables."""
    fake.behave = Stream.answer_config
    gateway = make_gateway([fake], start=False)
    with listen(gateway.port) as sock:
        activate(gateway, [sock]).wait()
        call(gateway)
        call(gateway, clear=True)
        for pid in gateway.pids("controller"):
            with open(f"/proc/{pid}/environ", "rb") as f:
                assert b"LISTEN_" not in f.read()
        gateway.reload()
        call(gateway)


def test_who_comes_while_it_is_restarted_waits(make_gateway, fake):
    fake.behave = Stream.answer_config
    gateway = make_gateway([fake], start=False)
    with listen(gateway.port) as sock:
        activate(gateway, [sock]).wait()
        with Load(gateway.way(), [rpc.new_id()], pause=0.05) as load:
            gateway.stop()
            activate(gateway, [sock]).wait()
        assert load.failures == []


def test_upgrade_keeps_them(make_gateway, fake):
    fake.behave = Stream.answer_config
    gateway = make_gateway([fake], start=False)
    with listen(gateway.port) as sock:
        activate(gateway, [sock]).wait()
        sessions = [rpc.new_id() for _ in range(4)]
        with Load(gateway.way(), sessions) as load:
            for _ in range(2):
                old = gateway.upgrade()
                net.wait_for(lambda: old.poll() is not None, 30, "the old one ended")
        assert load.failures == []


def test_connections_are_spread(make_gateway, fake, capsys):
    """All workers accept from one socket: none of them gets nearly all."""
    gateway = make_gateway([fake], start=False, workers=4)
    with listen(gateway.clear_port) as sock:
        activate(gateway, [sock]).wait()
        held = [gateway.connect_clear() for _ in range(400)]

        def shares():
            return sorted(w["counters"]["connections_open"] for w in gateway.ask("status")["workers"])
        net.wait_for(lambda: sum(shares()) == 400, 10, lambda: f"all accepted: {shares()}")
        with capsys.disabled():
            print(f"\n400 connections on 4 workers with one socket: {shares()}")
        assert shares()[0] >= 40, shares()
        for one in held:
            one.close()


def test_a_socket_per_worker(make_gateway, fake):
    fake.behave = Stream.answer_config
    gateway = make_gateway([fake], start=False)
    with listen(gateway.port, reuse=True) as one, listen(gateway.port, reuse=True) as two:
        activate(gateway, [one, two]).wait()
        for _ in range(8):
            call(gateway)


@pytest.mark.parametrize("case", ["unconfigured", "datagram", "nonsense"])
def test_what_cannot_be_used_is_said(make_gateway, fake, case):
    gateway = make_gateway([fake], start=False)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM) if case == "datagram" else listen(net.free_port())
    with sock:
        env = {"LISTEN_FDS": "many"} if case == "nonsense" else {}
        activate(gateway, [sock], **env)
        assert gateway.process.wait(30) == 1
        gateway.process = None
    words = {"unconfigured": "holds a socket at 127.0.0.1:", "datagram": "no listening TCP socket", "nonsense": "LISTEN_FDS"}
    assert words[case] in gateway.tail()


def test_a_reload_cannot_leave_one_behind(make_gateway, fake):
    gateway = make_gateway([fake], start=False)
    with listen(gateway.clear_port) as sock:
        activate(gateway, [sock]).wait()
        gateway.conf["listeners"].pop()
        gateway.write()
        done = gateway.reload(check=False)
        assert done.returncode == 1 and "which no listener has" in done.stdout + done.stderr


def test_somebody_elses_are_left_alone(make_gateway, fake):
    gateway = make_gateway([fake], start=False)
    env = {**os.environ, "LISTEN_FDS": "1", "LISTEN_PID": "1"}
    with open(gateway.log, "a") as log:
        gateway.process = subprocess.Popen([gateways.BUILD / "sparkgwd", "-c", gateway.file], stdin=subprocess.DEVNULL,
                                           stdout=log, stderr=log, env=env, cwd=gateway.folder)
    gateway.wait()
    gateway.stop(signal.SIGTERM)
