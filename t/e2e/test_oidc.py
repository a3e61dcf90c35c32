"""Tokens of identity providers: of a real one, whose keys change while it runs; and of a file of keys, made by hand."""

import time

import pytest
from hyperframe import frame

from harness import net, rpc, tokens
from harness.gateway import auth
from harness.load import Load
from harness.oidc import Provider
from harness.raw import Raw, grpc_headers
from harness.tokens import Issuer

PERMISSION_DENIED, UNAVAILABLE, UNAUTHENTICATED = 7, 14, 16
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
PATIENT = {"failed_tokens": 1000}


@pytest.fixture(scope="module")
def idp(make_setup, tmp_path_factory):
    """A gateway that knows no more of its provider than the issuer."""
    provider = Provider(tmp_path_factory.mktemp("provider")).start()
    yield *make_setup(auth=auth(provider.conf())), provider
    provider.stop()


@pytest.fixture(scope="module")
def by_file(make_setup, issuer, tmp_path_factory):
    """A gateway whose provider is a file of keys."""
    folder = tmp_path_factory.mktemp("keys")
    return make_setup(auth=auth(issuer.conf(folder), leeway="0s"), limits=PATIENT)


def ask(gateway, token, session=None, **changes):
    """Config over a connection of its own."""
    with Raw(gateway.clear_port) as raw:
        return raw.answer(raw.request(grpc_headers(token=token, **changes), rpc.envelope(rpc.config(session or rpc.new_id()))))


def user_of(fake):
    """Whom the driver saw last."""
    return rpc.pb.ConfigRequest.FromString(fake.calls[-1].messages()[0]).user_context


# ---- a real provider ----

@pytest.mark.parametrize("alg", ALGORITHMS)
def test_each_algorithm(idp, alg):
    gateway, fake, provider = idp
    assert ask(gateway, provider.token(alg=alg)).status == 0
    assert user_of(fake).user_id == "alice"


@pytest.mark.parametrize("aud", ["spark-gateway", ["somebody-else", "spark-gateway"]])
def test_audience(idp, aud):
    gateway, _, provider = idp
    assert ask(gateway, provider.token(aud=aud)).status == 0


def test_names_of_people(idp):
    """The driver sees the verified id and name, whatever the client wrote."""
    gateway, fake, provider = idp
    assert ask(gateway, provider.token("alice")).status == 0
    assert (user_of(fake).user_id, user_of(fake).user_name) == ("alice", "Alice Liddell")


def test_groups_make_members(idp):
    gateway, _, provider = idp
    assert ask(gateway, provider.token("dave")).status == PERMISSION_DENIED
    assert ask(gateway, provider.token("carol")).status == PERMISSION_DENIED


def test_wrong_audience(idp):
    gateway, _, provider = idp
    assert ask(gateway, provider.token(aud="somebody-else")).status == UNAUTHENTICATED


def test_expired(idp):
    """A token is good for as long as it says and auth.leeway, also for a worker that has seen it before."""
    gateway, _, provider = idp
    gateway.conf["auth"]["leeway"] = "0s"
    gateway.write()
    gateway.reload()
    token, session = provider.token(ttl=2), rpc.new_id()
    assert ask(gateway, token, session).status == 0
    answer = net.wait_for(lambda: (a := ask(gateway, token, session)).status != 0 and a, 4, "refused")
    assert answer.status == UNAUTHENTICATED and "expired" in answer.message


@pytest.mark.parametrize("how", ["discovery", "jwks_url"])
def test_https_with_ones_own_authority(make_gateway, fake, authority, tmp_path, how):
    provider = Provider(tmp_path / "provider", authority=authority).start()
    where = {"jwks_url": f"{provider.issuer}/jwks"} if how == "jwks_url" else {}
    try:
        gateway = make_gateway([fake], auth=auth(provider.conf(**where)))
        assert eventually(gateway, provider.token())
        assert (provider.tell(do="counts")["discovery"] > 0) == (how == "discovery")
    finally:
        provider.stop()


def fetched(gateway):
    """The first fetch is over: a token that comes before asks for another one."""
    net.wait_for(lambda: all(row["keys"] for row in gateway.ask("status")["providers"]), 10, "keys")
    return gateway


