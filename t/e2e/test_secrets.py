"""No secret is found where it does not belong: after everything that one does with tokens, everything is looked through."""

import os
import pathlib
import resource
import signal
import urllib.error
import urllib.request

import pytest

from harness import net, rpc
from harness.gateway import STATIC, auth
from harness.raw import Raw, grpc_headers
from harness.rpc import pb

MARK = "marker7f3a9c"
PROVIDERS = [{"name": "personal", "type": "pat"}, {"name": "services", "type": "service", "issuer": "https://spark.example.com"},
             STATIC]
HOMES = {"tokens", "driver.token", "pepper"}  # files that hold secrets by their nature


class World:
    """A gateway, all kinds of tokens, and what has become known of them."""

    def __init__(self, gateway, issuer):
        self.gateway, self.said = gateway, ""
        self.personal, self.service = gateway.create_token(), gateway.create_token(service="nightly")
        self.good = {"static": f"{MARK}-static", "personal": self.personal["token"], "service": self.service["token"],
                     "oidc": issuer.token()}
        self.bad = {"unknown": f"{MARK}-unknown", "mistyped": self.personal["token"][:-1] + "!", "expired": issuer.token(ttl=-600),
                    "changed": issuer.token()[:-8] + MARK[:8], "personal": f"sgw_{MARK}{MARK}{MARK}"}
        pieces = [*self.good.values(), *self.bad.values(), f"{MARK}-driver"]
        self.needles = {part.encode() for token in pieces for part in [token, *token.split(".")] if len(part) > 12
                        and not part.startswith("eyJ")}
        self.needles.add((gateway.folder / "state/keys/pepper").read_bytes())

    def say(self, token, **changes):
        with Raw(self.gateway.clear_port) as raw:
            answer = raw.answer(raw.request(grpc_headers(token=token, **changes), rpc.envelope(rpc.config(rpc.new_id()))))
        self.said += f"{answer.headers} {answer.trailers}\n"
        return answer.status

    def use_all(self):
        assert {name: self.say(token) for name, token in self.good.items()} == dict.fromkeys(self.good, 0)
        assert {name: self.say(token) for name, token in self.bad.items()} == dict.fromkeys(self.bad, 16)
        self.say(self.good["static"], authentication=f"Bearer {self.good['oidc']}")
        self.say(self.good["oidc"], x_doordash_user="somebody", x_doordash_team="nobody")
        self.say(self.good["personal"], **{"x-note": self.good["personal"]})
        self.say(self.good["static"], authorization=self.good["static"])

    def ask_all(self):
        for words in (["status"], ["drivers"], ["clusters"], ["sessions"], ["token", "list", "--all"], ["token", "keys"],
                      ["rollout", "show"], ["explain", "--user", "alice", "--groups", "eng"]):
            self.said += self.gateway.ctl(*words).stdout + self.gateway.ctl("--json", *words).stdout
        for path in ("/healthz", "/readyz", "/metrics", "/", "/v1/overview", "/v1/status"):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.gateway.admin_port}{path}", timeout=5) as answer:
                    self.said += answer.read().decode()
            except urllib.error.HTTPError as error:
                self.said += error.read().decode()

    def found_in(self, data):
        return [needle for needle in self.needles if needle in data]

    def files(self):
        """Where one of them is found, out of all files but those that are made for it."""
        return {str(path): found for path in self.gateway.folder.rglob("*") if path.is_file() and path.name not in HOMES
                and (found := self.found_in(path.read_bytes()))}

    def processes(self):
        return {f"{pid} {name}": found for pid in self.gateway.pids() for name in ("environ", "cmdline", "status", "maps")
                if (found := self.found_in(pathlib.Path(f"/proc/{pid}/{name}").read_bytes()))}


@pytest.fixture
def world(make_gateway, fake, issuer, tmp_path):
    gateway = make_gateway([fake], start=False, auth=auth(*PROVIDERS, issuer.conf(tmp_path)), limits={"failed_tokens": 1000},
                           log={"level": "debug", "format": "json", "file": "stderr"})
    gateway.write_tokens(f"{MARK}-static alice eng\n")
    secret = gateway.folder / "driver.token"
    secret.write_text(f"{MARK}-driver\n")
    secret.chmod(0o600)
    gateway.conf["clusters"][0]["token_file"] = str(secret)
    gateway.write()
    return World(gateway.start(), issuer)


