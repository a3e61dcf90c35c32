"""Whoever a client says it is, the driver hears of the one whom the gateway verified; and nobody reaches what is another's."""

import pytest

from harness import net, rpc
from harness.fake import Stream
from harness.raw import Raw, grpc_headers
from harness.rpc import pb

INVALID_ARGUMENT, PERMISSION_DENIED, UNAUTHENTICATED = 3, 7, 16
ROOT = pb.UserContext(user_id="root", user_name="root")


@pytest.fixture
def gateway(setup):
    """Whatever a test did, a good client is served after it."""
    gateway, fake = setup
    fake.behave = lambda s: s.wait().answer(b"")
    fake.calls.clear()
    yield gateway
    fake.behave = Stream.answer_config
    with rpc.Channel(gateway.way()) as channel:
        channel.call("Config", rpc.config(rpc.new_id()))


@pytest.fixture
def fake(setup):
    return setup[1]


def ask(gateway, body, method="Config", end=True, **changes):
    with Raw(gateway.clear_port) as raw:
        return raw.answer(raw.request(grpc_headers(method, **changes), body, end))


def config(session=None, **more):
    return rpc.envelope(rpc.config(session or rpc.new_id(), **more))


def begin(gateway, token="token-alice"):
    session = rpc.new_id()
    assert ask(gateway, config(session), token=token).status == 0
    return session


# ---- names in messages ----

@pytest.mark.parametrize("method", rpc.requests(""))
def test_user_of_every_method_is_the_verified_one(gateway, fake, method):
    """Id and name, whatever the message says; what else stands in its user_context does not get past that either."""
    session = begin(gateway)
    request = rpc.requests(session, user="root")[method]
    request.user_context.user_name = "root"
    fake.calls.clear()
    ask(gateway, rpc.envelope(request), method)
    seen = [type(request).FromString(m).user_context for call in fake.calls for m in call.messages() if call.method == method]
    assert [(c.user_id, c.user_name) for c in seen] == [("alice", "alice")] or \
        [(c.user_id, c.user_name) for c in seen] == [("alice", "")]


def test_message_without_a_user(gateway, fake):
    request = pb.ConfigRequest(session_id=rpc.new_id())
    assert ask(gateway, rpc.envelope(request)).status == 0
    assert fake.calls[0].envelope()[0] == "alice"


TWICE = {
    "another user at the end": lambda s: pb.ConfigRequest(user_context=ROOT),
    "the same user at the end": lambda s: pb.ConfigRequest(user_context=pb.UserContext(user_id="alice")),
    "only a name at the end": lambda s: pb.ConfigRequest(user_context=pb.UserContext(user_name="root")),
    "an empty context at the end": lambda s: pb.ConfigRequest(user_context=pb.UserContext()),
    "the whole message again": lambda s: rpc.config(s, "root"),
    "another session at the end": lambda s: pb.ConfigRequest(session_id=rpc.new_id()),
}


@pytest.mark.parametrize("name", TWICE)
def test_context_twice(gateway, fake, name):
    """Protobuf merges repeated fields and the last one wins: such a message is never complete at the driver."""
    session = rpc.new_id()
    body = rpc.config(session).SerializeToString() + TWICE[name](session).SerializeToString()
    assert ask(gateway, rpc.envelope(body)).status == INVALID_ARGUMENT
    assert not [m for call in fake.calls for m in call.messages()]


def test_context_twice_behind_a_long_plan(gateway, fake):
    """Where the first part has been passed on already, the driver's stream is broken off before the message is whole."""
    plan = rpc.sql(rpc.new_id(), "x" * 200_000).SerializeToString()
    body = rpc.envelope(plan + pb.ExecutePlanRequest(user_context=ROOT).SerializeToString())
    answer = ask(gateway, body, "ExecutePlan")
    assert answer.status not in (0, None) or answer.reset is not None, answer
    net.wait_for(lambda: all(call.reset is not None for call in fake.calls), 5, "reset")
    assert not [m for call in fake.calls for m in call.messages()]


@pytest.mark.parametrize("second", ["alice", ""])
def test_second_message_of_an_upload(gateway, fake, second):
    """Each message of an upload is the verified user's."""
    session = rpc.new_id()
    body = rpc.envelope(rpc.upload(session)) + rpc.envelope(rpc.upload(session, user=second))
    ask(gateway, body, "AddArtifacts")
    seen = [pb.AddArtifactsRequest.FromString(m).user_context.user_id for call in fake.calls for m in call.messages()]
    assert seen == ["alice"] * 2


def test_second_message_of_an_upload_of_another_user(gateway, fake):
    """Refused, or the verified user's all the same: the driver never reads the other name."""
    session = rpc.new_id()
    answer = ask(gateway, rpc.envelope(rpc.upload(session)) + rpc.envelope(rpc.upload(session, user="root")), "AddArtifacts")
    assert answer.status == INVALID_ARGUMENT, answer
    assert {pb.AddArtifactsRequest.FromString(m).user_context.user_id
            for call in fake.calls for m in call.messages()} <= {"alice"}