def eventually(gateway, token, seconds=10):
    """A first fetch may be under way, or be tried again in a moment."""
    def once():
        answer = ask(gateway, token)
        assert answer.status in (0, UNAVAILABLE), answer
        return answer.status == 0
    return net.wait_for(once, seconds, "the token is good")


def test_https_of_an_unknown_authority(make_gateway, fake, authority, tmp_path):
    """Its keys are not taken: whoever is in between could have put them there."""
    provider = Provider(tmp_path / "provider", authority=authority).start()
    conf = provider.conf()
    del conf["ca"]
    try:
        gateway = make_gateway([fake], auth=auth(conf))
        assert ask(gateway, provider.token()).status in (UNAVAILABLE, UNAUTHENTICATED)
        assert provider.fetches() == 0
    finally:
        provider.stop()


def test_discovery_that_speaks_for_another(make_gateway, fake, provider):
    """A document's issuer must be the one that was asked."""
    conf = provider.conf(issuer=provider.issuer.replace("127.0.0.1", "localhost"))
    gateway = make_gateway([fake], auth=auth(conf))
    assert ask(gateway, provider.token()).status in (UNAVAILABLE, UNAUTHENTICATED)
    assert provider.fetches() == 0


def test_provider_is_down_for_the_whole_test(make_gateway, fake, provider):
    """Keys that were good once are good over restarts, too."""
    gateway = make_gateway([fake], auth=auth(provider.conf()))
    made = {alg: provider.token(alg=alg) for alg in ALGORITHMS}
    assert eventually(gateway, made["RS256"])
    provider.stop()
    gateway.restart()
    assert {alg: ask(gateway, token).status for alg, token in made.items()} == dict.fromkeys(ALGORITHMS, 0)
    gateway.reload()
    assert ask(gateway, made["ES256"]).status == 0


def test_provider_comes_after_the_gateway(make_gateway, fake, tmp_path):
    provider = Provider(tmp_path / "provider")
    provider.issuer = f"http://127.0.0.1:{provider.port}"
    gateway = make_gateway([fake], auth=auth(provider.conf()))
    try:
        provider.start()
        assert eventually(gateway, provider.token(), 20)
    finally:
        provider.stop()


def test_rotation_under_load(make_gateway, fake, provider):
    """Nobody notices: neither those with a token of the new key nor those with one of the old."""
    gateway = fetched(make_gateway([fake], auth=auth(provider.conf())))
    assert eventually(gateway, provider.token())
    sessions = [rpc.new_id() for _ in range(12)]
    with Load(gateway.way(), sessions, token=provider.token()) as load:
        time.sleep(1)
        provider.rotate()
        for alg in ALGORITHMS:
            load.use(provider.token(alg=alg))
        provider.drop()
        time.sleep(1)
    assert load.failures == [] and load.done > 100, (load.failures[:5], load.done)


def test_key_that_left_the_set(make_gateway, fake, provider):
    """Once the set was fetched again, tokens of the old key are strangers, though they were good a moment ago."""
    gateway = fetched(make_gateway([fake], auth=auth(provider.conf())))
    old = provider.token()
    assert eventually(gateway, old)
    provider.rotate()
    provider.drop()
    assert eventually(gateway, provider.token())
    assert ask(gateway, old).status in (UNAVAILABLE, UNAUTHENTICATED)


def test_unknown_keys_cost_one_fetch_a_minute(make_gateway, fake, provider):
    """However many tokens name them, in however many workers; each waits for that fetch, and no longer."""
    gateway = fetched(make_gateway([fake], auth=auth(provider.conf()), limits=PATIENT))
    assert eventually(gateway, provider.token())
    stranger, before, begin = Issuer(provider.issuer, algs=("ES256",)), provider.fetches(), time.monotonic()
    raws = [Raw(gateway.clear_port) for _ in range(8)]
    for turn in range(3):
        streams = [(raw, raw.request(grpc_headers(token=stranger.token(header={"kid": f"unknown-{turn}-{n}"})),
                                     rpc.envelope(rpc.config(rpc.new_id())))) for n, raw in enumerate(raws * 4)]
        assert {raw.answer(stream).status for raw, stream in streams} <= {UNAVAILABLE, UNAUTHENTICATED}
    assert ask(gateway, provider.token()).status == 0
    assert provider.fetches() - before <= 1 and time.monotonic() - begin < 20


# ---- attacks ----

