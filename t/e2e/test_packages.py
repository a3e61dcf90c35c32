"""What operators install: the units and their scores, the files, the packages, the chart. test_install.py runs them."""

import fnmatch
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from harness import package
from harness.gateway import BUILD, ROOT

UNITS = ("sparkgwd.service", "sparkgwd.socket")


def run(*args, **options):
    return subprocess.run([str(a) for a in args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, **options)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """`make install`, into a folder."""
    folder = tmp_path_factory.mktemp("installed")
    done = run("make", "-C", BUILD, "install", f"DESTDIR={folder}")
    assert done.returncode == 0, done.stderr
    return folder


def files(folder):
    """Without the prefix."""
    return {re.sub(r"^usr/local/", "", str(path.relative_to(folder))) for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture(scope="module")
def units(installed, tmp_path_factory):
    """As they are installed, but with the programs where they can be found now."""
    folder = tmp_path_factory.mktemp("units")
    for name in UNITS:
        text = (installed / "usr/local/lib/systemd/system" / name).read_text()
        (folder / name).write_text(re.sub(r"/usr/local/(s?bin|libexec)/", rf"{installed}\g<0>", text))
    return folder


def score(folder, *examples):
    """With these examples as drop-ins."""
    drop_ins = folder / "sparkgwd.service.d"
    shutil.rmtree(drop_ins, ignore_errors=True)
    drop_ins.mkdir()
    for name in examples:
        shutil.copy(ROOT / "etc/systemd" / name, drop_ins)
    done = run("systemd-analyze", "security", "--offline=true", "--no-pager", folder / "sparkgwd.service")
    return float(re.search(r"Overall exposure level for sparkgwd.service: ([\d.]+)", done.stdout).group(1))


# ---- units ----

def test_units_are_right(units):
    done = run("systemd-analyze", "verify", "--man=no", *(units / name for name in UNITS))
    assert done.returncode == 0 and not done.stderr, done.stderr


@pytest.mark.parametrize("examples, limit", [((), 1.2), (("credentials.conf",), 1.2), (("low-ports.conf",), 1.6)])
def test_scores(units, examples, limit):
    assert score(units, *examples) <= limit


def test_sockets_are_those_of_the_configuration():
    """As installed, the unit of sockets fits the configuration."""
    listeners = yaml.safe_load((ROOT / "etc/default.yaml").read_text())["listeners"]
    sockets = re.findall(r"^ListenStream=(.+)$", (ROOT / "etc/systemd/sparkgwd.socket").read_text(), re.M)
    assert sockets == [listener["address"] for listener in listeners]


def test_only_our_programs_can_be_run(installed, units):
    text = (units / "sparkgwd.service").read_text()
    assert re.search("^NoExecPaths=/$", text, re.M)
    folder, program = map(pathlib.Path, re.search(r"^ExecPaths=(\S+) (\S+/sparkgwctl)$", text, re.M).groups())
    ours = {path.resolve() for path in installed.rglob("*") if path.is_file() and path.stat().st_mode & 0o100}
    assert {program, *folder.iterdir()} == ours


# ---- the installed configuration ----

@pytest.fixture
def configuration(tmp_path):
    path = tmp_path / "sparkgw.yaml"
    path.write_text((ROOT / "etc/default.yaml").read_text())
    return path


def test_installed_configuration_is_valid(configuration):
    done = run(BUILD / "sparkgwd", "-t", "-c", configuration)
    assert done.returncode == 0, done.stderr


def test_installed_configuration_with_what_is_commented_out(configuration, authority):
    crt, key = authority.issue("localhost")
    text = re.sub(r"^( *)#(?=[a-z]+:|  )", r"\1", configuration.read_text(), flags=re.M)
    configuration.write_text(text.replace("server.crt", str(crt)).replace("server.key", str(key)))
    assert {"teams", "clusters", "routing"} <= set(yaml.safe_load(configuration.read_text()))
    done = run(BUILD / "sparkgwd", "-t", "-c", configuration)
    assert done.returncode == 0, done.stderr


def test_installed_configuration_lets_nobody_in_from_elsewhere():
    conf = yaml.safe_load((ROOT / "etc/default.yaml").read_text())
    assert all(listener["address"].startswith("127.0.0.1:") for listener in conf["listeners"])
    assert "clusters" not in conf and conf["auth"].get("required", True) and conf["auth"]["providers"]


# ---- make install ----

def test_what_make_install_puts_where(installed):
    wanted = {"sbin/sparkgwd", "bin/sparkgwctl", "libexec/sparkgw/sparkgwd", "libexec/sparkgw/sparkgw-controller", "etc/sparkgw/sparkgw.yaml",
              "etc/logrotate.d/sparkgw", "lib/sysusers.d/sparkgw.conf", "lib/tmpfiles.d/sparkgw.conf",
              "share/doc/sparkgw/examples/sparkgw.yaml", "share/doc/sparkgw/examples/low-ports.conf",
              "share/doc/sparkgw/examples/credentials.conf", "share/doc/sparkgw/examples/sparkgw.rules.yaml",
              *(f"share/doc/sparkgw/examples/{page.name}" for page in (ROOT / "etc/grafana").glob("*.json")),
              "share/doc/sparkgw/operations.md", "share/doc/sparkgw/security.md",
              *(f"lib/systemd/system/{name}" for name in UNITS),
              *(f"share/bash-completion/completions/{name}" for name in ("sparkgwd", "sparkgwctl")),
              *(f"share/man/man{page.suffix[1:]}/{page.name}" for page in (ROOT / "man").glob("*.[1-9]"))}
    assert wanted <= files(installed), wanted - files(installed)


def test_configuration_outlives_make_install(installed):
    path = installed / "usr/local/etc/sparkgw/sparkgw.yaml"
    before = path.read_text()
    path.write_text("changed: true\n")
    assert run("make", "-C", BUILD, "install", f"DESTDIR={installed}").returncode == 0
    assert path.read_text() == "changed: true\n"
    path.write_text(before)


# ---- packages ----

@pytest.mark.timeout(1500)  # it is built first
def test_debian_package(debian):
    done = run("lintian", "--allow-root", "--fail-on", "error,warning", debian)
    assert done.returncode == 0 and not done.stdout.strip(), done.stdout + done.stderr
    listing = run("dpkg-deb", "-c", package.main_package(debian)).stdout
    for path in ("/lib/systemd/system/sparkgwd.service", "/usr/sbin/sparkgwd -> ../libexec/sparkgw/sparkgwd",
                 "/etc/sparkgw/sparkgw.yaml"):
        assert f".{path}\n" in listing, path


def test_debian_package_asks_for_what_is_built_with():
    """The lists of t/tools/setup.bash and of the package say the same."""
    setup = re.search(r'BUILD_PACKAGES="([^"]*)"', (ROOT / "t/tools/setup.bash").read_text()).group(1).split()
    always_there = {"gcc", "make", "autoconf", "automake"}  # in build-essential, or brought by debhelper
    wanted = re.search(r"Build-Depends:\n(.*?)\n\n", (ROOT / "debian/control").read_text(), re.S).group(1)
    assert set(setup) - always_there <= {line.split()[0].rstrip(",") for line in wanted.splitlines()}


def test_versions_agree():
    version = package.version()
    chart = yaml.safe_load((ROOT / "packaging/helm/sparkgw/Chart.yaml").read_text())
    assert re.match(rf"sparkgw \({re.escape(version)}\) ", (ROOT / "debian/changelog").read_text())
    assert re.search(rf"^Version: +{re.escape(version)}$", (ROOT / "packaging/rpm/sparkgw.spec").read_text(), re.M)
    assert chart["version"] == chart["appVersion"] == version


def test_rpm_spec(installed):
    spec = ROOT / "packaging/rpm/sparkgw.spec"
    parsed = run("rpmspec", "-P", spec)
    assert parsed.returncode == 0 and not parsed.stderr, parsed.stderr
    said = run("rpmlint", spec).stdout
    known = ("no-buildroot-tag", "invalid-url Source0")  # of old times; not a URL
    assert [line for line in said.splitlines() if re.search(r"spec:.* [WE]: ", line) and not line.split(": ", 2)[2].startswith(known)] == []
    wanted = " ".join(re.findall(r"PKG_CHECK_MODULES\(\[\w+\], \[([^]]*)\]", (ROOT / "configure.ac").read_text()))
    for module, version in re.findall(r"([\w.-]+)((?: [<>=]+ [\d.]+)?)", wanted):
        if module != "criterion":
            assert re.search(rf"^BuildRequires: +pkgconfig\({re.escape(module)}\){version}$", spec.read_text(), re.M), module


def test_rpm_has_every_file(installed):
    text = (ROOT / "packaging/rpm/sparkgw.spec").read_text()
    macros = {"_sysconfdir": "etc", "_sbindir": "sbin", "_bindir": "bin", "_libexecdir": "libexec", "_unitdir": "lib/systemd/system",
              "_sysusersdir": "lib/sysusers.d", "_tmpfilesdir": "lib/tmpfiles.d", "_datadir": "share", "_mandir": "share/man",
              "_docdir": "share/doc", "name": "sparkgw"}
    lines = [line.split()[-1] for line in re.search(r"%files\n(.*?)\n\n", text, re.S).group(1).splitlines()]
    patterns = [re.sub(r"%\{(\w+)\}", lambda m: macros[m.group(1)], line) for line in lines if line.startswith("%{")]
    missing = {name for name in files(installed) if not any(fnmatch.fnmatch(name, p.rstrip("/") + tail) for p in patterns
                                                            for tail in ("", "/*"))}
    assert not missing


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_rpm_is_built(tmp_path):
    """Of a release's tarball, as the spec says; systemd's macros, which Debian has no package of, are given."""
    macros = {"_topdir": tmp_path, "_unitdir": "/usr/lib/systemd/system", "_sysusersdir": "/usr/lib/sysusers.d",
              "_tmpfilesdir": "/usr/lib/tmpfiles.d", "systemd_post()": ":", "systemd_preun()": ":", "systemd_postun()": ":"}
    (tmp_path / "build").mkdir()
    for command in ([ROOT / "configure"], ["make", "dist"]):
        done = run(*command, cwd=tmp_path / "build")
        assert done.returncode == 0, done.stderr
    built = subprocess.run(["rpmbuild", "--nodeps", "-ta", str(next((tmp_path / "build").glob("*.tar.gz"))),
                            *(f"--define={name} {value}" for name, value in macros.items())],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1200)
    assert built.returncode == 0, built.stdout[-5000:] + built.stderr[-5000:]
    (binary,) = (path for path in (tmp_path / "RPMS").rglob("sparkgw-[0-9]*.rpm"))
    listing = run("rpm", "-qlp", binary).stdout.splitlines()
    assert {"/usr/sbin/sparkgwd", "/usr/libexec/sparkgw/sparkgw-controller", "/etc/sparkgw/sparkgw.yaml",
            "/usr/lib/systemd/system/sparkgwd.service"} <= set(listing)


# ---- containers ----

def test_image_is_made_of_what_is_there():
    text = (ROOT / "packaging/container/Containerfile").read_text().replace("\\\n", " ")
    for source in re.findall(r"^COPY (?!--from)(\S+) ", text, re.M):
        assert (ROOT / source).exists(), source
    user, group = re.search(r"^USER (\d+):(\d+)$", text, re.M).groups()
    pod = (ROOT / "packaging/helm/sparkgw/templates/statefulset.yaml").read_text()
    assert f"runAsUser: {user}\n" in pod and f"fsGroup: {group}\n" in pod
    assert f"--uid {user}" in text and f"--gid {group}" in text


def test_values_of_the_chart(configuration, authority):
    chart = ROOT / "packaging/helm/sparkgw"
    values, schema = yaml.safe_load((chart / "values.yaml").read_text()), json.loads((chart / "values.schema.json").read_text())
    assert set(values) == set(schema["properties"]) - {"global"}
    crt, key = authority.issue("localhost")
    text = json.dumps(values["config"]).replace("/etc/sparkgw-tls/tls.crt", str(crt)).replace("/etc/sparkgw-tls/tls.key", str(key))
    configuration.write_text(text)
    done = run(BUILD / "sparkgwd", "-t", "-c", configuration)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def helm(tmp_path):
    """From the path, or built with the Go tools where they are."""
    path = shutil.which("helm") or ROOT / ".tools/helm"
    if not os.path.exists(path):
        if shutil.which("go") is None:
            pytest.skip("neither helm nor go")
        env = {**os.environ, "GOBIN": str(ROOT / ".tools"), "GOPATH": str(tmp_path / "go"), "GOFLAGS": "-modcacherw"}
        subprocess.run(["go", "install", "helm.sh/helm/v3/cmd/helm@v3.18.4"], check=True, env=env, stdin=subprocess.DEVNULL,
                       cwd=tmp_path, capture_output=True, timeout=1500)
    return path


@pytest.mark.slow
@pytest.mark.timeout(2000)
def test_chart(helm, tmp_path):
    chart, version = ROOT / "packaging/helm/sparkgw", "1.30"
    good = ["--set", "tls.secretName=a", "--set", "secrets.secretName=b"]

    def template(*args):
        return run(helm, "template", "--kube-version", version, "gw", chart, *args)
    assert run(helm, "lint", "--strict", "--kube-version", version, chart, *good).returncode == 0
    for more, words in (([], "tls.secretName"), ([*good[:2], "--set", "config.region=/etc/sparkgw-secrets/x"], "secrets.secretName"),
                        ([*good, "--set", "service.port=1"], "service.port"), ([*good, "--set", "service.prot=1"], "prot")):
        done = template(*more)
        assert done.returncode != 0 and words in done.stderr, done.stderr
    done = template(*good)
    assert done.returncode == 0, done.stderr
    kinds = [part["kind"] for part in yaml.safe_load_all(done.stdout)]
    assert sorted(kinds) == ["ConfigMap", "PodDisruptionBudget", "Service", "Service", "ServiceAccount", "StatefulSet"]
    (tmp_path / "all.yaml").write_text(done.stdout)
    subprocess.run(["python3", "-m", "venv", tmp_path / "venv"], check=True)
    subprocess.run([tmp_path / "venv/bin/pip", "install", "--disable-pip-version-check", "-q", "kubernetes-validate==1.37.0"], check=True)
    done = run(tmp_path / "venv/bin/kubernetes-validate", "-k", version, "--strict", tmp_path / "all.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
