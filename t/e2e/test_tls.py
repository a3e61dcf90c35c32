"""What a client is shown before its first RPC: a certificate by the name it asks for, also after a reload."""

import os
import socket
import ssl

import pytest


@pytest.fixture
def several(make_gateway, authority, fake):
    """One listener with three certificates."""
    gateway = make_gateway([fake], start=False)
    more = [authority.issue("eng", "DNS:eng.example.com,DNS:*.eng.example.com"), authority.issue("ops", "DNS:ops.example.com")]
    gateway.conf["listeners"][0]["tls"]["more"] = [{"certificate": str(crt), "key": str(key)} for crt, key in more]
    gateway.write()
    return gateway.start()


def shown(gateway, name):
    """The common name of the certificate that a client is shown who asks for this name."""
    context = ssl.create_default_context(cafile=gateway.authority.ca)
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as plain, \
            context.wrap_socket(plain, server_hostname=name) as tls:
        assert tls.selected_alpn_protocol() == "h2"
        return dict(pair for part in tls.getpeercert()["subject"] for pair in part)["commonName"]


NAMES = {None: "localhost", "localhost": "localhost", "unknown.example.com": "localhost", "eng.example.com": "eng",
         "Eng.Example.Com": "eng", "a.eng.example.com": "eng", "a.b.eng.example.com": "localhost", "ops.example.com": "ops"}


def test_certificate_by_name(several):
    for name, wanted in NAMES.items():
        assert shown(several, name) == wanted, name


def test_reload_takes_a_new_certificate(several, authority):
    crt, key = authority.issue("new-ops", "DNS:ops.example.com")
    several.conf["listeners"][0]["tls"]["more"][1] = {"certificate": str(crt), "key": str(key)}
    several.write()
    several.reload()
    assert shown(several, "ops.example.com") == "new-ops" and shown(several, "eng.example.com") == "eng"


def test_reload_names_the_line_of_a_wrong_one(several):
    more = several.conf["listeners"][0]["tls"]["more"]
    more[1]["key"] = more[0]["key"]
    several.write()
    line = next(n for n, text in enumerate(several.file.read_text().splitlines(), 1) if "ops.crt" in text)
    done = several.reload(check=False)
    words = done.stdout + done.stderr
    assert done.returncode == 1 and "eng.key: key values mismatch" in words
    assert any(f"{several.file}:{n}: listeners[0].tls.more[1]: " in words for n in (line - 1, line)), words
    assert shown(several, "ops.example.com") == "ops"


def test_key_that_others_may_read_is_warned_of(several):
    key = several.conf["listeners"][0]["tls"]["more"][1]["key"]
    os.chmod(key, 0o644)
    several.reload()
    assert f"{key} has mode 0644" in several.tail()