@pytest.mark.parametrize("name", tokens.HOSTILE)
def test_refused(by_file, issuer, name):
    """No driver hears of it, the words say nothing of the token, and the next good one is served."""
    gateway, fake = by_file
    token, calls = tokens.HOSTILE[name](issuer), len(fake.calls)
    answer = ask(gateway, token)
    assert answer.status == UNAUTHENTICATED, answer
    assert answer.message and not [part for part in token.split(".") if len(part) > 9 and part in answer.message]
    assert len(fake.calls) == calls
    assert ask(gateway, issuer.token()).status == 0


def test_token_of_a_megabyte(by_file, issuer):
    """The connection that sends it ends; the next one is served."""
    gateway, fake = by_file
    calls = len(fake.calls)
    with Raw(gateway.clear_port, deaf=True) as raw:
        block = raw.hpack.encode(grpc_headers(token=issuer.token() + "A" * (1 << 20)), huffman=False)
        parts = [block[at:at + 16384] for at in range(0, len(block), 16384)]
        raw.frames(frame.HeadersFrame(1, parts[0]), *(frame.ContinuationFrame(1, part) for part in parts[1:-1]),
                   frame.ContinuationFrame(1, parts[-1], flags=["END_HEADERS"]))
        raw.pump(10, lambda: raw.goaway is not None or raw.closed)
        assert raw.goaway is not None or raw.closed
    assert len(fake.calls) == calls
    assert ask(gateway, issuer.token()).status == 0


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "ES384", "EdDSA"])
def test_keys_of_a_file(by_file, issuer, alg):
    gateway, fake = by_file
    assert ask(gateway, issuer.token(alg)).status == 0
    assert user_of(fake).user_id == "alice"


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_types_that_are_good(by_file, issuer, typ):
    assert ask(by_file[0], issuer.token(header={"typ": typ})).status == 0


def test_leeway(make_gateway, fake, issuer, tmp_path):
    gateway = make_gateway([fake], auth=auth(issuer.conf(tmp_path), leeway="30s"))
    now = int(time.time())
    good, late = issuer.token(exp=now - 10), issuer.token(exp=now - 60)
    early, too_early = issuer.token(nbf=now + 10, iat=now + 10), issuer.token(nbf=now + 90)
    assert [ask(gateway, token).status for token in (good, early)] == [0, 0]
    assert [ask(gateway, token).status for token in (late, too_early)] == [UNAUTHENTICATED] * 2


def test_claims_of_another_shape(make_gateway, fake, issuer, tmp_path):
    """Ids and groups from where the configuration says, also inside of objects, and by names with dots in them."""
    claims = {"user": "email", "groups": "realm_access.roles", "name": "example.com/name"}
    gateway = make_gateway([fake], auth=auth(issuer.conf(tmp_path, claims=claims)))
    token = issuer.token(email="alice@example.com", realm_access={"roles": ["eng"]}, groups=None, **{"example.com/name": "Alice"})
    assert ask(gateway, token).status == 0
    assert (user_of(fake).user_id, user_of(fake).user_name) == ("alice@example.com", "Alice")
    assert ask(gateway, issuer.token()).status == UNAUTHENTICATED


def test_each_provider_vouches_for_its_own(make_gateway, fake, issuer, tmp_path):
    """A token is checked with the keys of its issuer alone."""
    other = Issuer("https://other.example.com", algs=("ES256",))
    gateway = make_gateway([fake], auth=auth(issuer.conf(tmp_path), other.conf(tmp_path, name="other")))
    assert [ask(gateway, i.token()).status for i in (issuer, other)] == [0, 0]
    assert ask(gateway, other.token(iss=issuer.issuer)).status == UNAUTHENTICATED
    assert ask(gateway, issuer.token(iss=other.issuer)).status == UNAUTHENTICATED
    assert ask(gateway, other.token(key=issuer.keys["ES256"])).status == UNAUTHENTICATED


# ---- machines ----

