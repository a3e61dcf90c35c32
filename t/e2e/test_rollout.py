"""The roll-out: which teams may begin sessions already, changed while everybody works."""

import pytest

from harness import rpc
from harness.raw import Raw, grpc_headers

PERMISSION_DENIED = 7
TEAMS = [f"team{n}" for n in range(12)]


@pytest.fixture
def many(make_gateway, fake):
    """A dozen teams with a cluster each; alice is a member of all."""
    gateway = make_gateway({f"{team}-prod": [fake.address] for team in TEAMS}, start=False,
                           teams=[{"name": team, "groups": ["all"]} for team in TEAMS])
    gateway.write_tokens("token-alice alice all\ntoken-bob bob all\n")
    return gateway.start()


def answers(gateway, token="token-alice", teams=TEAMS, session=None):
    """{team: how a Config call ends}"""
    with Raw(gateway.clear_port) as raw:
        return {team: raw.answer(raw.request(grpc_headers(token=token, x_doordash_team=team), rpc.envelope(
            rpc.config(session or rpc.new_id())))) for team in teams}


def admitted(gateway, **who):
    found = answers(gateway, **who)
    assert {answer.status for answer in found.values()} <= {0, PERMISSION_DENIED}, found
    return {team for team, answer in found.items() if answer.status == 0}


def test_percentages(many):
    """By a stable hash of the team: who is in at some percentage is in at every higher one, whoever asks."""
    before = set()
    for percent in (0, 25, 50, 75, 100):
        many.ctl("rollout", "set", str(percent))
        now = admitted(many)
        assert now >= before and now == admitted(many, token="token-bob")
        assert now == {0: set(), 100: set(TEAMS)}.get(percent, now)
        before = now


def test_words(many):
    many.ctl("rollout", "set", "0")
    answer = answers(many)["team0"]
    assert "rolled out" in answer.message and "team0" in answer.message


def test_running_sessions_go_on(many):
    """Only the beginning of a session asks."""
    session = rpc.new_id()
    assert answers(many, teams=["team0"], session=session)["team0"].status == 0
    many.ctl("rollout", "set", "0")
    assert answers(many, teams=["team0"], session=session)["team0"].status == 0


def test_kept_and_reset(many):
    """What was set live outlives reloads and restarts; reset brings back what is configured."""
    many.conf["rollout"] = {"spark_connect_enabled": 100}
    many.write()
    many.reload()
    many.ctl("rollout", "set", "0")
    for again in (many.reload, many.restart):
        again()
        assert admitted(many) == set()
        assert many.ask("rollout", "show")["live"] == 0
    many.ctl("rollout", "reset")
    assert admitted(many) == set(TEAMS) and many.ask("rollout", "show")["live"] is None


def test_lists(many):
    """They beat the percentage, and a denial beats what is allowed."""
    many.conf["rollout"] = {"spark_connect_enabled": 0, "allow_teams": ["team1"], "deny_teams": ["team3"], "allow_users": ["bob"]}
    many.write()
    many.reload()
    assert admitted(many) == {"team1"}
    assert admitted(many, token="token-bob") == set(TEAMS) - {"team3"}
    many.conf["rollout"] = {"spark_connect_enabled": 100, "deny_users": ["alice"]}
    many.write()
    many.reload()
    assert admitted(many) == set() and admitted(many, token="token-bob") == set(TEAMS)


@pytest.mark.parametrize("words", [["set"], ["set", "101"], ["set", "-1"], ["set", "x"], ["set", "50%"], ["what"]])
def test_commands_that_are_refused(setup, words):
    gateway, _ = setup
    assert gateway.ctl("rollout", *words, check=False).returncode in (1, 2)
    assert gateway.ask("rollout", "show")["live"] is None
