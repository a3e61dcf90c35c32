"""What a sysadmin does about tokens, the roll-out and identity providers: commands, the control socket, what is in the log."""

import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

from harness import net, rpc
from harness.gateway import BUILD, STATIC, auth
from harness.raw import Raw, grpc_headers
from harness.tokens import Issuer, Key

PAT = {"name": "personal", "type": "pat"}
SERVICE = {"name": "services", "type": "service", "issuer": "https://spark.example.com"}
OWN = {"auth": auth(PAT, SERVICE, STATIC)}


@pytest.fixture(scope="module")
def own(make_setup):
    return make_setup(**OWN)[0]


class Control(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("sparkgw")
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def send(gateway, method, path, body=None):
    """(status, answer) over the control socket."""
    control = Control(gateway.socket)
    control.request(method, path, body if body is None or isinstance(body, str) else json.dumps(body))
    answer = control.getresponse()
    text = answer.read().decode()
    control.close()
    return answer.status, json.loads(text) if text else None


# ---- tokens ----

@pytest.mark.parametrize("kind", [["--user", "zoe"], ["--service", "nightly"]])
def test_the_token_alone_goes_to_standard_output(own, kind):
    done = own.ctl("token", "create", *kind, "--team", "eng", "--env", "dev", "--env", "prod", "--note", "a note")
    token = done.stdout.removesuffix("\n")
    own.secrets.append(token)
    assert token and not set(token) & set(" \n") and token not in done.stderr
    row = next(row for row in own.ask("token", "list")["rows"] if row["id"] in done.stderr)
    assert row["envs"] == ["dev", "prod"] and row["note"] == "a note" and row["state"] == "active"
    assert row["expires_ms"] - row["created_ms"] == pytest.approx(30 * 86400_000, abs=2000)
    assert token not in json.dumps(own.ask("token", "list", "--all"))
    own.check_log()


def test_list(own):
    ids = [own.create_token(user, team)["id"] for user, team in (("ann", "eng"), ("ann", "ops"), ("ben", "ops"))]
    assert set(own.tokens("--user", "ann")) == set(ids[:2])
    assert set(own.tokens("--user", "ann", "--team", "ops")) == {ids[1]}
    own.ctl("token", "revoke", ids[1])
    assert set(own.tokens("--user", "ann")) == {ids[0]}
    assert own.tokens("--user", "ann", "--all")[ids[1]]["state"] == "revoked"
    lines = own.ctl("token", "list", "--user", "ann", "--all").stdout.splitlines()
    assert len(lines) == 3 and "revoked" in "".join(lines) and lines[0].split()[:3] == ["TOKEN", "TYPE", "USER"]


def test_many_tokens_come_in_pages(make_gateway, fake):
    gateway = make_gateway([fake], **OWN)
    for _ in range(520):
        assert send(gateway, "POST", "/v1/tokens", {"user": "ann", "team": "eng"})[0] == 200
    assert len(gateway.tokens()) == 520
    status, page = send(gateway, "GET", "/v1/tokens?limit=100")
    assert status == 200 and len(page["rows"]) == 100 and page["next"]


def test_revoking_twice_and_what_is_not_there(own):
    made = own.create_token()
    for _ in range(2):
        assert own.ctl("token", "revoke", made["id"]).returncode == 0
    gone = own.ctl("token", "revoke", "000000000000", check=False)
    assert gone.returncode == 1 and "no such token" in gone.stderr


@pytest.mark.parametrize("user, words", [
    ("a\nb", "user: a line of 1 to 255 bytes is expected"),
    ("service:a", "user: names that begin with service: are those of services")])
def test_users_for_whom_no_token_is_made(own, user, words):
    done = own.ctl("token", "create", "--user", user, "--team", "eng", check=False)
    assert done.returncode == 1 and done.stderr == f"{words}\n" and not done.stdout


@pytest.mark.parametrize("body", [
    "", "[]", "{", '{"user": "a", "user": "b", "team": "eng"}', {"user": "a"}, {"user": "a", "team": "eng", "envs": ["x"]},
    {"user": "a", "team": "eng", "admin": True}, {"user": "a\n", "team": "eng"}, {"user": "a", "team": "eng", "ttl_ms": 0}])
def test_bodies_that_are_no_wish(own, body):
    before = len(own.tokens("--all"))
    status, answer = send(own, "POST", "/v1/tokens", body)
    assert status == 400 and answer["errors"]
    assert len(own.tokens("--all")) == before


def test_every_creation_is_one_line_of_log_without_the_token(own):
    begin = own.log.stat().st_size
    made = own.create_token("yan", service="often")
    own.ctl("token", "create", "--user", "yan", "--team", "nobody", check=False)
    with open(own.log) as f:
        f.seek(begin)
        lines = [line for line in f if "token create" in line]
    assert len(lines) == 2 and made["id"] in lines[0] and "uid=" in lines[0] and "refused" in lines[1]
    assert made["token"] not in own.log.read_text()


def memory_of(pid):
    """All that the process can read, a piece at a time."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            begin, end = (int(number, 16) for number in line.split()[0].split("-"))
            if line.split()[1][0] != "r" or end - begin > 1 << 30:
                continue
            try:
                memory.seek(begin)
                yield memory.read(end - begin)
            except (OSError, OverflowError, ValueError):
                continue  # reserved, or of the kernel


@pytest.mark.parametrize("kind", [{"user": "zoe"}, {"service": "nightly"}])
def test_the_gateway_forgets_it(own, kind):
    """Once it is out, no process has it in memory, or a service token's whole signature."""
    secret = own.create_token(**kind)["token"].rpartition(".")[2].removeprefix("sgw_")
    for pid in own.pids():
        try:
            found = any(secret.encode() in piece for piece in memory_of(pid))
        except PermissionError:
            pytest.skip("may not look into processes")
        assert not found, open(f"/proc/{pid}/comm").read()


# ---- the signing key ----

def key_files(gateway):
    """Besides the one that seals audit files."""
    return sorted(path.name for path in (gateway.folder / "state/keys").iterdir() if path.name != "audit")


def test_signing_keys(make_gateway, fake):
    """Made when first needed; a rotation removes the private one and keeps the public one."""
    gateway = make_gateway([fake], **OWN)
    assert gateway.ask("token", "keys") == {"keys": []} and key_files(gateway) == ["pepper"]
    gateway.create_token(service="nightly")
    kids = [key["kid"] for key in gateway.ask("token", "keys")["keys"]]
    assert key_files(gateway) == ["pepper", f"service-{kids[0]}.pem"] and len(kids) == 1
    assert (gateway.folder / f"state/keys/service-{kids[0]}.pem").stat().st_mode & 0o777 == 0o600
    for rotation in range(1, 11):
        made = gateway.ask("token", "rotate")
        kids.insert(0, made["kid"])
        assert [key["kid"] for key in gateway.ask("token", "keys")["keys"]] == kids[:9]
        assert made["keys"] == min(rotation + 1, 9)
    net.wait_for(lambda: key_files(gateway) == ["pepper", f"service-{kids[0]}.pem"], 5, lambda: key_files(gateway))
    status = next(row for row in gateway.ask("status")["providers"] if row["name"] == "services")
    assert status["keys"] == 9 and status["error"] is None
    gateway.restart()
    assert [key["kid"] for key in gateway.ask("token", "keys")["keys"]] == kids[:9]
    assert "private" not in json.dumps(gateway.ask("token", "keys")).lower()


def test_lost_private_key(make_gateway, fake):
    """Then there is a new one, and a line that says why."""
    gateway = make_gateway([fake], **OWN)
    gateway.create_token(service="nightly")
    first = gateway.ask("token", "keys")["keys"][0]["kid"]
    gateway.stop()
    (gateway.folder / f"state/keys/service-{first}.pem").write_text("gone\n")
    gateway.start()
    gateway.create_token(service="nightly")
    assert [key["kid"] for key in gateway.ask("token", "keys")["keys"]][1] == first
    assert gateway.log.read_text().count("cannot be used") == 1


def test_without_providers_of_these_types(setup):
    gateway = setup[0]
    for words in (["create", "--user", "u", "--team", "eng"], ["create", "--service", "s", "--team", "eng"], ["rotate"], ["keys"]):
        done = gateway.ctl("token", *words, check=False)
        assert done.returncode == 1 and "provider of type" in done.stderr, words


def test_a_reload_is_over_when_commands_know_of_it(make_gateway, fake):
    """Whoever is asked next is not the controller of the old configuration."""
    gateway = make_gateway([fake], **OWN)
    for percent in range(60, 65):
        gateway.conf["rollout"] = {"spark_connect_enabled": percent}
        gateway.write()
        gateway.reload()
        assert gateway.ask("rollout", "show")["configured"] == percent


# ---- roll-out ----

def test_rollout(make_gateway, fake):
    gateway = make_gateway([fake], rollout={"spark_connect_enabled": 100, "deny_teams": ["ops"], "allow_users": ["alice"]})
    assert gateway.ask("rollout", "show") == {"percent": 100, "live": None, "configured": 100, "allow_teams": [],
                                              "allow_users": ["alice"], "deny_teams": ["ops"], "deny_users": []}
    assert gateway.ask("rollout", "set", "7")["percent"] == 7
    gateway.reload()
    assert gateway.ask("rollout", "show")["live"] == 7
    gateway.restart()
    assert gateway.ask("rollout", "show")["percent"] == 7
    assert "7 %" in gateway.ctl("rollout", "show").stdout
    assert gateway.ask("rollout", "reset")["percent"] == 100
    assert gateway.ask("rollout", "show")["live"] is None
    for body in ({"percent": 101}, {"percent": -1}, {"percent": "7"}, {"percent": 1.5}, {}, {"percent": 1, "x": 1}):
        assert send(gateway, "POST", "/v1/rollout", body)[0] == 400, body
    assert gateway.log.read_text().count("rollout set 7: done") == 1


# ---- explain ----

def test_explain(own):
    answer = own.ask("explain", "--user", "alice")
    assert answer["allowed"] and (answer["team"], answer["env"], answer["cluster"]) == ("eng", "prod", "eng-prod")
    assert any("tests (static)" in line for line in answer["identity"]) and answer["routing"] and answer["limits"]
    text = own.ctl("explain", "--user", "alice").stdout
    assert text.splitlines()[-1].startswith("allowed: team eng, env prod, cluster eng-prod, driver 127.0.0.1:")


def test_explain_of_a_refusal(own):
    answer = own.ask("explain", "--user", "alice", "--team", "ops")
    assert not answer["allowed"] and answer["refusal"]["code"] == "PERMISSION_DENIED" and "cluster" not in answer
    assert "refused: PERMISSION_DENIED: " in own.ctl("explain", "--user", "alice", "--team", "ops").stdout
    assert own.ask("explain", "--user", "alice", "--env", "nowhere")["refusal"]
    assert own.ask("explain", "--user", "stranger")["refusal"]


def test_explain_takes_the_roll_out_into_account(own):
    own.ctl("rollout", "set", "0")
    try:
        assert own.ask("explain", "--user", "alice")["refusal"]["code"] == "PERMISSION_DENIED"
    finally:
        own.ctl("rollout", "reset")
    assert own.ask("explain", "--user", "alice")["allowed"]


def test_explain_by_a_token_that_was_given_out(own):
    own.create_token(service="scoped", team="eng", env="prod")
    answer = own.ask("explain", "--user", "service:scoped")
    assert answer["allowed"] and any("given out by this gateway" in line for line in answer["identity"])
    assert own.ask("explain", "--user", "service:scoped", "--env", "dev")["refusal"]["code"] == "PERMISSION_DENIED"


@pytest.mark.parametrize("query", ["", "user=", "user=alice&token=x", "user=%ff", "user=" + "u" * 256])
def test_questions_that_are_refused(own, query):
    status, answer = send(own, "GET", f"/v1/explain?{query}")
    assert status == 400 and answer["errors"]


# ---- who may ask ----

ROUTES = [("POST", "/v1/tokens"), ("GET", "/v1/tokens"), ("POST", "/v1/tokens/revoke"), ("POST", "/v1/tokens/rotate"),
          ("GET", "/v1/tokens/keys"), ("GET", "/v1/rollout"), ("POST", "/v1/rollout"), ("GET", "/v1/explain?user=alice")]


@pytest.mark.parametrize("method,path", ROUTES)
def test_nothing_of_it_is_on_the_admin_address(own, method, path):
    request = urllib.request.Request(f"http://127.0.0.1:{own.admin_port}{path}", method=method, data=b"{}" if method == "POST" else None)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    assert caught.value.code == 404


def test_methods(own):
    assert send(own, "DELETE", "/v1/tokens")[0] == 405
    assert send(own, "GET", "/v1/tokens/revoke")[0] == 405
    assert send(own, "HEAD", "/v1/rollout")[0] == 200


# ---- identity providers, good and bad ----

class Idp(http.server.ThreadingHTTPServer):
    """A provider; the first part of a path says how it is to behave. `issuers` are http://127.0.0.1:PORT/WAY."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.port, self.keys, self.asked, self.over = self.server_address[1], [Key("ES256")], [], threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def conf(self, way, **more):
        return {"name": f"idp-{way}", "type": "oidc", "issuer": f"http://127.0.0.1:{self.port}/{way}", "audience": ["a"], **more}

    def jwks(self):
        return json.dumps({"keys": [key.jwk() for key in self.keys]})

    def stop(self):
        self.over.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_):
        """Whoever asked has gone."""


class Answer(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        """Quiet."""

    def do_GET(self):
        idp, way = self.server, self.path.split("/")[1]
        idp.asked.append(self.path)
        issuer = f"http://127.0.0.1:{idp.port}/{way}"
        if self.path.endswith("/openid-configuration"):
            described = {"issuer": issuer, "jwks_uri": f"{issuer}/keys"}
            described |= {"issuer": {"issuer": "https://somebody.else.example"}, "elsewhere": {"jwks_uri": "http://192.0.2.1/keys"},
                          "local": {"jwks_uri": "file:///etc/passwd"}, "slash": {"issuer": f"{issuer}/"}}.get(way, {})
            self.say(200, "<html>" if way == "html" else json.dumps(described))
            return
        getattr(self, way, self.good)()

    def say(self, status, text, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def good(self):
        self.say(200, self.server.jwks())

    def hang(self):
        self.server.over.wait(60)

    def slow(self):
        self.send_response(200)
        self.end_headers()
        while not self.server.over.wait(0.5):
            self.wfile.write(b" ")

    def huge(self):
        self.send_response(200)
        self.end_headers()
        for _ in range(1000):
            self.wfile.write(b" " * 1024)

    def redirect(self):
        self.say(302, "", Location=f"http://127.0.0.1:{self.server.port}/good/keys")

    def missing(self):
        self.say(404, "{}")

    def garbage(self):
        self.say(200, "no keys")

    def empty(self):
        self.say(200, '{"keys": []}')

    def secret(self):
        self.say(200, json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "s", "alg": "HS256"}]}))

    def weak(self):
        self.say(200, json.dumps({"keys": [{"kty": "RSA", "n": "AQAB" * 20, "e": "AQ", "kid": "w"}]}))


@pytest.fixture
def idp():
    server = Idp()
    yield server
    server.stop()


def providers(gateway):
    return {row["name"]: row for row in gateway.ask("status")["providers"]}


BAD = {"hang": "tim", "slow": "tim", "huge": "256 KiB", "redirect": "redirects", "missing": "404", "garbage": "", "empty": "", "secret": "",
       "weak": "", "issuer": "another issuer", "slash": "another issuer", "elsewhere": "jwks_uri", "local": "jwks_uri", "html": "JSON"}


def test_bad_providers(make_gateway, fake, idp):
    """Each is told apart in `status`, in one line of the log, and disturbs neither the good one nor anybody else."""
    gateway = make_gateway([fake], auth=auth(STATIC, idp.conf("good"), *[idp.conf(way) for way in BAD]))
    net.wait_for(lambda: providers(gateway)["idp-good"]["keys"] == 1, 5, "the good one's keys")
    begin = time.monotonic()
    assert gateway.ask("status")["ready"] and time.monotonic() - begin < 2, "two hang, and nobody waits"
    net.wait_for(lambda: all(providers(gateway)[f"idp-{way}"]["failures"] for way in BAD), 20, lambda: providers(gateway))
    found = {way: providers(gateway)[f"idp-{way}"]["error"] for way in BAD}
    assert {way: words for way, words in found.items() if BAD[way] not in words} == {}
    assert all(row["keys"] == 0 for name, row in providers(gateway).items() if name != "idp-good")
    net.wait_for(lambda: providers(gateway)["idp-missing"]["failures"] >= 2, 10, "another attempt")
    lines = gateway.log.read_text().splitlines()
    for way in BAD:
        assert len([line for line in lines if f"provider=idp-{way}" in line]) == 1, way
    assert "cannot be fetched" in gateway.ctl("status").stdout or "redirects" in gateway.ctl("status").stdout
    assert not [path for path in idp.asked if path.startswith("/good/") and "redirect" in path]


def test_fresh_keys_are_not_fetched_again(make_gateway, fake, idp):
    """Neither at a restart, nor by a controller that follows a dead one, nor at a reload; but another URL is another source."""
    gateway = make_gateway([fake], auth=auth(STATIC, idp.conf("good")))
    net.wait_for(lambda: providers(gateway)["idp-good"]["keys"] == 1, 5, "keys")
    assert len(idp.asked) == 2
    gateway.restart()
    controller = gateway.pids("controller")[0]
    os.kill(controller, signal.SIGKILL)
    net.wait_for(lambda: (p := gateway.pids("controller")) and p != [controller], 10, "another controller")
    gateway.reload()
    assert providers(gateway)["idp-good"]["keys"] == 1
    time.sleep(1)
    assert len(idp.asked) == 2
    gateway.conf["auth"] = auth(STATIC, idp.conf("good", jwks_url=f"http://127.0.0.1:{idp.port}/other/keys"))
    gateway.write()
    gateway.reload()
    net.wait_for(lambda: idp.asked[2:] == ["/other/keys"], 5, lambda: idp.asked)
    net.wait_for(lambda: providers(gateway)["idp-good"]["keys"] == 1, 5, "keys of the other URL")


def test_a_provider_that_comes_back(make_gateway, fake, idp):
    gateway = make_gateway([fake], auth=auth(STATIC, idp.conf("good", jwks_url=f"http://127.0.0.1:{idp.port}/missing/keys")))
    net.wait_for(lambda: providers(gateway)["idp-good"]["failures"], 5, "a failure")
    Answer.missing, missing = Answer.good, Answer.missing
    try:
        net.wait_for(lambda: providers(gateway)["idp-good"]["keys"] == 1, 10, "keys after the next attempt")
    finally:
        Answer.missing = missing
    assert providers(gateway)["idp-good"]["error"] is None
    lines = [line for line in gateway.log.read_text().splitlines() if "provider=idp-good" in line]
    assert len(lines) == 2 and "cannot be fetched" in lines[0] and "keys fetched: 1" in lines[1]


def test_good_keys_outlive_bad_answers(make_gateway, fake, idp):
    """Workers ask for a key that nobody knows; what comes then replaces the good ones only if it is a key set."""
    gateway = make_gateway([fake], auth=auth(STATIC, idp.conf("good")))
    net.wait_for(lambda: providers(gateway)["idp-good"]["keys"] == 1, 5, "keys")
    signer = Issuer(idp.conf("good")["issuer"], "a", algs=())

    def status(key):
        with Raw(gateway.clear_port) as raw:
            return raw.answer(raw.request(grpc_headers(token=signer.token("ES256", key)), rpc.envelope(rpc.config(rpc.new_id())))).status
    assert status(idp.keys[0]) == 0
    Answer.good, good = Answer.garbage, Answer.good
    try:
        assert status(Key("ES256")) != 0
        net.wait_for(lambda: providers(gateway)["idp-good"]["failures"], 5, "an attempt")
    finally:
        Answer.good = good
    row = providers(gateway)["idp-good"]
    assert row["keys"] == 1 and row["error"] and status(idp.keys[0]) == 0


def test_keys_of_a_file_are_in_the_store_too(make_gateway, fake, issuer, tmp_path):
    gateway = make_gateway([fake], auth=auth(STATIC, issuer.conf(tmp_path)))
    net.wait_for(lambda: providers(gateway)["file"]["keys"] == 5, 5, lambda: providers(gateway))
    other = Issuer(algs=("ES256",))
    other.write(tmp_path / "file.jwks")
    gateway.reload()
    net.wait_for(lambda: providers(gateway)["file"]["keys"] == 1, 5, lambda: providers(gateway))
    lines = gateway.ctl("status").stdout.splitlines()
    assert [line for line in lines if line.startswith("PROVIDER")] and [line for line in lines if line.startswith("file ")]


def test_usage_of_the_commands():
    text = subprocess.run([BUILD / "sparkgwctl", "--help"], capture_output=True, text=True).stdout
    for words in ("token create --user U --team T", "token create --service NAME", "token list", "rollout set", "explain --user U"):
        assert words in text
