"""Tokens that the gateway gives out itself: to people, kept as a digest; to services, signed."""

import base64
import json
import time

import grpc
import pytest

from harness import net, rpc
from harness.gateway import STATIC, auth
from harness.raw import Raw, grpc_headers
from harness.rpc import pb

PERMISSION_DENIED, UNAUTHENTICATED = 7, 16
PAT = {"name": "personal", "type": "pat"}
SERVICE = {"name": "services", "type": "service", "issuer": "https://spark.example.com"}
OWN = {"auth": auth(PAT, SERVICE, STATIC), "limits": {"failed_tokens": 1000}}


@pytest.fixture(scope="module")
def own(make_setup):
    return make_setup(**OWN)


@pytest.fixture
def gateway(own):
    gateway, fake = own
    fake.calls.clear()
    return gateway


def ask(gateway, token, session=None, method="Config", **changes):
    session = session or rpc.new_id()
    with Raw(gateway.clear_port) as raw:
        return raw.answer(raw.request(grpc_headers(method, token=token, **changes), rpc.envelope(rpc.config(session))))


def status(gateway, token, **changes):
    return ask(gateway, token, **changes).status


def claims(token, part=1):
    text = token.split(".")[part]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


# ---- people ----

def test_life_of_a_personal_token(gateway, own):
    made = gateway.create_token("zoe", "eng", note="for the tests", ttl="1h")
    assert made["token"].startswith("sgw_") and len(made["token"]) == 40
    assert status(gateway, made["token"]) == 0
    assert own[1].calls[-1].envelope()[0] == "zoe"
    row = gateway.tokens()[made["id"]]
    assert (row["user"], row["team"], row["note"], row["type"]) == ("zoe", "eng", "for the tests", "personal")
    net.wait_for(lambda: gateway.tokens()[made["id"]]["used_ms"] > 0, 5, "it was used")
    gateway.ctl("token", "revoke", made["id"])
    answer = ask(gateway, made["token"])
    assert answer.status == UNAUTHENTICATED and "revoked" in answer.message
    assert made["id"] not in gateway.tokens() and gateway.tokens("--all")[made["id"]]["state"] == "revoked"


def test_it_is_shown_once(gateway):
    made = gateway.create_token()
    text = gateway.ctl("token", "list", "--all").stdout + gateway.ctl("--json", "token", "list", "--all").stdout
    assert made["id"] in text and made["token"] not in text and made["token"][4:34] not in text


@pytest.mark.parametrize("change", [
    lambda t: t[:-1], lambda t: t + "0", lambda t: t[:10] + ("a" if t[10] != "a" else "b") + t[11:], lambda t: t.upper(),
    lambda t: "sgw_" + "0" * 36, lambda t: "sgw_", lambda t: t.replace("sgw_", "sgx_"), lambda t: t + "%00"])
def test_mistyped(gateway, change):
    assert status(gateway, change(gateway.create_token()["token"])) in (UNAUTHENTICATED, None)


@pytest.mark.parametrize("scope,changes,wanted", [
    ({}, {}, 0), ({}, {"x_doordash_team": None}, 0),
    ({}, {"x_doordash_team": "ops"}, PERMISSION_DENIED), ({}, {"x_doordash_user": "bob"}, PERMISSION_DENIED),
    ({"env": "prod"}, {}, 0), ({"env": "prod"}, {"x_doordash_env": None}, 0), ({"env": "dev"}, {}, PERMISSION_DENIED),
    ({"team": "ops"}, {}, PERMISSION_DENIED)])
def test_scope(gateway, scope, changes, wanted):
    """Of one team, and of the environments that it was made for."""
    assert status(gateway, gateway.create_token(**scope)["token"], **changes) == wanted