def test_second_message_of_an_upload_that_names_two(gateway, fake):
    session = rpc.new_id()
    second = rpc.upload(session).SerializeToString() + pb.AddArtifactsRequest(user_context=ROOT).SerializeToString()
    answer = ask(gateway, rpc.envelope(rpc.upload(session)) + rpc.envelope(second), "AddArtifacts")
    assert answer.status not in (0, None), answer
    assert {pb.AddArtifactsRequest.FromString(m).user_context.user_id
            for call in fake.calls for m in call.messages()} <= {"alice"}


# ---- what is another's ----

NEVER_BEGIN = ["ReattachExecute", "ReleaseExecute", "CloneSession", "Interrupt", "FetchErrorDetails", "ReleaseSession"]


@pytest.mark.parametrize("method", NEVER_BEGIN)
def test_session_of_another(gateway, fake, method):
    """Whoever knows its id has nothing of it: no driver hears of the owner."""
    session = begin(gateway)
    fake.calls.clear()
    answer = ask(gateway, rpc.envelope(rpc.requests(session, user="alice")[method]), method, token="token-bob")
    assert answer.status == 0 or "SESSION_NOT_FOUND" in answer.message, answer
    assert {call.envelope()[0] for call in fake.calls} <= {"bob"}
    assert "alice" in {row["user"] for row in gateway.ask("sessions")["rows"] if row["id"] == session}


@pytest.mark.parametrize("method", ["Config", "ExecutePlan", "AnalyzePlan", "AddArtifacts", "ArtifactStatus"])
def test_new_work_under_the_id_of_anothers_session(gateway, fake, method):
    """It begins a session of one's own."""
    session = begin(gateway)
    fake.calls.clear()
    request = rpc.requests(session, user="alice")[method]
    ask(gateway, rpc.envelope(request), method, token="token-bob")
    assert [type(request).FromString(m).user_context.user_id for c in fake.calls for m in c.messages()] == ["bob"]


def test_operation_of_another_on_a_real_driver(spark_drivers, make_gateway):
    """Spark itself keeps operations apart by user and session; neither of them can be forged."""
    gateway = make_gateway([spark_drivers[0]])
    alices, bobs, operation = rpc.new_id(), rpc.new_id(), rpc.new_id()
    plan = rpc.sql(alices, "select 1")
    plan.operation_id = operation
    plan.request_options.add().reattach_options.reattachable = True
    with rpc.Channel(gateway.way()) as alice, rpc.Channel(gateway.way(), token="token-bob") as bob:
        alice.ask("ExecutePlan", plan)
        bob.call("Config", rpc.config(bobs))
        for session in (alices, bobs):
            code, words = bob.status("ReattachExecute", rpc.requests(session, operation)["ReattachExecute"])
            assert code == "INTERNAL" and "NOT_FOUND" in words, words
        mine = alice.ask("ReattachExecute", rpc.requests(alices, operation)["ReattachExecute"])
    assert mine and all(part.operation_id == operation for part in mine)


# ---- names in headers ----

@pytest.mark.parametrize("changes,status", [
    ({"x_doordash_user": "alice"}, 0),
    ({"x_doordash_user": "root"}, PERMISSION_DENIED),
    ({"x_doordash_user": "alice,root"}, PERMISSION_DENIED),
    ({"x_doordash_user": ""}, PERMISSION_DENIED),
    ({"x_doordash_team": "ops"}, PERMISSION_DENIED),
    ({"x_doordash_team": "nobody"}, INVALID_ARGUMENT),
    ({"x_doordash_env": "dev"}, INVALID_ARGUMENT)])
def test_headers_only_choose(gateway, fake, changes, status):
    """Among what the verified user may do."""
    answer = ask(gateway, config(), **changes)
    assert answer.status == status, answer
    assert len(fake.calls) == (status == 0)


def test_user_header_twice(gateway, fake):
    headers = [*grpc_headers(), ("x-doordash-user", "alice"), ("x-doordash-user", "root")]
    with Raw(gateway.clear_port) as raw:
        assert raw.answer(raw.request(headers, config())).status not in (0, None)
    assert fake.calls == []


def test_team_of_a_session_is_what_it_was_begun_for(gateway, fake):
    """Another team in the headers of a later RPC moves nothing."""
    session = begin(gateway)
    answer = ask(gateway, config(session), x_doordash_team="ops")
    assert answer.status in (0, PERMISSION_DENIED, INVALID_ARGUMENT)
    assert gateway.sessions()[session]["team"] == "eng"


# ---- tokens in headers ----

BOTH = {"authorization": "Bearer token-alice", "authentication": "Bearer token-alice"}


