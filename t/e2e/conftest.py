"""Fixtures. Drivers live for the whole session, gateways for a module unless a test breaks them."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness import gateway as gateways  # noqa: E402
from harness.certs import Authority  # noqa: E402
from harness.client import Way  # noqa: E402
from harness.fake import Fake  # noqa: E402
from harness.gateway import BUILD, ROOT, Gateway  # noqa: E402
from harness.oidc import Provider  # noqa: E402
from harness.sail import Sail  # noqa: E402
from harness.spark import Driver  # noqa: E402
from harness.tokens import Issuer  # noqa: E402

HAVE_GATEWAY = (BUILD / "sparkgwd").exists()


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes minutes; run by ./check --long only")


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="also what takes minutes")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="only with --long"))


@pytest.fixture
def unsanitized(monkeypatch):
    """Gateways of the release build: sanitizers change how much memory is used, and what of it may be seen."""
    if gateways.SANITIZED:
        release = pathlib.Path(os.environ.get("SPARKGW_RELEASE", ROOT / "build-release"))
        assert (release / "sparkgwd").exists(), f"no release build in {release}"
        monkeypatch.setattr(gateways, "BUILD", release)


@pytest.fixture(scope="session")
def scratch(tmp_path_factory):
    return tmp_path_factory.getbasetemp()


@pytest.fixture(scope="session")
def authority(scratch):
    return Authority(scratch / "certs")


@pytest.fixture(scope="session")
def spark_drivers(scratch):
    """Two real drivers."""
    drivers = [Driver(name, scratch / "spark").start(wait=False) for name in ("driver-a", "driver-b")]
    try:
        yield [driver.wait() for driver in drivers]
    finally:
        for driver in drivers:
            driver.stop()


@pytest.fixture
def own_drivers(tmp_path):
    """Makes real drivers that a test may kill."""
    made = []

    def make(*names, **options):
        started = [Driver(name, tmp_path, **options).start(wait=False) for name in names]
        made.extend(started)
        return [driver.wait() for driver in started]
    yield make
    for driver in made:
        driver.stop()


@pytest.fixture(scope="session")
def sail(scratch, python35):
    server = Sail(scratch / "sail", python35).start()
    yield server
    server.stop()


@pytest.fixture
def fake():
    driver = Fake().start()
    yield driver
    driver.stop()


@pytest.fixture
def fakes():
    """Two of them."""
    drivers = [Fake("one").start(), Fake("two").start()]
    yield drivers
    for driver in drivers:
        driver.stop()


@pytest.fixture
def make_gateway(tmp_path, authority):
    """Starts gateways that belong to one test; each is stopped and looked over at its end."""
    made = []

    def make(drivers, start=True, **changes):
        if not HAVE_GATEWAY:
            pytest.skip(f"no sparkgwd in {BUILD}")
        gateway = Gateway(tmp_path / f"gateway{len(made)}", authority, [getattr(d, "address", d) for d in drivers]
                          if not isinstance(drivers, dict) else drivers, **changes)
        made.append(gateway)
        return gateway.start() if start else gateway
    yield make
    for gateway in made:
        gateway.stop()


@pytest.fixture(scope="module")
def gateway(scratch, authority, spark_drivers, request):
    """In front of the two real drivers; for the tests of one module that leave it alone."""
    if not HAVE_GATEWAY:
        pytest.skip(f"no sparkgwd in {BUILD}")
    gateway = Gateway(scratch / request.module.__name__, authority, [d.address for d in spark_drivers]).start()
    yield gateway
    gateway.check_descriptors()
    gateway.stop()


@pytest.fixture(params=["direct", "gateway"])
def way(request, spark_drivers):
    """How to Spark: each test that takes it runs both ways and expects the same."""
    if request.param == "direct":
        return Way("direct", spark_drivers[0].port, {"user_id": "alice"})
    return request.getfixturevalue("gateway").way()


@pytest.fixture(scope="session")
def python35():
    """The interpreter of the older client."""
    path = ROOT / ".venv35/bin/python"
    if not path.exists():
        pytest.skip("no .venv35")
    return str(path)


@pytest.fixture(scope="module")
def make_setup(authority, tmp_path_factory):
    """Makes gateways that live for a module, each with a driver that changes its behaviour from test to test.

    clusters: {name: what else stands in its block}, each with a driver of its own; then all drivers are given."""
    made = []

    def make(clusters=None, **changes):
        if not HAVE_GATEWAY:
            pytest.skip(f"no sparkgwd in {BUILD}")
        rows = clusters or {"eng-prod": {}}
        fakes = [Fake(name).start() for name in rows]
        gateway = Gateway(tmp_path_factory.mktemp("gateway"), authority,
                          {name: [fake.address] for name, fake in zip(rows, fakes)}, **{"workers": 1, **changes})
        for row in gateway.conf["clusters"]:
            row.update(rows[row["name"]])
        gateway.write()
        made.append((gateway, fakes))
        gateway.start()
        return gateway, fakes if clusters else fakes[0]
    yield make
    for gateway, fakes in made:
        gateway.check_descriptors()
        gateway.stop()
        for fake in fakes:
            fake.stop()


@pytest.fixture(scope="module")
def setup(make_setup):
    """One gateway for a module, and the driver behind it."""
    return make_setup()


@pytest.fixture(scope="session")
def issuer():
    """Of tokens by hand."""
    return Issuer()


@pytest.fixture
def provider(tmp_path):
    """A real identity provider, for a test that changes it."""
    provider = Provider(tmp_path / "provider").start()
    yield provider
    provider.stop()
