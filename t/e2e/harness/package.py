"""The Debian package, built from a copy of this tree."""

import os
import pathlib
import re
import shutil
import subprocess

from harness.gateway import ROOT


def tracked():
    """Every file of the tree that is kept."""
    done = subprocess.run(["git", "-C", ROOT, "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others",
                           "--exclude-standard"], check=True, capture_output=True)
    return [name for name in done.stdout.decode().split("\0") if name and (ROOT / name).exists()]


def copy_tree(folder):
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


def build(folder):
    """Its .changes file; the packages are beside it. The unit tests are not run: they have been, with sanitizers."""
    tree = copy_tree(pathlib.Path(folder) / "sparkgw")
    env = {**os.environ, "DEB_BUILD_OPTIONS": f"nocheck parallel={os.cpu_count()}", "DEB_BUILD_PROFILES": "nocheck"}
    done = subprocess.run(["dpkg-buildpackage", "-us", "-uc", "-b"], cwd=tree, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout[-4000:]
    return next(tree.parent.glob("sparkgw_*.changes"))


def main_package(changes):
    return next(changes.parent.glob("sparkgw_*.deb"))


def version():
    """As configure.ac has it."""
    return re.search(r"AC_INIT\(\[sparkgw\], \[([^]]+)\]", (ROOT / "configure.ac").read_text()).group(1)
