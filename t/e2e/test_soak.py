"""Load, reloads, deaths of processes and of drivers, all at once: the books balance at the end."""

import os
import random
import signal
import time

import pytest

from harness import net, procs, rpc
from harness.load import Load


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_soak(make_gateway, spark_drivers):
    gateway = make_gateway(spark_drivers, workers=2, drain_timeout="5s")
    sessions = [rpc.new_id() for _ in range(30)]
    chance = random.Random(1)
    with Load(gateway.way(), sessions, threads=6, pause=0.01) as load:
        time.sleep(20)
        memory = procs.pss(gateway.pids())
        end = time.monotonic() + 300
        last_reload = last_kill = time.monotonic()
        kills = 0
        while time.monotonic() < end:
            time.sleep(0.5)
            now = time.monotonic()
            if now - last_reload > 10:
                gateway.reload(check=False)
                last_reload = now
            if now - last_kill > 7:
                victims = gateway.pids(chance.choice(["worker", "keeper", "checker", "controller"]))
                if victims:
                    os.kill(chance.choice(victims), signal.SIGKILL)
                    kills += 1
                last_kill = now
    net.wait_for(lambda: gateway.ask("status") and len(gateway.pids("worker")) == 2, 30, "calm")
    unexpected = [f for f in load.failures if not f.startswith("StatusCode.UNAVAILABLE")]
    assert unexpected == []
    assert len(load.failures) <= kills * 6 * 4, f"{len(load.failures)} of {load.done} failed with {kills} kills"
    assert procs.pss(gateway.pids()) - memory < 32 << 20
    seen = [session for driver in spark_drivers for _, session in driver.sessions() if session in sessions]
    assert len(seen) == len(set(seen)), "a session was on two drivers"
