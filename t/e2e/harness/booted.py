"""A Debian system of its own: a folder made with mmdebstrap, and systemd as process 1 over it, in namespaces of their own. Its only
network is its loopback interface. For what only a service manager can show. Needs root.
"""

import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess

from harness import net

CLONE_NEWNET = 0x40000000
SOURCES = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources")
INCLUDE = "systemd-sysv,dbus,logrotate,ca-certificates"
# $1 the folder, $2 what its console says
BOOT = r"""
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mountpoint -q sys/fs/cgroup || mount -t tmpfs tmpfs sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do
	touch dev/$name
	mount --bind /dev/$name dev/$name
done
touch dev/console
mount --bind "$2" dev/console
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
for name in fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
	[ ${name#*:} = fd ] && ln -s /proc/self/fd dev/fd || ln -s /proc/self/${name#*:} dev/${name%:*}
done
mkdir -p old
pivot_root . old
umount -l /old
mount --make-rshared /
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --show-status=no
"""


def make_root(folder, package):
    """As debootstrap would, and with what the package needs to be installed later, without a network."""
    sources = [path for path in SOURCES if os.path.exists(path) and os.path.getsize(path)]
    subprocess.run(["mmdebstrap", "--quiet", "--variant=apt", f"--include={INCLUDE}", "--skip=cleanup/apt",
                    f"--customize-hook=copy-in {package} /root", "--customize-hook=chroot \"$1\" apt-get -qq -y "
                    f"--no-install-recommends --download-only install /root/{package.name} >/dev/null",
                    "bookworm", folder, *sources],
                   check=True, stdin=subprocess.DEVNULL, timeout=900)


def find_cgroups():
    """The folder of the unified hierarchy."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, folder, kind, *_ = line.split()
        if kind == "cgroup2":
            return pathlib.Path(folder)
    raise FileNotFoundError("no cgroup2 is mounted")


class System:
    def __init__(self, root):
        self.root, self.console = pathlib.Path(root), pathlib.Path(f"{root}.console")
        self.cgroup = find_cgroups() / f"sparkgw-test-{os.getpid()}"
        self.process = self.pid = None

    def boot(self):
        self.console.write_text("")
        self.cgroup.mkdir()
        self.process = subprocess.Popen(
            ["unshare", "--fork", "--kill-child", "--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup",
             "bash", "-c", BOOT, "boot", self.root, self.console],
            preexec_fn=lambda: (self.cgroup / "cgroup.procs").write_text(str(os.getpid())),
            stdin=subprocess.DEVNULL, stdout=open(self.console, "a"), stderr=subprocess.STDOUT)
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        self.pid = net.wait_for(lambda: children.read_text().split(), 10, self.console.read_text)[0]
        net.wait_for(lambda: self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded"),
                     60, self.console.read_text)
        return self

    def stop(self):
        """As a power cut would."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        net.wait_for(lambda: not os.path.exists(f"/proc/{self.pid}"), 20, "the system is gone")
        for folder, *_ in sorted(os.walk(self.cgroup), reverse=True):
            net.wait_for(lambda folder=folder: remove(folder), 10, f"no process in {folder}")
        shutil.rmtree(self.root, ignore_errors=True)

    def run(self, *args, check=True, timeout=120):
        """A command inside."""
        done = subprocess.run(["nsenter", "-t", str(self.pid), "-a", "--root", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                               "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", 'cd / && exec "$@"', "sh", *map(str, args)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        assert not check or done.returncode == 0, f"{args}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def ask(self, *args, **options):
        return self.run(*args, **options).stdout.strip()

    def path(self, path):
        """Of a file, as the test may open it."""
        return pathlib.Path(f"/proc/{self.pid}/root{path}")

    @contextlib.contextmanager
    def network(self):
        """This thread, and what it starts, are on the loopback interface of the system."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as before, open(f"/proc/{self.pid}/ns/net") as inside:
            assert libc.setns(inside.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            try:
                yield
            finally:
                assert libc.setns(before.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())


def remove(folder):
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True
