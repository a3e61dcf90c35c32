"""Metrics: the page, that it adds up with what was done, that it has a bound; alerts and dashboards."""

import json
import os
import re
import signal
import time

import pytest
import yaml

from harness import net, rpc
from harness.load import Load
from harness.metrics import ROOT, fetch, promtool, scrape
from harness.raw import Raw, grpc_headers

RULES = ROOT / "etc/prometheus/sparkgw.rules.yaml"
DASHBOARDS = sorted((ROOT / "etc/grafana").glob("*.json"))


# ---- the page ----

def test_promtool_passes(make_gateway, fake):
    gateway = make_gateway([fake])
    rpc.new_sessions(gateway, 3)
    done = promtool("check", "metrics", text=fetch(gateway, "?without=spark_connect_latency_ms")[1].decode())
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    done = promtool("check", "metrics", text=fetch(gateway)[1].decode())
    complaints = (done.stdout + done.stderr).splitlines()  # the one name that was asked for and is not in seconds
    assert all(line == "spark_connect_latency_ms metric names should not contain abbreviated units" for line in complaints)


def test_over_http(make_gateway, fake):
    gateway = make_gateway([fake])
    headers, plain = fetch(gateway)
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert headers["content-encoding"] is None
    names = set(re.findall(r"^# TYPE (\S+)", plain.decode(), re.M))
    assert names == set(re.findall(r"^# TYPE (\S+)", scrape(gateway).text, re.M))
    assert names == set(re.findall(r"^\.It Ic (spark_\S+)", (ROOT / "man/sparkgw-metrics.7").read_text(), re.M))


def test_what_the_gateway_says_of_itself(make_gateway, fakes):
    gateway = make_gateway({"eng-prod": [fakes[0].address, "127.0.0.1:1"]})
    rpc.new_sessions(gateway, 3)
    page = scrape(gateway)
    assert page.sum("spark_gateway_upstream_health", cluster_id="eng-prod", driver=fakes[0].address) == 1
    assert page.sum("spark_gateway_upstream_health", driver="127.0.0.1:1") == 0
    assert page.sum("spark_gateway_driver_sessions", driver=fakes[0].address) == 3
    assert page.sum("spark_connect_active_sessions", team="eng", env="prod") == 3
    assert page.sum("spark_gateway_ready") == page.sum("spark_gateway_keeper_ok") == page.sum("spark_gateway_build_info") == 1
    assert page.sum("spark_gateway_processes", kind="worker") == 2
    assert page.sum("spark_gateway_certificate_expiry_timestamp_seconds", listener=f"127.0.0.1:{gateway.port}") > time.time()
    assert page.sum("spark_gateway_rollout_percent") == 100
    assert page.sum("spark_gateway_connections_limit") == 1000
    assert page.sum("spark_gateway_auth_verified_total") >= 1
    gateway.ctl("driver", "drain", "127.0.0.1:1")
    gateway.ctl("rollout", "set", "50")
    page = scrape(gateway)
    assert page.sum("spark_gateway_driver_draining", driver="127.0.0.1:1") == 1
    assert page.sum("spark_gateway_rollout_percent") == 50


def test_reloads_and_deaths_are_counted(make_gateway, fake):
    gateway = make_gateway([fake])
    assert "\nspark_gateway_last_reload_timestamp_seconds " not in scrape(gateway).text
    gateway.reload()
    good = gateway.file.read_text()
    gateway.write("nonsense: true\n")
    assert gateway.reload(check=False).returncode != 0
    page = scrape(gateway)
    assert page.sum("spark_gateway_reloads_total", result="ok") == page.sum("spark_gateway_reloads_total", result="failed") == 1
    assert page.sum("spark_gateway_last_reload_ok") == 0
    assert abs(page.sum("spark_gateway_last_reload_timestamp_seconds") - time.time()) < 30
    gateway.write(good)
    gateway.reload()
    for kind in ("worker", "checker", "keeper"):
        os.kill(gateway.pids(kind)[0], signal.SIGKILL)
    net.wait_for(lambda: all(scrape(gateway).sum("spark_gateway_restarts_total", kind=kind) == 1 for kind in ("worker", "checker", "keeper")),
                 20, lambda: scrape(gateway).text)
    page = scrape(gateway)
    assert page.sum("spark_gateway_last_reload_ok") == 1
    assert page.sum("spark_gateway_reloads_total", result="ok") == 2
    gateway.wait()


# ---- it adds up ----

