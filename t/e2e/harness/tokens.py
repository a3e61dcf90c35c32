"""Tokens made by hand: good ones of a provider whose keys stand in a file, and whatever an attacker would send."""

import base64
import hashlib
import hmac
import json
import pathlib
import time
import uuid

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

ISSUER, AUDIENCE = "https://tokens.example.com", "spark-gateway"
HASH = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVES = {"ES256": (ec.SECP256R1, "P-256", 32), "ES384": (ec.SECP384R1, "P-384", 48), "ES512": (ec.SECP521R1, "P-521", 66)}


def b64(data):
    data = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def text(value):
    """JSON of a dict; what is text already stays as it is, so that it may be wrong."""
    return value if isinstance(value, (str, bytes)) else json.dumps(value, separators=(",", ":"))


class Key:
    def __init__(self, alg, kid=None, pinned=True):
        """pinned: its JWK names the algorithm."""
        self.alg, self.kid, self.pinned = alg, kid or f"{alg}-{uuid.uuid4()}", pinned
        if alg[:2] in ("RS", "PS"):
            self.private = rsa.generate_private_key(65537, 2048)
        elif alg == "EdDSA":
            self.private = ed25519.Ed25519PrivateKey.generate()
        else:
            self.private = ec.generate_private_key(CURVES[alg][0]())

    def sign(self, data, alg=None):
        alg = alg or self.alg
        if alg == "EdDSA":
            return self.private.sign(data)
        digest = HASH[alg[2:]]()
        if alg[:2] == "RS":
            return self.private.sign(data, padding.PKCS1v15(), digest)
        if alg[:2] == "PS":
            return self.private.sign(data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
        size = CURVES[self.alg][2]
        return b"".join(n.to_bytes(size, "big") for n in utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(digest))))

    def public(self, form="PEM"):
        return self.private.public_key().public_bytes(getattr(serialization.Encoding, form),
                                                      serialization.PublicFormat.SubjectPublicKeyInfo)

    def jwk(self):
        row, public = {"kid": self.kid, "use": "sig"}, self.private.public_key()
        if self.pinned:
            row["alg"] = self.alg
        if self.alg[:2] in ("RS", "PS"):
            n = public.public_numbers()
            return {**row, "kty": "RSA", "n": b64(n.n.to_bytes(256, "big")), "e": b64(n.e.to_bytes(3, "big"))}
        if self.alg == "EdDSA":
            raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            return {**row, "kty": "OKP", "crv": "Ed25519", "x": b64(raw)}
        n, (_, name, size) = public.public_numbers(), CURVES[self.alg]
        return {**row, "kty": "EC", "crv": name, "x": b64(n.x.to_bytes(size, "big")), "y": b64(n.y.to_bytes(size, "big"))}


class Issuer:
    """A provider that is only a file of keys."""

    def __init__(self, issuer=ISSUER, audience=AUDIENCE, algs=("RS256", "PS256", "ES256", "ES384", "EdDSA")):
        self.issuer, self.audience = issuer, audience
        self.keys = {alg: Key(alg) for alg in algs}

    def write(self, path):
        pathlib.Path(path).write_text(json.dumps({"keys": [key.jwk() for key in self.keys.values()]}))
        return str(path)

    def conf(self, folder, name="file", **changes):
        """As a provider of the gateway's configuration."""
        return {"name": name, "type": "oidc", "issuer": self.issuer, "audience": [self.audience],
                "jwks_file": self.write(pathlib.Path(folder) / f"{name}.jwks"), **changes}

    def claims(self, sub="alice", ttl=600, **changes):
        """Good ones; None drops one."""
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": sub, "aud": self.audience, "iat": now, "exp": now + ttl, "groups": ["eng"],
                  "jti": str(uuid.uuid4()), **changes}
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, alg="ES256", key=None, header=None, payload=None, **claims):
        """header: over the good one's members, or text; payload: text in place of claims."""
        key = key or self.keys[alg]
        if not isinstance(header, (str, bytes)):
            header = {k: v for k, v in {"alg": alg, "typ": "JWT", "kid": key.kid, **(header or {})}.items() if v is not None}
        return signed(header, payload if payload is not None else self.claims(**claims), lambda data: key.sign(data, alg))


def signed(header, payload, sign):
    data = f"{b64(text(header))}.{b64(text(payload))}"
    return f"{data}.{b64(sign(data.encode()))}"


def signed_with_secret(header, payload, secret):
    return signed(header, payload, lambda data: hmac.new(secret, data, hashlib.sha256).digest())


def duplicate(claims, name, value):
    """The same claims with one of them twice: parsers differ in which one they believe."""
    return text(claims)[:-1] + f',"{name}":{json.dumps(value)}}}'


