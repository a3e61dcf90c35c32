"""Which cluster: by headers, by the pairs of the first Config call, by host."""

import grpc
import pytest

from harness import rpc
from harness.raw import Raw, grpc_headers

TWO_TEAMS = {"auth": {"required": False}}

BUILDER = """
made = (SparkSession.builder.remote(os.environ["SPARK_URL"])
        .config("spark.connect.grpc.header.x-doordash-team", os.environ["TEAM"])
        .config("spark.connect.grpc.header.x-doordash-env", "prod").create())
out([made.conf.get("spark.app.name"), made.range(3).count()])
made.stop()
"""


def two_clusters(make_gateway, drivers):
    return make_gateway({"eng-prod": [drivers[0].address], "ops-prod": [drivers[1].address]}, **TWO_TEAMS)


@pytest.mark.parametrize("team", ["eng", "ops"])
def test_builder_options_of_pyspark(make_gateway, spark_drivers, team):
    """The documented .config("spark.connect.grpc.header.NAME", ...) works with unmodified PySpark."""
    gateway = two_clusters(make_gateway, spark_drivers)
    said = gateway.way(token=None, team=None, env=None).run(BUILDER, TEAM=team)
    assert said == [{"eng": "driver-a", "ops": "driver-b"}[team], 3]


def test_no_team_lists_what_there_is(make_gateway, fakes):
    gateway = two_clusters(make_gateway, fakes)
    with rpc.Channel(gateway.way(), token=None, x_doordash_team=None) as channel:
        error = channel.refusal("Config", rpc.config(rpc.new_id()))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "x-doordash-team" in error.details() and "eng" in error.details() and "ops" in error.details()


def test_configured_order_of_header_names_decides(make_gateway, fakes):
    """Not the order in the request: x-doordash-env stands first in the configuration."""
    gateway = two_clusters(make_gateway, fakes)
    with Raw(gateway.clear_port) as raw:
        headers = [h for h in grpc_headers() if h[0] not in ("x-doordash-env", "x-doordash-environment")]
        headers += [("x-doordash-environment", "nowhere"), ("x-doordash-env", "prod")]
        answer = raw.answer(raw.request(headers, rpc.envelope(rpc.config(rpc.new_id()))))
    assert answer.status == 0, answer
