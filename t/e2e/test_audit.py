"""The audit files as a sysadmin sees them: acts of administrators, rotation, verification, sudden deaths."""

import json
import signal
import subprocess

import pytest

from harness import net
from harness.gateway import BUILD


def audit(gateway, *args, check=True):
    done = subprocess.run([BUILD / "sparkgwctl", "-c", gateway.file, "audit", *args], capture_output=True, text=True, timeout=30)
    assert "runtime error" not in done.stderr, done.stderr
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def sealed(gateway):
    return sorted((gateway.folder / "state/audit").glob("audit-*.log"), key=lambda p: p.name.split("-")[-1])


def files(gateway):
    """Sealed ones first, by number."""
    return sealed(gateway) + list((gateway.folder / "state/audit").glob("audit.log"))


def records(gateway, kind=None):
    lines = [json.loads(line) for path in files(gateway) for line in path.read_text().splitlines()]
    return [r for r in lines if "seal" not in r and (kind is None or r["kind"] == kind)]


@pytest.fixture
def gateway(make_gateway, fakes):
    return make_gateway(fakes, audit={"gateway": "gw-test"})


def test_acts_of_administrators(gateway):
    name = f"eng-prod/{gateway.conf['clusters'][0]['drivers'][0]['address']}"
    gateway.ctl("driver", "drain", name)
    gateway.ctl("driver", "drain", "nobody", check=False)
    gateway.reload()
    net.wait_for(lambda: len(records(gateway, "act")) == 3, 10, lambda: f"recorded: {records(gateway)}")
    drain, nobody, reload = records(gateway, "act")
    assert drain["act"] == f"driver drain {name}" and drain["done"] and drain["by"].startswith("uid=")
    assert not nobody["done"] and nobody["why"] == "not found"
    assert reload["act"] == "reload" and reload["done"]
    assert {r["gateway"] for r in records(gateway)} == {"gw-test"}
    assert [r["generation"] for r in records(gateway) if r.get("event") == "started"] == [1, 2]
    shown = audit(gateway, "tail").stdout
    assert f"act driver drain {name} by=uid=" in shown and "reload" in shown
    assert [json.loads(line)["seq"] for line in audit(gateway, "tail", "-n", "2", "--json").stdout.splitlines()] \
        == [r["seq"] for r in records(gateway)[-2:]]


def test_tail_looks_back_over_files(gateway):
    """Just after a rotation there is no more than the new file's first records."""
    for acts in range(1, 5):
        gateway.ctl("driver", "drain", "nobody", check=False)
        net.wait_for(lambda: len(records(gateway, "act")) == acts, 10, lambda: f"recorded: {records(gateway)}")
        if acts < 4:
            gateway.process.send_signal(signal.SIGUSR1)
            net.wait_for(lambda: len(sealed(gateway)) == acts, 10, "rotated")
    everything = [r["seq"] for r in records(gateway)]
    assert len(everything) >= 8 and len(files(gateway)) == 4
    for n in (0, 1, 2, 3, 5, len(everything), 1000):
        lines = [json.loads(line) for line in audit(gateway, "tail", "-n", str(n), "--json").stdout.splitlines()]
        assert [r["seq"] for r in lines if "seal" not in r] == everything[len(everything) - min(n, len(everything)):], n
    assert audit(gateway, "tail").stdout.count("act driver drain nobody") == 4


def test_tail_goes_on_behind_a_file_that_was_cut(gateway):
    """Somebody took its end away, and the seal with it: what came after it is shown all the same."""
    gateway.ctl("driver", "drain", "first", check=False)
    net.wait_for(lambda: len(records(gateway, "act")) == 1, 10, lambda: f"recorded: {records(gateway)}")
    gateway.process.send_signal(signal.SIGUSR1)
    net.wait_for(lambda: len(sealed(gateway)) == 1, 10, "rotated")
    gateway.ctl("driver", "drain", "second", check=False)
    net.wait_for(lambda: len(records(gateway, "act")) == 2, 10, lambda: f"recorded: {records(gateway)}")
    path = sealed(gateway)[0]
    path.write_text("".join(path.read_text().splitlines(True)[:-1]))
    shown = audit(gateway, "tail", "-n", "100").stdout
    assert "driver drain first" in shown and "driver drain second" in shown


def test_numbers_go_on_over_rotations_and_restarts(gateway):
    for _ in range(3):
        gateway.ctl("driver", "drain", "nobody", check=False)
        before = len(sealed(gateway))
        gateway.process.send_signal(signal.SIGUSR1)
        net.wait_for(lambda: len(sealed(gateway)) == before + 1, 10, lambda: f"sealed: {files(gateway)}")
    gateway.restart()
    gateway.kill()
    gateway.start()
    gateway.ctl("driver", "drain", "nobody", check=False)
    numbers = [r["seq"] for r in records(gateway)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(files(gateway)) >= 4
    assert audit(gateway, "verify").stdout.count("sealed\n") >= 3


def test_what_was_changed_is_found(gateway):
    gateway.ctl("driver", "drain", "nobody", check=False)
    gateway.stop()
    path = files(gateway)[-1]
    text = path.read_text()
    assert audit(gateway, "verify", path).returncode == 0
    path.write_text(text.replace("nobody", "nobodi"))
    done = audit(gateway, "verify", check=False)
    assert done.returncode == 1 and "changed" in done.stdout and "record 3" in done.stdout
    path.write_text(text.replace(text.splitlines(True)[1], ""))
    done = audit(gateway, "verify", path, check=False)
    assert done.returncode == 1 and "removed: before it, records 2 to 2 are missing" in done.stdout
    path.write_text(text)
    assert audit(gateway, "verify").returncode == 0


def test_without_audit_there_is_no_file(make_gateway, fakes):
    gateway = make_gateway(fakes, audit={"enabled": False})
    gateway.ctl("driver", "drain", "nobody", check=False)
    assert not (gateway.folder / "state/audit").exists()
    assert audit(gateway, "tail", check=False).returncode == 1