@pytest.mark.parametrize("changes,user", [
    ({}, "alice"),
    (BOTH, "alice"),
    ({"authorization": None, "authentication": "Bearer token-bob"}, "bob"),
    ({"authorization": "bearer token-alice"}, "alice"),
    ({"authentication": "Bearer token-bob"}, None),
    ({"authentication": "Bearer wrong"}, None),
    ({"authorization": "Bearer wrong", "authentication": "Bearer token-bob"}, None),
    ({"authorization": None}, None),
    ({"authorization": ""}, None),
    ({"authorization": "Bearer"}, None),
    ({"authorization": "Basic token-alice"}, None),
    ({"authorization": "token-alice"}, None),
    ({"authorization": "Bearer token-alice token-bob"}, None),
    ({"authorization": "Bearer token-alice,Bearer token-bob"}, None)])
def test_token_headers(gateway, fake, changes, user):
    """`authorization`, or `authentication` as some JVM clients call it; two that differ are refused."""
    answer = ask(gateway, config(), **changes)
    assert answer.status == (0 if user else UNAUTHENTICATED), answer
    assert [call.envelope()[0] for call in fake.calls] == ([user] if user else [])


@pytest.mark.parametrize("name", ["authorization", "authentication"])
def test_one_header_twice(gateway, fake, name):
    headers = [pair for pair in grpc_headers() if pair[0] != "authorization"]
    headers += [(name, "Bearer token-alice"), (name, "Bearer token-bob")]
    with Raw(gateway.clear_port) as raw:
        assert raw.answer(raw.request(headers, config())).status not in (0, None)
    assert fake.calls == []


def test_token_in_the_trailers(gateway, fake):
    """Too late to say who it is."""
    with Raw(gateway.clear_port) as raw:
        stream = raw.request(grpc_headers(authorization=None), config(), end=False)
        raw.conn.send_headers(stream, [("authorization", "Bearer token-alice")], end_stream=True)
        raw.flush()
        assert raw.answer(stream).status == UNAUTHENTICATED
    assert fake.calls == []


def test_no_token_reaches_a_driver(gateway, fake):
    for changes in (BOTH, {"authorization": None, "authentication": "Bearer token-bob"}):
        assert ask(gateway, config(), **changes).status == 0
    assert not [value for call in fake.calls for value in call.headers.values() if "token-" in value]


# ---- hosts ----

@pytest.fixture(scope="module")
def two_hosts(make_setup):
    return make_setup(clusters={"eng-prod": {"hosts": ["eng.spark.test"]}, "ops-prod": {"hosts": ["*.ops.spark.test"]}})


NO_HEADERS = {"x_doordash_team": None, "x_doordash_env": None}


@pytest.mark.parametrize("host,token,changes,status", [
    ("eng.spark.test", "token-alice", NO_HEADERS, 0),
    ("eng.spark.test:15002", "token-alice", NO_HEADERS, 0),
    ("ENG.spark.test", "token-alice", NO_HEADERS, 0),
    ("eng.spark.test", "token-carol", NO_HEADERS, PERMISSION_DENIED),
    ("a.ops.spark.test", "token-carol", NO_HEADERS, 0),
    ("ops.spark.test", "token-carol", NO_HEADERS, 0),
    ("a.ops.spark.test", "token-alice", NO_HEADERS, PERMISSION_DENIED),
    ("eng.spark.test", "token-alice", {"x_doordash_team": "ops"}, INVALID_ARGUMENT),
    ("eng.spark.test", "token-alice", {"x_doordash_env": "dev"}, INVALID_ARGUMENT),
    ("a.ops.spark.test", "token-alice", {}, INVALID_ARGUMENT),
    ("nowhere.test", "token-alice", {}, 0)])
def test_hosts(two_hosts, host, token, changes, status):
    """A host that a cluster lists chooses it; headers that say something else are an error; membership counts all the same."""
    gateway, fakes = two_hosts
    for fake in fakes:
        fake.calls.clear()
    answer = ask(gateway, config(), token=token, **{"_authority": host, **changes})
    assert answer.status == status, answer
    calls = [len(fake.calls) for fake in fakes]
    assert calls == ([0, 0] if status else [0, 1] if token == "token-carol" else [1, 0])


def test_aliases(make_gateway, fake):
    """Other words for a team and an environment are the same team and environment."""
    gateway = make_gateway([fake], routing={
        "default_env": "prod", "team_aliases": [{"name": "eng", "aliases": ["engineering", "e"]}],
        "env_aliases": [{"name": "prod", "aliases": ["production"]}]})
    session = rpc.new_id()
    assert ask(gateway, config(session), x_doordash_team="engineering", x_doordash_env="production").status == 0
    assert (gateway.sessions()[session]["team"], gateway.sessions()[session]["env"]) == ("eng", "prod")
    assert ask(gateway, config(session), x_doordash_team="eng").status == 0
    assert ask(gateway, config(), x_doordash_team="en").status == INVALID_ARGUMENT
