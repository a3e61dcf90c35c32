"""Two teams, two clusters, four users: each reaches only its own, whatever it asks for."""

import itertools
import json

import pytest

from harness import net, rpc
from harness.gateway import Gateway, auth
from harness.oidc import PEOPLE, Provider
from harness.raw import Raw, grpc_headers

EVERYBODY = {"alice": ["eng"], "bob": ["eng", "ops"], "carol": ["ops"], "dave": []}
DRIVERS = {"eng": "driver-a", "ops": "driver-b"}


@pytest.fixture(scope="module")
def world(tmp_path_factory, authority, spark_drivers):
    """Real drivers, a real provider, a gateway in between."""
    people = {name: {**PEOPLE[name], "groups": groups} for name, groups in EVERYBODY.items()}
    provider = Provider(tmp_path_factory.mktemp("provider"), people).start()
    gateway = Gateway(tmp_path_factory.mktemp("teams"), authority, {
        "eng-prod": [spark_drivers[0].address], "ops-prod": [spark_drivers[1].address]}, auth=auth(provider.conf())).start()
    yield gateway, provider
    gateway.check_descriptors()
    gateway.stop()
    provider.stop()


# {what is asked for: what each user gets}: a team's driver, or how the refusal begins
ASKED = {
    "eng": {"alice": "eng", "bob": "eng", "carol": "PERMISSION_DENIED", "dave": "PERMISSION_DENIED"},
    "ops": {"alice": "PERMISSION_DENIED", "bob": "ops", "carol": "ops", "dave": "PERMISSION_DENIED"},
    None: {"alice": "eng", "bob": "INVALID_ARGUMENT", "carol": "ops", "dave": "INVALID_ARGUMENT|PERMISSION_DENIED"},
    "nobody": dict.fromkeys(EVERYBODY, "INVALID_ARGUMENT|PERMISSION_DENIED"),
}
SEVERAL = """
def attempt(url):
    try:
        made = SparkSession.builder.remote(url).create()
        try:
            made.range(3).createOrReplaceTempView("mine")
            return [made.conf.get("spark.app.name"), made.table("mine").count()]
        finally:
            made.stop()
    except Exception as error:
        return str(error)
for url in json.loads(os.environ["URLS"]):
    out(attempt(url))
"""


def test_who_may_go_where(world):
    """The whole table, with one PySpark program; each wish is a session of its own."""
    gateway, provider = world
    rows = list(itertools.product(EVERYBODY, ASKED))
    urls = [gateway.way(token=provider.token(user), team=team, env=None).url() for user, team in rows]
    said = gateway.way(token=provider.token("alice")).run(SEVERAL, URLS=json.dumps(urls), timeout=200)
    wrong = {}
    for (user, team), answer in zip(rows, said, strict=True):
        wanted = ASKED[team][user]
        good = answer == [DRIVERS[wanted], 3] if wanted in DRIVERS else any(code in answer for code in wanted.split("|"))
        if not good:
            wrong[user, team] = answer
    assert not wrong


SAME_ID = """
import uuid
urls, session = json.loads(os.environ["URLS"]), str(uuid.uuid4())
def connect_to(url):
    return SparkSession.builder.remote(url + ";session_id=" + session).create()
owner = connect_to(urls[0])
owner.range(7).createOrReplaceTempView("secrets")
for url in urls[1:]:
    try:
        out(connect_to(url).table("secrets").count())
    except Exception as error:
        out(error.getCondition() or str(error))
out(owner.table("secrets").count())
"""


def test_views_of_another(world, spark_drivers):
    """The owner's session id is of no use to a colleague of the same team, nor to one of another."""
    gateway, provider = world
    urls = [gateway.way(token=provider.token(user), team=team).url()
            for user, team in (("alice", "eng"), ("bob", "eng"), ("carol", "ops"))]
    said = gateway.way(token=provider.token("alice")).run(SAME_ID, URLS=json.dumps(urls))
    assert said == ["TABLE_OR_VIEW_NOT_FOUND", "TABLE_OR_VIEW_NOT_FOUND", 7]
    assert {user for user, _ in spark_drivers[0].sessions()} >= {"alice", "bob"}


PAIRS = """
try:
    made = (SparkSession.builder.remote(os.environ["SPARK_URL"])
            .config("spark.connect.grpc.header.x-doordash-team", os.environ["TEAM"])
            .config("spark.connect.grpc.header.x-doordash-env", "prod").create())
    rows = int(made.range(3).count())
    out([made.conf.get("spark.app.name"), rows])
except Exception as error:
    out(str(error))
os._exit(0)
"""


@pytest.mark.parametrize("user,team,wanted", [("bob", "ops", ["driver-b", 3]), ("alice", "ops", "PERMISSION_DENIED")])
def test_team_by_pairs_of_the_builder(world, user, team, wanted):
    """As documented; whoever may not have it is told."""
    gateway, provider = world
    said = gateway.way(token=provider.token(user), team=None, env=None).run(PAIRS, TEAM=team)
    assert said == wanted if isinstance(wanted, list) else wanted in said


def test_refused_pairs_of_an_older_client(world, python35):
    """It only warns of what was refused, and goes on: its first plan must not go elsewhere."""
    gateway, provider = world
    said = gateway.way(token=provider.token("alice"), team=None, env=None).run(PAIRS, python=python35, TEAM="ops")
    assert "PERMISSION_DENIED" in said and "ops" in said


