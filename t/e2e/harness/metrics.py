"""The page of metrics, read as Prometheus would, and Prometheus' own tool."""

import gzip
import pathlib
import re
import shutil
import subprocess
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
SERIES = re.compile(r'^([a-z_]+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"(?:,|$)')


class Page:
    """{(name, labels sorted): value}, and what is asked of it."""

    def __init__(self, text):
        self.text, self.series = text, {}
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            name, labels, value = SERIES.match(line).groups()
            key = name, tuple(sorted(LABEL.findall(labels or "")))
            assert key not in self.series, f"twice: {line}"
            self.series[key] = float(value)

    def sum(self, metric, **labels):
        """Over all series that have these labels."""
        return sum(value for (name, have), value in self.series.items() if name == metric and labels.items() <= dict(have).items())

    def values(self, label):
        """All values of a label."""
        return {dict(labels)[label] for _, labels in self.series if label in dict(labels)}


def fetch(gateway, query="", compressed=False):
    """(headers, bytes as they came)"""
    request = urllib.request.Request(f"http://127.0.0.1:{gateway.admin_port}/metrics{query}",
                                     headers={"Accept-Encoding": "gzip"} if compressed else {})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.headers, answer.read()


def scrape(gateway, query=""):
    headers, data = fetch(gateway, query, compressed=True)
    assert headers["content-encoding"] == "gzip"
    return Page(gzip.decompress(data).decode())


def promtool(*args, text=None):
    tool = ROOT / ".promtool/promtool"
    if not tool.exists():
        tool = shutil.which("promtool") or pytest.skip("no promtool: ./check brings it")
    return subprocess.run([tool, *map(str, args)], input=text, capture_output=True, text=True, timeout=60)
