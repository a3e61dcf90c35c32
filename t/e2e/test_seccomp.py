"""Workers are confined once they are ready, and work on as before. (The filter itself: t/unit/test_confine.c.)"""

import os
import signal

import pytest

from harness import net, rpc
from harness.fake import Stream
from harness.load import Load
from test_audit_records import answer, ask, command, compressed, wait_for

pytestmark = pytest.mark.usefixtures("unsanitized")


def seccomp(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(next(line for line in f if line.startswith("Seccomp:")).split()[1])


def test_workers_are_confined(make_gateway, fake):
    gateway = make_gateway([fake])
    assert [seccomp(pid) for pid in gateway.pids("worker")] == [2, 2]
    assert [seccomp(pid) for kind in ("supervisor", "keeper", "controller") for pid in gateway.pids(kind)] == [0, 0, 0]


def test_nothing_they_need_is_refused(make_gateway, fake):
    """Load, log rotation, reload, a lost driver, a drain, an upgrade: nothing is refused on the way."""
    fake.behave = Stream.answer_config
    gateway = make_gateway([fake], start=False, drain_timeout="5s", log={"level": "info", "format": "text", "file": "own.log"})
    own = gateway.folder / "own.log"
    gateway.start()
    with Load(gateway.way(), [rpc.new_id() for _ in range(20)]) as load:
        own.rename(gateway.folder / "own.log.1")
        gateway.process.send_signal(signal.SIGUSR1)
        net.wait_for(own.exists, 10, "a new log file")
        gateway.reload()
        net.wait_for(lambda: len(gateway.pids("worker")) == 2, 30, "old workers gone")
        old = gateway.upgrade()
        net.wait_for(lambda: old.poll() is not None, 30, "the old one ended")
    assert load.failures == []
    fake.stop()
    with rpc.Channel(gateway.way()) as channel:
        channel.refusal("Config", rpc.config(rpc.new_id()))
    gateway.stop()
    text = own.read_text() + (gateway.folder / "own.log.1").read_text() + gateway.log.read_text()
    assert "refused, the last" not in text and "cannot be confined" not in text


def test_plans_are_looked_into(make_gateway, fake):
    """What records of RPCs take is theirs, too: memory to inflate a plan, chance for a trace, room in the segment."""
    fake.behave = answer
    gateway = make_gateway([fake], workers=1)
    texts = ["select 1", f"select '{os.urandom(1_500_000).hex()}'"]
    for text in texts:
        for make in (command, compressed):
            request = rpc.sql(rpc.new_id(), "")
            request.plan.CopyFrom(make(text))
            assert ask(gateway, request).status == 0
    assert sorted(r["plan"]["sql_length"] for r in wait_for(gateway, 4)) == sorted(2 * [len(text) for text in texts])
    gateway.stop()
    assert "refused, the last" not in gateway.log.read_text()


def test_workers_follow_the_log(make_gateway, fake):
    """They cannot open the new file; it is handed to them."""
    gateway = make_gateway([fake], start=False, log={"level": "debug", "format": "text", "file": "own.log"})
    own = gateway.folder / "own.log"
    gateway.start()
    own.rename(gateway.folder / "own.log.1")
    gateway.process.send_signal(signal.SIGUSR1)
    net.wait_for(own.exists, 10, "a new log file")

    def said():
        with rpc.Channel(gateway.way(), token="nobody") as channel:
            channel.refusal("Config", rpc.config(rpc.new_id()))
        return "worker=" in own.read_text()
    net.wait_for(said, 10, "lines of workers in the new file")