def test_person_who_left_a_team(world):
    """The next token says so: no new plan of a session that runs, but its end."""
    gateway, provider = world
    session = rpc.new_id()
    with rpc.Channel(gateway.way(), token=provider.token("alice")) as channel:
        channel.ask("ExecutePlan", rpc.sql(session, "select 1"))
        provider.change("alice", groups=[])
        try:
            channel.use(provider.token("alice"))
            for method in ("ExecutePlan", "AnalyzePlan", "Config", "AddArtifacts"):
                assert channel.status(method, rpc.requests(session)[method])[0] == "PERMISSION_DENIED", method
            assert channel.status("ReleaseSession", rpc.requests(session)["ReleaseSession"])[0] == "OK"
        finally:
            provider.change("alice", **PEOPLE["alice"])


# ---- with drivers that are none ----

@pytest.mark.parametrize("method", ["ExecutePlan", "AnalyzePlan", "Config"])
def test_refused_pairs_are_refused_again(make_gateway, fakes, method):
    """Where the first Config call asked for a team in vain, the session's next call does not find another one by itself."""
    gateway = make_gateway({"eng-prod": [fakes[0].address], "ops-prod": [fakes[1].address]})
    session = rpc.new_id()
    for fake in fakes:
        fake.behave = lambda s: s.wait().answer(b"")
    pairs = [rpc.pb.KeyValue(key="spark.connect.grpc.header.x-doordash-team", value="ops")]
    first = rpc.pb.ConfigRequest(session_id=session, operation=rpc.pb.ConfigRequest.Operation(
        set=rpc.pb.ConfigRequest.Set(pairs=pairs)))
    with rpc.Channel(gateway.way(), x_doordash_team=None, x_doordash_env=None) as channel:
        assert channel.status("Config", first)[0] == "PERMISSION_DENIED"
        assert channel.status(method, rpc.requests(session)[method])[0] == "PERMISSION_DENIED"
    assert not [call for fake in fakes for call in fake.calls]


def test_person_taken_out_of_a_team_by_a_reload(make_gateway, fake):
    """From then on no new plan, also not over a connection from before."""
    gateway = make_gateway([fake])
    session = rpc.new_id()
    fake.behave = lambda s: s.wait().answer(b"")
    with rpc.Channel(gateway.way()) as old:
        old.call("Config", rpc.config(session))
        gateway.write_tokens("token-alice alice\ntoken-bob bob eng\n")
        gateway.reload()
        with rpc.Channel(gateway.way()) as new:
            for method in ("ExecutePlan", "AnalyzePlan", "Config", "AddArtifacts"):
                assert new.status(method, rpc.requests(session)[method])[0] == "PERMISSION_DENIED", method
            assert new.status("Interrupt", rpc.requests(session)["Interrupt"])[0] == "OK"
        net.wait_for(lambda: old.status("Config", rpc.config(session))[0] == "PERMISSION_DENIED", 2, "refused there, too")


def test_team_that_loses_an_environment(make_gateway, fake):
    gateway = make_gateway([fake])
    session = rpc.new_id()
    with rpc.Channel(gateway.way()) as channel:
        channel.call("Config", rpc.config(session))
    gateway.conf["teams"][0]["envs"] = ["dev"]
    gateway.write()
    gateway.reload()
    with rpc.Channel(gateway.way()) as channel:
        assert channel.status("ExecutePlan", rpc.sql(session, "x"))[0] == "PERMISSION_DENIED"


def test_regions(make_gateway, fake):
    """A team's data goes to no other region than those it lists."""
    gateway = make_gateway([fake], region="eu-west-1", teams=[
        {"name": "eng", "groups": ["eng"], "regions": ["eu-west-1"]}, {"name": "ops", "groups": ["ops"]}])
    with rpc.Channel(gateway.way()) as channel:
        channel.call("Config", rpc.config(rpc.new_id()))
        gateway.conf["clusters"][0]["region"] = "us-west-2"
        gateway.write()
        gateway.reload()
    with rpc.Channel(gateway.way()) as channel:
        code, words = channel.status("Config", rpc.config(rpc.new_id()))
    assert code == "PERMISSION_DENIED" and "eu-west-1" in words


@pytest.fixture(scope="module")
def three(make_setup):
    """Clusters of two teams."""
    return make_setup(clusters={"eng-prod": {}, "eng-dev": {"hosts": ["dev.spark.test"]}, "ops-prod": {}})


def outcome(answer, fakes):
    cluster = next((name for name, fake in zip(("eng-prod", "eng-dev", "ops-prod"), fakes) if fake.calls), None)
    return cluster if answer.status == 0 else answer.status


def explained(gateway, user, groups, **wish):
    words = [word for name, value in wish.items() if value for word in (f"--{name}", value)]
    answer = gateway.ask("explain", "--user", user, "--groups", groups, *words)
    codes = {"INVALID_ARGUMENT": 3, "PERMISSION_DENIED": 7, "UNAVAILABLE": 14, "UNAUTHENTICATED": 16}
    return codes[answer["refusal"]["code"]] if answer.get("refusal") else answer["cluster"]


@pytest.mark.parametrize("user,groups", [("alice", "eng"), ("carol", "ops")])
def test_explain_says_what_happens(three, user, groups):
    """Of every wish, allowed or not: the same rules decide."""
    gateway, fakes = three
    wishes = itertools.product((None, "eng", "ops", "nobody"), (None, "dev", "prod"), (None, "dev.spark.test"))
    wrong = {}
    with Raw(gateway.clear_port) as raw:
        for team, env, host in wishes:
            for fake in fakes:
                fake.calls.clear()
            headers = grpc_headers(token=f"token-{user}", x_doordash_team=team, x_doordash_env=env,
                                   _authority=host or "localhost")
            answer = raw.answer(raw.request(headers, rpc.envelope(rpc.config(rpc.new_id()))))
            seen, said = outcome(answer, fakes), explained(gateway, user, groups, team=team, env=env, host=host)
            if seen != said:
                wrong[team, env, host] = seen, said
    assert not wrong