@pytest.fixture(scope="module")
def machines(make_setup, tmp_path_factory):
    folder = tmp_path_factory.mktemp("machines")
    issuers = {"kubernetes": Issuer("https://kubernetes.default.svc.cluster.local", "sparkgw", ("RS256",)),
               "github": Issuer("https://token.actions.githubusercontent.com", "sparkgw", ("RS256",))}
    subjects = {"kubernetes": [{"match": "system:serviceaccount:ml-*:runner", "team": "eng", "envs": ["prod"]}],
                "github": [{"match": "repo:acme/spark-jobs:ref:refs/heads/main", "user": "ci", "team": "eng"},
                           {"match": "repo:acme/*", "user": "ci-dev", "team": "eng", "envs": ["dev"]}]}
    rows = [i.conf(folder, name, subjects=subjects[name]) for name, i in issuers.items()]
    return *make_setup(auth=auth(*rows)), issuers


@pytest.mark.parametrize("name,made,status,user", [
    ("kubernetes", {}, 0, "system:serviceaccount:ml-train:runner"),
    ("kubernetes", {"account": "other"}, UNAUTHENTICATED, None),
    ("kubernetes", {"namespace": "web"}, UNAUTHENTICATED, None),
    ("github", {}, 0, "ci"),
    ("github", {"ref": "refs/heads/topic"}, PERMISSION_DENIED, None),
    ("github", {"repository": "acme-evil/spark-jobs"}, UNAUTHENTICATED, None),
    ("github", {"sub": "repo:acme/spark-jobs:ref:refs/heads/main:environment:x"}, PERMISSION_DENIED, None)])
def test_tokens_of_machines(machines, name, made, status, user):
    """A subject says who it is, for which team and in which environments; groups do not count."""
    gateway, fake, issuers = machines
    make = tokens.kubernetes if name == "kubernetes" else tokens.github
    assert ask(gateway, make(issuers[name], **made)).status == status
    assert user is None or user_of(fake).user_id == user


# ---- the time after the end ----

GRACE = {"ReattachExecute", "ReleaseExecute", "Interrupt", "ReleaseSession"}


def expired(gateway, issuer, session, seconds=2):
    """A channel whose token has ended after it began this session."""
    channel = rpc.Channel(gateway.way(), token=issuer.token(ttl=seconds))
    channel.call("Config", rpc.config(session))
    net.wait_for(lambda: channel.status("Config", rpc.config(session))[0] == "UNAUTHENTICATED", seconds + 3, "expired")
    return channel


def statuses(channel, session):
    return {method: channel.status(method, request)[0] for method, request in rpc.requests(session).items()}


def test_what_an_expired_token_may_do(make_gateway, fake, issuer, tmp_path):
    """End what runs, and fetch its results; nothing new."""
    gateway = make_gateway([fake], auth=auth(issuer.conf(tmp_path), leeway="0s"), limits=PATIENT)
    fake.behave = lambda s: s.wait().answer(b"")
    session = rpc.new_id()
    with expired(gateway, issuer, session) as channel:
        fake.calls.clear()
        said = statuses(channel, session)
    assert {method for method, code in said.items() if code == "OK"} == GRACE
    assert {code for method, code in said.items() if method not in GRACE} == {"UNAUTHENTICATED"}
    assert set(fake.methods()) == GRACE


def test_expired_token_and_a_session_that_it_did_not_begin(make_gateway, fake, issuer, tmp_path):
    """Not even of the same user: it began after the end."""
    gateway = make_gateway([fake], auth=auth(issuer.conf(tmp_path), leeway="0s"), limits=PATIENT)
    session = rpc.new_id()
    with rpc.Channel(gateway.way(), token=issuer.token()) as channel:
        channel.call("Config", rpc.config(session))
    fake.calls.clear()
    for sub in ("alice", "bob"):
        with rpc.Channel(gateway.way(), token=issuer.token(sub=sub, ttl=-30)) as channel:
            assert channel.status("Interrupt", rpc.requests(session)["Interrupt"])[0] in ("OK", "UNAUTHENTICATED")
            assert channel.status("ReattachExecute", rpc.requests(session)["ReattachExecute"])[0] != "OK"
    assert fake.calls == []


def test_grace_has_an_end(make_gateway, fake, issuer, tmp_path):
    gateway = make_gateway([fake], auth=auth(issuer.conf(tmp_path), leeway="0s", grace="1s"), limits=PATIENT)
    fake.behave = lambda s: s.wait().answer(b"")
    session = rpc.new_id()
    interrupt = rpc.requests(session)["Interrupt"]
    with expired(gateway, issuer, session) as channel:
        net.wait_for(lambda: channel.status("Interrupt", interrupt)[0] == "UNAUTHENTICATED", 4, "over")
