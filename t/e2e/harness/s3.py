"""A real S3 server: the Versity gateway, over a folder of this host. It verifies every signature.

./check builds it into .s3 (make_versitygw in t/tools/setup.bash); VERSITYGW names another one.
"""

import os
import pathlib
import shutil
import subprocess
import urllib.parse

from harness import net

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = pathlib.Path(os.environ.get("VERSITYGW", ROOT / ".s3/versitygw"))
ID, SECRET = "audit-shipper", "secret-of-the-audit-shipper"


class S3:
    def __init__(self, folder, bucket="audit-bucket", secret=SECRET):
        self.folder, self.bucket, self.secret = pathlib.Path(folder), bucket, secret
        self.objects_folder, self.port, self.process = self.folder / "objects", net.free_port(), None
        (self.objects_folder / bucket).mkdir(parents=True)
        (self.folder / "meta").mkdir()

    def start(self):
        env = {**os.environ, "ROOT_ACCESS_KEY": ID, "ROOT_SECRET_KEY": self.secret}
        with open(self.folder / "log", "a") as log:
            self.process = subprocess.Popen([BINARY, "--port", f"127.0.0.1:{self.port}", "posix", "--sidecar", self.folder / "meta",
                                             self.objects_folder], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        net.wait_for(lambda: net.is_open(self.port), 20, lambda: (self.folder / "log").read_text())
        return self

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def objects(self):
        """{name: content as it is stored}; what is still being written is not there."""
        top = self.objects_folder / self.bucket
        return {str(p.relative_to(top)): p.read_bytes() for p in sorted(top.rglob("*"))
                if p.is_file() and not any(part.startswith(".") for part in p.relative_to(top).parts)}

    def __str__(self):
        return urllib.parse.urljoin(self.endpoint, self.bucket)


def is_there():
    return BINARY.exists() or shutil.which(str(BINARY)) is not None