def with_unused_bits(token):
    """Another spelling of the same bytes: the last character's bits that mean nothing are set."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(token.rpartition(".")[2]) % 4, "no bits to spare"
    return token[:-1] + letters[letters.index(token[-1]) | 1]


# ---- what other systems issue ----

def kubernetes(issuer, namespace="ml-train", account="runner", **changes):
    """As a projected service-account token."""
    return issuer.token(alg="RS256", header={"typ": None}, **{
        "sub": f"system:serviceaccount:{namespace}:{account}", "aud": [issuer.audience], "groups": None,
        "nbf": int(time.time()), "kubernetes.io": {
            "namespace": namespace, "node": {"name": "node-1", "uid": str(uuid.uuid4())},
            "pod": {"name": "job-abc", "uid": str(uuid.uuid4())},
            "serviceaccount": {"name": account, "uid": str(uuid.uuid4())}}, **changes})


def github(issuer, repository="acme/spark-jobs", ref="refs/heads/main", **changes):
    """As the token of a workflow."""
    return issuer.token(alg="RS256", header={"x5t": b64(bytes(20))}, **{
        "sub": f"repo:{repository}:ref:{ref}", "groups": None, "ref": ref, "repository": repository, "sha": "0" * 40,
        "repository_owner": repository.partition("/")[0], "run_id": "123456789", "run_attempt": "1", "actor": "alice",
        "event_name": "push", "ref_type": "branch", "ref_protected": "true", "nbf": int(time.time()) - 300,
        "job_workflow_ref": f"{repository}/.github/workflows/run.yaml@{ref}", "runner_environment": "github-hosted",
        **changes})


# ---- attacks: {what it is: how it is made of a good issuer} ----

def unsigned(alg):
    return lambda i: signed({"alg": alg, "typ": "JWT", "kid": i.keys["ES256"].kid}, i.claims(), lambda _: b"")


def secret_is_public(form, alg="HS256"):
    def make(i):
        key = i.keys["RS256"]
        return signed_with_secret({"alg": alg, "typ": "JWT", "kid": key.kid}, i.claims(), key.public(form))
    return make


def claim(**changes):
    return lambda i: i.token(**changes)


def soon(seconds):
    return int(time.time()) + seconds


def with_signature(change, alg="ES256"):
    def make(i):
        data, _, signature = i.token(alg).rpartition(".")
        return f"{data}.{b64(change(unb64(signature)))}"
    return make


def tampered(i):
    header, payload, signature = i.token().split(".")
    return f"{header}.{b64(unb64(payload).replace(b'alice', b'mallo'))}.{signature}"


def other_key_of_that_name(i):
    good = i.keys["ES256"]
    return i.token(key=Key("ES256", kid=good.kid))


def with_key_in_it(i):
    key = Key("ES256", kid="mine")
    return i.token(key=key, header={"jwk": key.jwk()})


def header(alg="ES256", **members):
    return lambda i: i.token(alg, header=members)


def nested(i):
    return i.token(payload=text(i.claims())[:-1] + ',"x":' + "[" * 1500 + "]" * 1500 + "}")


HOSTILE = {
    "alg none": unsigned("none"), "alg NONE": unsigned("NONE"), "alg nOnE": unsigned("nOnE"), "alg empty": unsigned(""),
    "alg none but signed": lambda i: i.token(header={"alg": "none"}),
    "alg missing": lambda i: i.token(header={"alg": None}),
    "alg twice": lambda i: i.token(header=f'{{"alg":"ES256","alg":"none","kid":"{i.keys["ES256"].kid}"}}'),
    "alg in small letters": lambda i: i.token(header={"alg": "es256"}),
    "HS256, secret is the public PEM": secret_is_public("PEM"), "HS256, secret is the public DER": secret_is_public("DER"),
    "HS384 of the same": secret_is_public("PEM", "HS384"),
    "empty signature": with_signature(lambda s: b""), "short signature": with_signature(lambda s: s[:-1]),
    "long signature": with_signature(lambda s: s + b"\0"), "r and s are zero": with_signature(lambda s: bytes(64)),
    "r is zero": with_signature(lambda s: bytes(32) + s[32:]), "s is zero": with_signature(lambda s: s[:32] + bytes(32)),
    "r and s are all ones": with_signature(lambda s: b"\xff" * 64),
    "DER signature": lambda i: signed({"alg": "ES256", "kid": i.keys["ES256"].kid}, i.claims(),
                                      lambda data: i.keys["ES256"].private.sign(data, ec.ECDSA(hashes.SHA256()))),
    "RSA signature is zero": with_signature(lambda s: bytes(len(s)), "RS256"),
    "RSA signature with a zero before it": with_signature(lambda s: b"\0" + s, "RS256"),
    "wrong curve": lambda i: i.token("ES384", header={"alg": "ES256"}),
    "wrong curve of that name": lambda i: i.token("ES384", header={"kid": i.keys["ES256"].kid}),
    "key of another kind": lambda i: i.token("RS256", header={"kid": i.keys["ES256"].kid}),
    "algorithm that the key is not for": lambda i: signed(
        {"alg": "PS256", "kid": i.keys["RS256"].kid}, i.claims(), lambda data: i.keys["RS256"].sign(data, "PS256")),
    "padding the key is not for": lambda i: signed(
        {"alg": "RS256", "kid": i.keys["PS256"].kid}, i.claims(), lambda data: i.keys["PS256"].sign(data, "RS256")),
    "signed by another": other_key_of_that_name, "changed": tampered,
    "bytes behind it": lambda i: i.token() + "!!!!", "letters behind it": lambda i: i.token() + "AAAA",
    "a space in it": lambda i: i.token().replace(".", " .", 1), "other letters for - and _": lambda i: i.token("RS256") + "+/",
    "padding behind it": lambda i: i.token() + "==", "unused bits": lambda i: with_unused_bits(i.token()),
    "an extra dot": lambda i: i.token() + ".", "a dot before it": lambda i: "." + i.token(), "four parts": lambda i: i.token() + ".AAAA",
    "five parts": lambda i: ".".join(["e30"] * 5), "two parts": lambda i: i.token().rpartition(".")[0], "only dots": lambda i: "..",
    "empty header": lambda i: i.token(header="{}"), "header is a list": lambda i: i.token(header='["ES256"]'),
    "claims are a list": lambda i: i.token(payload="[]"), "claims are text": lambda i: i.token(payload='"alice"'),
    "claims are no JSON": lambda i: i.token(payload=text(i.claims())[:-1]),
    "claims and more": lambda i: i.token(payload=text(i.claims()) + "{}"),
    "deep claims": nested, "not UTF-8": lambda i: i.token(payload=text(i.claims()).encode().replace(b"alice", b"al\xff\xfe")),
    "too long": claim(x="x" * 9000),
    "subject twice": lambda i: i.token(payload=duplicate(i.claims(), "sub", "root")),
    "audience twice": lambda i: i.token(payload=duplicate(i.claims(aud="other"), "aud", AUDIENCE)),
    "expiry twice": lambda i: i.token(payload=duplicate(i.claims(exp=1), "exp", soon(600))),
    "groups twice": lambda i: i.token(payload=duplicate(i.claims(), "groups", ["ops"])),
    "expired": claim(ttl=-120), "exp missing": claim(exp=None), "exp is text": claim(exp="9999999999"),
    "exp is a fraction": claim(exp=9999999999.5), "exp is huge": lambda i: i.token(payload=text(i.claims()).replace(
        '"exp":', '"exp":9999999999999999999999,"x":')),
    "exp is 1e30": lambda i: i.token(payload=text(i.claims()).replace('"exp":', '"exp":1e30,"x":')),
    "exp is negative": claim(exp=-1), "exp is true": claim(exp=True), "exp is a list": claim(exp=[9999999999]),
    "not yet": lambda i: i.token(nbf=soon(300)), "nbf is text": claim(nbf="0"),
    "issued in the future": lambda i: i.token(iat=soon(300)), "iat is text": claim(iat="0"),
    "another audience": claim(aud="somebody-else"), "other audiences": claim(aud=["one", "two"]),
    "audience missing": claim(aud=None), "audience empty": claim(aud=[]), "audience of numbers": claim(aud=[1]),
    "audience begins so": claim(aud=AUDIENCE + "-2"), "audience in capitals": claim(aud=AUDIENCE.upper()),
    "another issuer": claim(iss="https://evil.example.com"), "issuer missing": claim(iss=None),
    "issuer with a slash": claim(iss=ISSUER + "/"), "issuer is a list": claim(iss=[ISSUER]),
    "subject missing": claim(sub=None), "subject empty": claim(sub=""), "subject is a number": claim(sub=7),
    "subject with a zero byte": claim(sub="alice\0root"), "subject with a line break": claim(sub="alice\nroot"),
    "subject too long": claim(sub="a" * 2000),
    "kid missing": header(kid=None), "kid unknown": header(kid="no-such-key"), "kid is a path": header(kid="../../../../dev/null"),
    "kid is a number": header(kid=7), "kid is too long": header(kid="k" * 3000), "kid with a quote": header(kid="' or 1=1 --"),
    "own key in it": with_key_in_it, "jku": header(jku="https://evil.example.com/keys"),
    "x5u": header(x5u="https://evil.example.com/chain"), "x5c": header(x5c=["AAAA"]), "crit": header(crit=["exp"]),
    "b64": header(b64=False, crit=["b64"]), "b64 alone": header(b64=False),
    "typ of something else": header(typ="secevent+jwt"), "typ of an identity token of another kind": header(typ="dpop+jwt"),
}