@pytest.mark.parametrize("kind", [{"user": "zoe"}, {"service": "nightly"}])
def test_it_ends(make_gateway, fake, kind):
    gateway = make_gateway([fake], **{**OWN, "auth": {**OWN["auth"], "leeway": "0s"}})
    token = gateway.create_token(ttl="2s", **kind)["token"]
    assert status(gateway, token) == 0
    answer = net.wait_for(lambda: (a := ask(gateway, token)).status != 0 and a, 5, "over")
    assert answer.status == UNAUTHENTICATED and "expired" in answer.message


@pytest.mark.parametrize("words", [
    ["create"], ["create", "--user", "zoe"], ["create", "--user", "zoe", "--service", "s", "--team", "eng"],
    ["create", "--user", "zoe", "--team", "eng", "--ttl", "x"], ["revoke"], ["create", "--user", "", "--team", "eng"],
    ["create", "--user", "zoe", "--team", "nobody"], ["create", "--user", "zoe", "--team", "eng", "--env", "nowhere"],
    ["create", "--user", "service:x", "--team", "eng"], ["create", "--service", "a/b", "--team", "eng"],
    ["revoke", "no-such-id"]])
def test_wishes_that_are_refused(gateway, words):
    before = len(gateway.tokens("--all"))
    done = gateway.ctl("token", *words, check=False)
    assert done.returncode in (1, 2) and done.stderr and not done.stdout
    assert len(gateway.tokens("--all")) == before


def test_without_such_a_provider(make_gateway, fake):
    """Tokens that nobody here would take are not given out, and nobody takes those from before."""
    gateway = make_gateway([fake], **OWN)
    made = [gateway.create_token()["token"], gateway.create_token(service="nightly")["token"]]
    gateway.conf["auth"] = auth(STATIC)
    gateway.write()
    gateway.reload()
    assert [status(gateway, token) for token in made] == [UNAUTHENTICATED] * 2
    net.wait_for(lambda: gateway.ctl("token", "create", "--user", "zoe", "--team", "eng", check=False).returncode == 1, 5,
                 "the new controller to answer")


# ---- revoked ----

@pytest.mark.parametrize("kind", [{"user": "zoe"}, {"service": "nightly"}])
def test_all_workers_refuse_within_a_second(make_gateway, fake, kind):
    """Connections of all workers, each of which has verified and kept the token."""
    gateway = make_gateway([fake], workers=4, **OWN)
    made = gateway.create_token(**kind)
    raws = [Raw(gateway.clear_port) for _ in range(32)]

    def say():
        streams = [raw.request(grpc_headers(token=made["token"]), rpc.envelope(rpc.config(session))) for raw in raws]
        return {raw.answer(stream).status for raw, stream in zip(raws, streams)}
    session = rpc.new_id()
    assert say() == {0}
    workers = [row["counters"]["connections_open"] for row in gateway.ask("status")["workers"]]
    assert sum(count > 0 for count in workers) >= 3, workers
    revoked = time.monotonic()
    gateway.ctl("token", "revoke", made["id"])
    net.wait_for(lambda: say() == {UNAUTHENTICATED}, 2, "all refuse")
    assert time.monotonic() - revoked < 1
    for raw in raws:
        raw.close()


@pytest.mark.parametrize("kind", [{"user": "zoe"}, {"service": "nightly"}])
def test_running_streams_end(gateway, own, kind):
    """With a status that no client tries again; those of others go on."""
    fake, made = own[1], gateway.create_token(**kind)
    behave, fake.behave = fake.behave, lambda s: (s.wait(), s.send_headers(), s.send_message(pb.ExecutePlanResponse()))
    try:
        with rpc.Channel(gateway.way(), token=made["token"]) as channel, rpc.Channel(gateway.way()) as other:
            streams = [c.stream("ExecutePlan", rpc.sql(rpc.new_id(), "x")) for c in (channel, other)]
            for stream in streams:
                next(stream)
            gateway.ctl("token", "revoke", made["id"])
            begin = time.monotonic()
            with pytest.raises(grpc.RpcError) as caught:
                next(streams[0])
            assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED and time.monotonic() - begin < 1
            mine, others = sorted(fake.calls, key=lambda call: call.envelope()[0] == "alice")
            net.wait_for(lambda: mine.reset is not None, 5, "the driver is told")
            assert others.reset is None and streams[1].is_active()
            streams[1].cancel()
    finally:
        fake.behave = behave


