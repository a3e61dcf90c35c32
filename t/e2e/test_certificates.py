"""Client certificates as an identity, and the name that TLS asks for as a way to a cluster."""

import grpc
import pytest

from harness import net, rpc
from harness.certs import Authority
from harness.gateway import STATIC, auth
from harness.raw import Raw, grpc_headers

INVALID_ARGUMENT, PERMISSION_DENIED, UNAUTHENTICATED = 3, 7, 16
SUBJECTS = {
    "uri": [{"match": "spiffe://example.com/ns/ml/*", "user": "ml-jobs", "team": "eng", "envs": ["prod"]},
            {"match": "spiffe://example.com/ns/web/*", "team": "ops"}],
    "dns": [{"match": "*.batch.example.com", "team": "eng"}],
    "email": [{"match": "alice@example.com", "team": "eng"}],
}


@pytest.fixture(scope="module")
def machines(make_setup, authority):
    """{kind of name: (gateway, fake)}"""
    return {san: make_setup(
        auth=auth({"name": "machines", "type": "certificate", "san": san, "subjects": subjects}, STATIC),
        listeners=listeners(authority)) for san, subjects in SUBJECTS.items()}


def listeners(authority, **tls):
    """One, with TLS."""
    crt, key = authority.issue("localhost")
    return [{"address": f"127.0.0.1:{net.free_port()}",
             "tls": {"certificate": str(crt), "key": str(key), **(tls or {"client_ca": str(authority.ca)})}}]


def port_of(gateway):
    return int(gateway.conf["listeners"][0]["address"].rpartition(":")[2])


def call(gateway, identity, token=None, **headers):
    """How a Config call with this certificate ends."""
    gateway.port = port_of(gateway)
    with rpc.Channel(gateway.way(), token=token, identity=identity, **headers) as channel:
        return channel.status("Config", rpc.config(rpc.new_id(), user="root"))[0]


@pytest.mark.parametrize("kind,names,user", [
    ("uri", "URI:spiffe://example.com/ns/ml/sa/runner", "ml-jobs"),
    ("uri", "DNS:localhost,URI:spiffe://example.com/ns/ml/sa/runner", "ml-jobs"),
    ("uri", "URI:spiffe://example.com/ns/other/sa/runner", None),
    ("uri", "DNS:spiffe.example.com", None),
    ("dns", "DNS:job1.batch.example.com", "job1.batch.example.com"),
    ("dns", "DNS:batch.example.com", None),
    ("dns", "URI:https://job1.batch.example.com", None),
    ("email", "email:alice@example.com", "alice@example.com"),
    ("email", "email:bob@example.com", None)])
def test_name_in_a_certificate(machines, authority, kind, names, user):
    """Of the kind that the configuration says, and one that it lists."""
    gateway, fake = machines[kind]
    fake.calls.clear()
    code = call(gateway, authority.issue("client", names), x_doordash_team=None)
    assert code == ("OK" if user else "UNAUTHENTICATED")
    assert [c.envelope()[0] for c in fake.calls] == ([user] if user else [])


def test_scope_of_a_certificate(machines, authority):
    gateway, _ = machines["uri"]
    identity = authority.issue("client", "URI:spiffe://example.com/ns/ml/sa/runner")
    assert call(gateway, identity) == "OK"
    assert call(gateway, identity, x_doordash_team="ops") == "PERMISSION_DENIED"
    assert call(gateway, identity, x_doordash_env="dev") == "PERMISSION_DENIED"
    assert call(gateway, identity, x_doordash_user="alice") == "PERMISSION_DENIED"


def test_token_besides_a_certificate(machines, authority):
    """The token says who it is; a bad one is no better for the certificate."""
    gateway, fake = machines["uri"]
    identity = authority.issue("client", "URI:spiffe://example.com/ns/ml/sa/runner")
    assert call(gateway, identity, token="token-alice") == "OK"
    assert fake.calls[-1].envelope()[0] == "alice"
    assert call(gateway, identity, token="wrong") == "UNAUTHENTICATED"


@pytest.mark.parametrize("who", ["nobody", "stranger"])
def test_handshake_is_refused(machines, tmp_path, who):
    """Without a certificate, and with one of another authority that bears the right name."""
    gateway, fake = machines["uri"]
    fake.calls.clear()
    stranger = Authority(tmp_path / "stranger").issue("client", "URI:spiffe://example.com/ns/ml/sa/runner")
    assert call(gateway, stranger if who == "stranger" else None) == grpc.StatusCode.UNAVAILABLE.name
    assert fake.calls == []


# ---- a host of its own for each cluster ----

@pytest.fixture(scope="module")
def two(make_setup, authority):
    """A listener with a certificate for each cluster's host."""
    pairs = [authority.issue(f"{team}-host", f"DNS:{team}.spark.test") for team in ("eng", "ops")]
    more = [{"certificate": str(crt), "key": str(key)} for crt, key in pairs]
    return make_setup(clusters={"eng-prod": {"hosts": ["eng.spark.test"]}, "ops-prod": {"hosts": ["ops.spark.test"]}},
                      listeners=listeners(authority, more=more))


@pytest.mark.parametrize("sni,authority_,token,status", [
    ("eng.spark.test", "eng.spark.test", "token-alice", 0),
    ("ops.spark.test", "ops.spark.test:15002", "token-carol", 0),
    ("ops.spark.test", "10.0.0.1:15002", "token-carol", 0),
    ("ops.spark.test", "ops.spark.test", "token-alice", PERMISSION_DENIED),
    ("eng.spark.test", "ops.spark.test", "token-alice", INVALID_ARGUMENT),
    ("eng.spark.test", "ops.spark.test", "token-carol", INVALID_ARGUMENT)])
def test_host_of_the_handshake(two, authority, sni, authority_, token, status):
    """It chooses the certificate and the cluster; :authority must not mean another one."""
    gateway, fakes = two
    for fake in fakes:
        fake.calls.clear()
    headers = grpc_headers(token=token, x_doordash_team=None, x_doordash_env=None, _authority=authority_)
    with Raw(port_of(gateway), authority.ca, host=sni) as raw:
        answer = raw.answer(raw.request(headers, rpc.envelope(rpc.config(rpc.new_id()))))
    assert answer.status == status, answer
    assert [len(fake.calls) for fake in fakes] == ([0, 0] if status else [1, 0] if sni.startswith("eng") else [0, 1])


def test_pyspark_client_asks_for_a_host(two, authority):
    """As grpc does it: the name in the handshake and :authority are the same."""
    gateway, fakes = two
    fakes[1].calls.clear()
    gateway.port = port_of(gateway)
    with rpc.Channel(gateway.way(), token="token-carol", host="ops.spark.test", x_doordash_team=None,
                     x_doordash_env=None) as channel:
        channel.call("Config", rpc.config(rpc.new_id()))
    assert len(fakes[1].calls) == 1
