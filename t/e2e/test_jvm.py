"""The JVM client: over TLS with a certificate of one's own authority, and with either of the two headers for the token."""

import pytest

from harness.client import Failed
from harness.jvm import Program


@pytest.fixture(scope="module")
def program(tmp_path_factory, authority):
    return Program(tmp_path_factory.mktemp("jvm"), authority, "      out(spark.range(5).count())")


def users(drivers):
    return {key for driver in drivers for key in driver.sessions()}


@pytest.mark.parametrize("user,params", [
    ("alice", {}), ("bob", {"token": None, "authentication": "Bearer token-bob"})], ids=["authorization", "authentication"])
def test_token(program, gateway, spark_drivers, user, params):
    """Clients before 4.3 call the header `authentication` when they speak TLS; this one sends what its URL says."""
    before = users(spark_drivers)
    assert program.run(gateway.way(**params)) == ["5"]
    assert {name for name, _ in users(spark_drivers) - before} == {user}


def test_two_different_tokens(program, gateway):
    with pytest.raises(Failed) as caught:
        program.run(gateway.way(authentication="Bearer token-bob"))
    assert "UNAUTHENTICATED" in str(caught.value)