def test_no_grace_for_what_was_revoked(gateway, own):
    """Not even for the ends of what runs."""
    made, session = gateway.create_token(), rpc.new_id()
    assert status(gateway, made["token"], session=session) == 0
    gateway.ctl("token", "revoke", made["id"])
    own[1].calls.clear()
    with rpc.Channel(gateway.way(), token=made["token"]) as channel:
        said = {channel.status(method, request)[0] for method, request in rpc.requests(session).items()}
    assert said == {"UNAUTHENTICATED"} and own[1].calls == []


def test_revoked_and_good_ones_after_the_end_of_everything(make_gateway, fake):
    """What was told is on disk: nothing comes back with a restart, and nothing is lost."""
    gateway = make_gateway([fake], **OWN)
    bad = [gateway.create_token(), gateway.create_token(service="nightly")]
    good = [gateway.create_token(), gateway.create_token(service="hourly")]
    for made in bad:
        gateway.ctl("token", "revoke", made["id"])
    gateway.kill()
    gateway.start()
    assert [status(gateway, made["token"]) for made in bad] == [UNAUTHENTICATED] * 2
    assert [status(gateway, made["token"]) for made in good] == [0] * 2


# ---- services ----

def test_token_of_a_service(gateway, own):
    made = gateway.create_token(service="nightly", team="eng", env="prod", ttl="30d")
    assert claims(made["token"], 0)["alg"] == "ES256"
    said = claims(made["token"])
    assert said["iss"] == SERVICE["issuer"] and said["sub"] == "nightly" and said["jti"] == made["id"]
    assert said["exp"] - said["iat"] == 30 * 86400
    assert status(gateway, made["token"]) == 0
    assert own[1].calls[-1].envelope()[0] == "service:nightly"
    assert status(gateway, made["token"], x_doordash_env="dev") == PERMISSION_DENIED


def test_changed_token_of_a_service(gateway):
    header, payload, signature = gateway.create_token(service="nightly", team="eng")["token"].split(".")
    other = json.dumps({**claims(f"{header}.{payload}"), "team": "ops"}).encode()
    forged = f"{header}.{base64.urlsafe_b64encode(other).rstrip(b'=').decode()}.{signature}"
    assert status(gateway, forged, x_doordash_team=None) == UNAUTHENTICATED


def test_rotation(gateway):
    """New tokens are of the new key; those of the old ones are good until they end."""
    old = gateway.create_token(service="nightly")["token"]
    assert status(gateway, old) == 0
    gateway.ctl("token", "rotate")
    new = gateway.create_token(service="nightly")["token"]
    assert claims(old, 0)["kid"] != claims(new, 0)["kid"]
    assert [status(gateway, token) for token in (old, new)] == [0, 0]
    published = {key["kid"] for key in gateway.ask("token", "keys")["keys"]}
    assert {claims(token, 0)["kid"] for token in (old, new)} <= published


def test_another_gateway_with_the_public_keys(make_gateway, own, fake, tmp_path):
    """It needs neither the store nor the private key; it does not hear of revocations."""
    here, _ = own
    made = here.create_token(service="nightly")
    keys = tmp_path / "keys.json"
    keys.write_text(here.ctl("--json", "token", "keys").stdout)
    assert '"d"' not in keys.read_text()
    there = make_gateway([fake], auth=auth({
        "name": "first", "type": "oidc", "issuer": SERVICE["issuer"], "audience": ["sparkgw"], "jwks_file": str(keys),
        "subjects": [{"match": "*", "team": "eng"}]}))
    assert status(there, made["token"]) == 0