def test_numbers_add_up_with_a_load(make_gateway, fake):
    """Through a reload and the death of a worker: each call is counted once, with the status that the caller saw."""
    gateway = make_gateway([fake], workers=2)
    before = scrape(gateway)
    sessions = rpc.new_sessions(gateway, 8)
    with Load(gateway.way(), sessions, threads=4, pause=0.002) as load:
        time.sleep(1)
        gateway.reload()
        time.sleep(1)
        os.kill(gateway.pids("worker")[0], signal.SIGKILL)
        time.sleep(1)
        gateway.reload()
        time.sleep(1)
    calls = load.done + len(sessions)

    def counted():
        page = scrape(gateway)
        return page.sum("spark_connect_requests_total") - before.sum("spark_connect_requests_total")
    # what a killed worker had under way is counted by the keeper a moment later; calls that failed before they reached anybody are not
    net.wait_for(lambda: calls - len(load.failures) <= counted() <= calls, 10, lambda: f"{counted()} of {calls}, {load.failures}")
    page = scrape(gateway)
    latency = page.sum("spark_connect_latency_ms_count") - before.sum("spark_connect_latency_ms_count")
    assert latency == page.sum("spark_connect_latency_seconds_count") - before.sum("spark_connect_latency_seconds_count")
    assert abs(page.sum("spark_connect_latency_ms_sum") - 1000 * page.sum("spark_connect_latency_seconds_sum")) < 1
    assert calls - len(load.failures) - 4 <= latency <= calls
    answered = page.sum("spark_connect_requests_total", status="OK") - before.sum("spark_connect_requests_total", status="OK")
    # a worker counts before its answer leaves, so the one that was killed may have counted what nobody got
    assert calls - len(load.failures) <= answered <= calls
    assert counted() - answered == page.sum("spark_connect_errors_total", error_type="worker_died")


def test_labels_are_bounded(make_gateway, fake):
    """2,000 users, teams, environments and methods that nobody has configured."""
    gateway = make_gateway([fake], auth={"required": False})
    rpc.new_sessions(gateway, 1)
    before = len(scrape(gateway).series)
    with Raw(gateway.clear_port) as raw:
        for n in range(2000):
            headers = grpc_headers(token=f"token-{n}", x_doordash_team=f"team-{n}", x_doordash_env=f"env-{n}", x_user=f"user-{n}",
                                   method=f"Method{n}" if n % 2 else "Config")
            stream = raw.request(headers, rpc.envelope(rpc.config(rpc.new_id(), f"user-{n}")))
            raw.answer(stream)
    page = scrape(gateway)
    assert page.values("team") <= {"eng", "other"} and page.values("env") <= {"prod", "other"}
    assert not re.search(r"team-\d|env-\d|user-\d|Method\d|token-\d", page.text)
    assert len(page.series) < before + 200, len(page.series) - before
    begin = time.monotonic()
    assert len(fetch(gateway, compressed=True)[1]) < 2 << 20
    assert time.monotonic() - begin < 1


def test_errors_of_a_team_count_as_its_own_though_no_driver_was_there(make_gateway, fake):
    gateway = make_gateway({"eng-prod": ["127.0.0.1:1"], "ops-prod": [fake.address]})
    with rpc.Channel(gateway.way()) as channel:
        assert channel.refusal("Config", rpc.config(rpc.new_id())).code().name == "UNAVAILABLE"
    with rpc.Channel(gateway.way(), x_doordash_team="ops") as channel:
        assert channel.refusal("Config", rpc.config(rpc.new_id())).code().name == "PERMISSION_DENIED"
    page = scrape(gateway)
    assert page.sum("spark_connect_errors_total", team="eng", env="prod", error_type="no_driver") == 1
    assert page.sum("spark_connect_requests_total", team="eng", env="prod", status="UNAVAILABLE") == 1
    assert page.sum("spark_connect_errors_total", team="ops") == 0, "of somebody who is no member"


# ---- alerts and dashboards ----

def test_rules():
    done = promtool("check", "rules", "--lint-fatal", RULES)
    assert done.returncode == 0, done.stdout + done.stderr
    done = promtool("test", "rules", ROOT / "t/rules/sparkgw.test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_both_ways():
    alerts = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"] if "alert" in rule}
    tests = [test for case in yaml.safe_load((ROOT / "t/rules/sparkgw.test.yaml").read_text())["tests"] for test in case["alert_rule_test"]]
    assert {test["alertname"] for test in tests if test["exp_alerts"]} == alerts
    assert {test["alertname"] for test in tests if not test["exp_alerts"]} == alerts


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboard(path, tmp_path):
    """Panels lie side by side, have units, and ask what Prometheus understands."""
    board = json.loads(path.read_text())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    taken = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert all(panel["title"] and panel["targets"] and panel["fieldConfig"]["defaults"]["unit"] for panel in panels)
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    for name, value in (("$__range", "6h"), ("$team", ".*"), ("$env", ".*"), ("$instance", ".*")):
        expressions = [e.replace(name, value) for e in expressions]
    rules = {"groups": [{"name": "panels", "rules": [{"record": f"panel:{n}", "expr": e} for n, e in enumerate(expressions)]}]}
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump(rules))
    done = promtool("check", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_dashboards_show_what_there_is():
    """Together they show every metric but a few that nobody watches."""
    shown = set(re.findall(r"\bspark_(?:connect|gateway)_\w+", " ".join(path.read_text() for path in [*DASHBOARDS, RULES])))
    shown |= {re.sub("_(bucket|sum|count)$", "", name) for name in shown}
    names = set(re.findall(r"^\.It Ic (spark_\S+)", (ROOT / "man/sparkgw-metrics.7").read_text(), re.M))
    unwatched = {"spark_connect_latency_ms", "spark_gateway_label_pairs", "spark_gateway_driver_connections_open", "spark_gateway_generation",
                 "spark_gateway_provider_keys", "spark_gateway_audit_written_bytes_total", "spark_gateway_audit_unfinished_total",
                 "spark_gateway_audit_rotations_total", "spark_gateway_audit_synced_age_seconds",
                 "spark_gateway_last_reload_timestamp_seconds"}
    assert names - shown == unwatched