def test_a_life_full_of_tokens(world, fake):
    """Used, mistyped, shown, revoked, over a reload and a crash: not in a log, an answer, the store, the shared memory, a process."""
    gateway = world.gateway
    world.use_all()
    assert {call.headers["authorization"] for call in fake.calls} == {f"Bearer {MARK}-driver"}
    gateway.reload()
    gateway.ctl("token", "rotate")
    gateway.ctl("token", "revoke", world.personal["id"])
    world.say(world.good["personal"])
    world.ask_all()
    assert not world.found_in(world.said.encode())
    assert not world.processes()
    assert not world.files()
    gateway.kill()
    assert not world.files()
    gateway.start()
    world.ask_all()
    gateway.stop()
    assert not world.files() and not world.found_in(world.said.encode())


@pytest.mark.parametrize("kind", ["worker", "controller", "supervisor"])
def test_no_core(unsanitized, world, kind):
    """What holds secrets leaves no picture of its memory behind, even where cores are allowed."""
    gateway = world.gateway
    world.use_all()
    pid = gateway.pids(kind)[0]
    try:
        resource.prlimit(pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except PermissionError:  # it has forbidden itself to have any
        assert resource.prlimit(pid, resource.RLIMIT_CORE)[1] == 0
    os.kill(pid, signal.SIGXCPU)  # dumps core by default, and no shell has it ignored
    if kind == "supervisor":
        gateway.process.wait(10)
        net.wait_for(lambda: not gateway.left_over(), 10, "gone")
        gateway.process = None
    else:
        net.wait_for(lambda: gateway.pids(kind) and pid not in gateway.pids(kind), 10, "another one")
    assert not world.files()
    assert not [path for path in gateway.folder.rglob("core*") if path.is_file()]


ASKS = {"get": pb.ConfigRequest.Operation(get=pb.ConfigRequest.Get(keys=["spark.connect.authenticate.token"])),
        "get all": pb.ConfigRequest.Operation(get_all=pb.ConfigRequest.GetAll()),
        "with default": pb.ConfigRequest.Operation(get_with_default=pb.ConfigRequest.GetWithDefault(
            pairs=[pb.KeyValue(key="spark.connect.authenticate.token", value="none")]))}


@pytest.mark.parametrize("how", ASKS)
def test_token_of_a_driver_is_hidden(world, fake, how):
    """A client that asks Spark for it by Config gets something else; the rest of the answer is as it was."""
    secret, session = f"{MARK}-driver", rpc.new_id()
    pairs = [pb.KeyValue(key="spark.app.name", value="driver"), pb.KeyValue(key="spark.connect.authenticate.token", value=secret),
             pb.KeyValue(key="spark.other", value=f"before {secret} behind"), pb.KeyValue(key="spark.last", value="x" * 100_000)]
    answer = pb.ConfigResponse(session_id=session, server_side_session_id="there", pairs=pairs, warnings=[f"see {secret}"])
    fake.behave = lambda s: s.wait().answer(answer)
    with rpc.Channel(world.gateway.way(), token=world.good["static"]) as channel:
        said = channel.call("Config", pb.ConfigRequest(session_id=session, operation=ASKS[how]))
    assert secret not in str(said)
    assert said.pairs[0] == pairs[0] and said.pairs[3] == pairs[3] and "redacted" in said.pairs[1].value
    assert (said.session_id, said.server_side_session_id) == (session, "there")


REAL = """
out([spark.conf.get("spark.app.name"), spark.conf.get("spark.connect.authenticate.token", "nothing"),
     MARKER in json.dumps(spark.conf.getAll), spark.range(4).count()])
""".replace("MARKER", repr(f"{MARK}-driver"))


def test_real_driver_with_a_token(make_gateway, own_drivers, tmp_path):
    """It is open to the gateway; those who come through are not told how."""
    secret = tmp_path / "driver.token"
    secret.write_text(f"{MARK}-driver\n")
    secret.chmod(0o600)
    driver, = own_drivers("closed", conf={"spark.connect.authenticate.token": f"{MARK}-driver"})
    gateway = make_gateway([driver], start=False)
    gateway.conf["clusters"][0]["token_file"] = str(secret)
    gateway.write()
    name, token, told, rows = gateway.start().way().run(REAL)
    assert (name, told, rows) == ("closed", False, 4) and MARK not in token
