"""A disk that is full, or cannot sync: what is configured about it happens, each lost record is counted, and it passes by itself."""

import subprocess

import pytest

from harness import net, rpc
from harness.metrics import scrape
from harness.rpc import pb
from test_audit import audit, records

MIB = 1 << 20
TEXT = "select '{}' -- " + "x" * 8000  # a hundred of them fill a worker's memory for records
WORDS = "new plans cannot be recorded at the moment"


class FullDisk:
    """The audit folder is a small file system, which a ballast fills up."""

    def __init__(self, gateway):
        self.gateway, self.folder = gateway, gateway.folder / "state/audit"
        self.folder.mkdir(parents=True, mode=0o700)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={4 * MIB},mode=700", "none", self.folder], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")

    def begin(self):
        with open(self.folder / "ballast", "wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            while True:
                file.write(bytes(4096))

    def end(self):
        (self.folder / "ballast").unlink(missing_ok=True)

    def close(self):
        subprocess.run(["umount", "-l", self.folder], check=True)


class NoSync:
    """fdatasync() of the audit file answers EIO, as after a bad block."""

    def __init__(self, gateway):
        self.gateway, self.strace = gateway, None

    def begin(self):
        pid = self.gateway.pids("keeper")[0]
        self.strace = subprocess.Popen(
            ["strace", "-f", "-p", str(pid), "-P", self.gateway.folder / "state/audit/audit.log", "-e", "trace=fdatasync",
             "-e", "inject=fdatasync:error=EIO", "-o", self.gateway.folder / "strace"], stderr=subprocess.PIPE, text=True)
        first = self.strace.stderr.readline()
        if "attached" not in first:
            pytest.skip(f"strace cannot be attached here: {first.strip()}")

    def end(self):
        if self.strace and self.strace.poll() is None:
            self.strace.terminate()
            self.strace.communicate(timeout=20)
        assert "EIO" in (self.gateway.folder / "strace").read_text()

    def close(self):
        if self.strace and self.strace.poll() is None:
            self.strace.kill()
            self.strace.communicate()


@pytest.fixture(params=[FullDisk, NoSync], ids=["full", "no sync"])
def make_trouble(request, make_gateway, fake):
    """A gateway with one worker, a session, and the trouble that its disk will have."""
    made = []

    def make(policy):
        gateway = make_gateway([fake], start=False, workers=1, audit={"on_full": policy, "sql_bytes": "16KiB"})
        trouble = request.param(gateway)
        made.append((gateway, trouble))
        gateway.start()
        return gateway, trouble
    yield make
    for gateway, trouble in made:
        try:
            gateway.stop()
        finally:
            trouble.close()


class Caller:
    """Calls in one session, and counts them."""

    def __init__(self, gateway, fake):
        fake.behave = self._behave
        self.gateway, self.channel, self.session, self.count = gateway, rpc.Channel(gateway.way()), rpc.new_id(), 0
        self.call("Config")

    @staticmethod
    def _behave(s):
        if s.method == "Config":
            return s.answer_config()
        s.wait()
        return s.answer(pb.ExecutePlanResponse()) if s.method in rpc.STREAMS else s.answer(b"")

    def call(self, method):
        """How it ended."""
        self.count += 1
        request = rpc.requests(self.session)[method]
        if method == "ExecutePlan":
            request.plan.root.sql.query = TEXT.format(self.count)
        return self.channel.status(method, request)

    def plans(self, until):
        """Plans, until the question is answered; as good as all are served."""
        while not until():
            assert self.call("ExecutePlan") == ("OK", "")
            assert self.count < 5000


def of_rpcs(gateway):
    return [r for r in records(gateway) if r["kind"] == "rpc"]


def lost(gateway):
    return sum(r["records"] for r in records(gateway, "lost"))


def stalled(gateway):
    return scrape(gateway).sum("spark_gateway_audit_stalled") == 1


def recover(gateway, trouble):
    trouble.end()
    net.wait_for(lambda: not stalled(gateway), 20, gateway.tail)
    assert "records can be written again" in gateway.log.read_text()


def expect_all(gateway, count, missing=0):
    """Each RPC is in the file once, but for those that were lost; each of these was counted."""
    net.wait_for(lambda: len(of_rpcs(gateway)) + lost(gateway) >= count, 20, lambda: f"{len(of_rpcs(gateway))} + {lost(gateway)} of {count}")
    found = of_rpcs(gateway)
    print(f"{count} RPCs = {len(found)} records + {lost(gateway)} lost")
    assert (len(found) + lost(gateway), lost(gateway)) == (count, missing)
    assert len({(r["client"], r["rpc"]) for r in found}) == len(found)
    assert "resumed" in [r["event"] for r in records(gateway, "gateway")]
    page = scrape(gateway)
    assert page.sum("spark_connect_requests_total") == count
    assert page.sum("spark_gateway_audit_records_total") == len(found)
    assert page.sum("spark_gateway_audit_lost_total") == missing
    audit(gateway, "verify")


def test_refuse(make_trouble, fake):
    """Served while it can be remembered, then new plans are refused, and nothing else; none is lost."""
    gateway, trouble = make_trouble("refuse")
    caller = Caller(gateway, fake)
    trouble.begin()
    caller.plans(lambda: stalled(gateway))
    answer, served = ("OK", ""), caller.count
    while answer == ("OK", ""):
        answer = caller.call("ExecutePlan")
        assert caller.count < 1000
    assert answer == ("UNAVAILABLE", WORDS) and caller.count > served + 10
    for _ in range(20):
        assert caller.call("ExecutePlan") == caller.call("AnalyzePlan") == ("UNAVAILABLE", WORDS)
        for method in ("Config", "ReattachExecute", "ReleaseExecute", "Interrupt"):
            assert caller.call(method)[0] == "OK", method
    page = scrape(gateway)
    assert page.sum("spark_connect_errors_total", error_type="audit") == 41
    assert page.sum("spark_gateway_audit_failures_total") > 0
    recover(gateway, trouble)
    net.wait_for(lambda: caller.call("ExecutePlan") == ("OK", ""), 10, "plans are served again")
    expect_all(gateway, caller.count)


def test_continue(make_trouble, fake):
    """All goes on; what was lost is told to the last one."""
    gateway, trouble = make_trouble("continue")
    caller = Caller(gateway, fake)
    trouble.begin()
    caller.plans(lambda: stalled(gateway))
    caller.plans(lambda: scrape(gateway).sum("spark_gateway_audit_dropped_total") >= 50)
    recover(gateway, trouble)
    for _ in range(10):
        assert caller.call("ExecutePlan") == ("OK", "")
    expect_all(gateway, caller.count, scrape(gateway).sum("spark_gateway_audit_dropped_total"))
