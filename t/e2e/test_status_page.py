"""The status page in a real browser: what it shows, how soon, by keyboard, in light and dark, and that it asks nobody else."""

import http.client
import http.server
import json
import os
import signal
import threading
import time

import pytest

from harness import browser, net, rpc

CONTROLS = ["a.skip", "#pause", "#theme", "#only", "footer a"]


@pytest.fixture
def page():
    if not browser.find():
        pytest.skip("no Chromium")
    page = browser.Browser()
    yield page
    page.close()


@pytest.fixture
def setup(make_gateway, fakes):
    gateway = make_gateway({"eng-prod": [f.address for f in fakes], "ops-prod": [fakes[1].address]}, workers=2)
    return gateway, fakes


def address(gateway, path="/"):
    return f"http://127.0.0.1:{gateway.admin_port}{path}"


def get(gateway, path, method="GET"):
    conn = http.client.HTTPConnection("127.0.0.1", gateway.admin_port, timeout=10)
    conn.request(method, path)
    answer = conn.getresponse()
    try:
        return answer.status, dict(answer.headers), answer.read().decode()
    finally:
        conn.close()


def open_page(page, gateway):
    page.open(address(gateway))
    page.wait("document.querySelectorAll('#drivers tr').length > 0 && document.querySelector('#state').className != ''")


def rows(page, table):
    return page.js(f"[...document.querySelectorAll('#{table} tr')].map(r => [...r.cells].map(c => c.textContent))")


def check_clean(page, gateway):
    assert page.problems == []
    assert {url.split("/")[2] for url in page.asked if url.startswith("http")} == {f"127.0.0.1:{gateway.admin_port}"}
    assert all(url.startswith(("http://127", "data:", "about:")) for url in page.asked)


def test_shows_drivers_sessions_and_their_changes(page, setup):
    gateway, fakes = setup
    with rpc.Channel(gateway.way()) as channel:
        for _ in range(5):
            channel.call("Config", rpc.config(rpc.new_id()))
        open_page(page, gateway)
        assert page.text("#state") == "Ready"
        assert [row[2] for row in rows(page, "drivers")] == ["up"] * 3
        page.wait("document.querySelector('#n-sessions').textContent === '5'")
        assert [row[:3] for row in rows(page, "teams")] == [["eng", "prod", "5"], ["ops", "prod", "0"]]
        assert [row[0] for row in rows(page, "processes")][:2] == ["worker 0", "worker 1"]
        for _ in range(20):
            channel.call("Config", rpc.config(rpc.new_id()))
        page.wait("parseFloat(document.querySelector('#n-rate').textContent) > 0", 10)
    fakes[1].die()
    page.wait("document.querySelectorAll('#drivers .bad').length === 2", 10)
    assert [row[2] for row in rows(page, "drivers")] == ["up", "down: refused", "down: refused"]
    page.wait("/is down \\(refused\\)/.test(document.querySelector('#events').textContent)", 10)
    page.js("document.querySelector('#only').click()")
    assert len(rows(page, "drivers")) == 2
    fakes[0].die()
    page.wait("document.querySelector('#state').textContent === 'Not ready: no driver is up'", 10)
    assert page.js("document.title").startswith("(!)")
    check_clean(page, gateway)


def test_tells_reloads_and_restarts(page, setup):
    """The history outlives the process that shows it."""
    gateway, _ = setup
    open_page(page, gateway)
    gateway.ctl("driver", "drain", "ops-prod/" + setup[1][1].address)
    page.wait("/is draining/.test(document.querySelector('#events').textContent)", 10)
    os.kill(gateway.pids("worker")[0], signal.SIGKILL)
    page.wait("/worker \\d is a new process/.test(document.querySelector('#events').textContent)", 10)
    gateway.reload()
    page.wait("/generation 2 is in force/.test(document.querySelector('#events').textContent)", 15)
    text = page.text("#events")
    assert "the gateway was started" in text and "is draining" in text and "is a new process" in text, text
    os.kill(gateway.pids("controller")[0], signal.SIGKILL)
    page.wait("/controller is a new process/.test(document.querySelector('#events').textContent)", 15)
    check_clean(page, gateway)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_warns_of_a_certificate_that_expires(page, make_gateway, fake, authority, scheme):
    """Each with its end; what is near stands above everything, and goes with the reload that takes the new file in."""
    gateway = make_gateway([fake], start=False)
    tls = gateway.conf["listeners"][0]["tls"]
    for name, days in (("one", 5), ("two", 1)):
        crt, key = authority.issue(f"{name}-{scheme}", f"DNS:{name}.example.com", days)
        tls.setdefault("more", []).append({"certificate": str(crt), "key": str(key)})
    gateway.write()
    gateway.start()
    page.scheme(scheme)
    open_page(page, gateway)
    page.wait("document.querySelectorAll('#certificates tr').length === 3", 10)
    found = rows(page, "certificates")
    assert [row[4] for row in found] == ["valid", "expires soon", "expires soon"]
    assert [row[0] for row in found[1:]] == [m["certificate"] for m in tls["more"]]
    assert found[1][1].startswith("127.0.0.1:") and found[1][2].endswith(" UTC") and found[1][3] == "4 days"
    assert page.js("[...document.querySelectorAll('#certificates .tag')].map(t => t.className)") == ["tag good", "tag warn", "tag bad"]
    assert page.text("#warning").startswith("A certificate expires in 23 h ") and page.text("#warning").endswith(
        f": {tls['more'][1]['certificate']}, and 1 other soon")
    assert page.js("document.querySelector('#warning').className") == "bad" and page.js(CONTRAST) == []
    del tls["more"]
    gateway.write()
    gateway.reload()
    page.wait("document.querySelectorAll('#certificates tr').length === 1 && document.querySelector('#warning').hidden", 15)
    seen = json.loads(get(gateway, "/v1/overview")[2])["certificates"]
    assert [(c["listener"], c["certificate"]) for c in seen] == [(f"127.0.0.1:{gateway.port}", tls["certificate"])]
    assert 29 * 86400 < seen[0]["expires_ms"] / 1000 - time.time() < 30 * 86400
    check_clean(page, gateway)


def test_says_when_nobody_answers(page, setup):
    gateway, _ = setup
    open_page(page, gateway)
    gateway.stop()
    page.wait("/^The gateway is not reachable since .* What is below is from/.test("
              "document.querySelector('#state').textContent)", 10)
    assert page.js("document.documentElement.classList.contains('stale')")
    page.wait("/ s old/.test(document.querySelector('#updated').textContent)", 15)
    gateway.start()
    page.wait("document.querySelector('#state').textContent === 'Ready'", 15)


def test_by_keyboard(page, setup):
    """Tab reaches every control in the order of the page, each shows where it is, and keys work them."""
    gateway, _ = setup
    open_page(page, gateway)
    reached, outlines = [], []
    for _ in range(20):
        page.press("Tab")
        at = page.js("(() => { const e = document.activeElement; return e === document.body ? null : "
                     f"({json.dumps(CONTROLS)}.find(s => e.matches(s)) || e.className); }})()")
        if at is None:
            break
        reached.append(at)
        outlines.append(page.js("getComputedStyle(document.activeElement).outlineStyle"))
    assert [r for r in reached if r != "scroll"] == CONTROLS and reached.count("scroll") == 7
    assert set(outlines) == {"solid"}
    page.js("document.querySelector('#pause').focus()")
    page.press(" ")
    assert page.text("#pause") == "Resume" and page.text("#updated").startswith("Paused")
    page.press("Enter")
    assert page.text("#pause") == "Pause"
    page.js("document.querySelector('a.skip').focus()")
    page.press("Enter")
    assert page.js("document.activeElement.id") == "main"
    check_clean(page, gateway)


def background(page):
    return page.js("getComputedStyle(document.body).backgroundColor")


def test_light_and_dark(page, setup):
    gateway, _ = setup
    page.scheme("light")
    open_page(page, gateway)
    light = background(page)
    page.scheme("dark")
    page.wait("document.querySelector('#theme').textContent === 'Light theme'")
    assert background(page) != light
    page.js("document.querySelector('#theme').focus()")
    page.press("Enter")
    assert background(page) == light and page.text("#theme") == "Dark theme"
    open_page(page, gateway)
    assert background(page) == light  # remembered, against what the system prefers
    assert not page.js("document.cookie")
    check_clean(page, gateway)


CONTRAST = """(() => {
    const rgb = c => c.match(/[\\d.]+/g).map(Number);
    const lum = c => rgb(c).slice(0, 3).map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
    const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
        if (rgb(c)[3] !== 0) return c; } return "rgb(255, 255, 255)"; };
    return [...document.querySelectorAll("body *")].filter(e => e.checkVisibility() && [...e.childNodes].some(
        n => n.nodeType === 3 && n.data.trim())).map(e => {
            const [a, b] = [lum(getComputedStyle(e).color), lum(behind(e))].sort((x, y) => y - x);
            return [e.tagName + "#" + e.id + "." + e.className, (a + .05) / (b + .05)]; }).filter(r => r[1] < 4.5);
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_can_be_read_by_anybody(page, setup, scheme):
    """Headings in order, a caption and scopes in every table, a name for every control, one live region, contrast as in WCAG AA."""
    gateway, fakes = setup
    page.scheme(scheme)
    fakes[1].die()
    open_page(page, gateway)
    page.wait("document.querySelectorAll('#drivers .bad').length === 2", 10)
    levels = page.js("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:]))
    assert page.js("[...document.querySelectorAll('table')].every(t => t.caption && t.caption.textContent)")
    assert page.js("[...document.querySelectorAll('th')].every(t => t.scope)")
    assert page.js("document.querySelectorAll('[aria-live]').length") == 1
    assert page.js("document.documentElement.lang") == "en" and page.js("document.querySelectorAll('main,header,footer').length") == 3
    assert page.js("new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size === document.querySelectorAll('[id]').length")
    nodes = page.do("Accessibility.getFullAXTree")["nodes"]
    named = {"button", "link", "checkbox", "region", "table"}
    nameless = [n for n in nodes if n.get("role", {}).get("value") in named and not n.get("name", {}).get("value")]
    assert not nameless, nameless
    assert page.js(CONTRAST) == []


def test_fits_a_phone(page, setup):
    gateway, _ = setup
    page.size(360, 740)
    open_page(page, gateway)
    assert page.js("document.documentElement.scrollWidth") <= 360


def test_without_javascript(page, setup):
    gateway, _ = setup
    page.do("Emulation.setScriptExecutionDisabled", value=True)
    page.do("Page.navigate", url=address(gateway))

    def strings():
        return " ".join(page.do("DOMSnapshot.captureSnapshot", computedStyles=[])["strings"])
    net.wait_for(lambda: "needs JavaScript" in strings() and "v1/overview" in strings(), 10, strings)


def test_headers_and_the_json(setup):
    gateway, _ = setup
    with rpc.Channel(gateway.way()) as channel:
        channel.call("Config", rpc.config(rpc.new_id()))
    status, headers, text = get(gateway, "/")
    policy = headers["Content-Security-Policy"]
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in policy and "unsafe" not in policy and policy.count("sha256-") == 2
    assert headers["X-Content-Type-Options"] == "nosniff" and "Set-Cookie" not in headers
    assert get(gateway, "/status")[2] == text and get(gateway, "/", "POST")[0] == 405
    status, headers, text = get(gateway, "/v1/overview")
    seen = json.loads(text)
    assert status == 200 and headers["Content-Type"] == "application/json" and "Set-Cookie" not in headers
    assert set(seen) == {"status", "clusters", "drivers", "bounds_us", "teams", "audit", "providers", "certificates",
                         "history"}
    assert "alice" not in text and not any(word in text for word in gateway.secrets)
    assert sum(team["sessions"] for team in seen["teams"]) == 1
    assert get(gateway, "/v1/sessions")[0] == 404


class Stub:
    """The page of a real gateway, and an overview that a test makes up."""

    def __init__(self, html, overview):
        stub = self
        self.html, self.overview = html, overview

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body, kind = (stub.html, "text/html; charset=utf-8") if self.path == "/" else (json.dumps(
                    {**stub.overview, "status": {**stub.overview["status"], "now_ms": time.time_ns() // 1000000}}), "application/json")
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.admin_port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def test_numbers_and_unkind_words(page, setup):
    """Rates and percentiles of teams out of two answers; names are text, whatever stands in them; no cluster at all."""
    real, _ = setup
    seen, evil = json.loads(get(real, "/v1/overview")[2]), "<img src=x onerror=alert(1)>"
    seen["teams"][0] = {**seen["teams"][0], "team": evil, "requests": 100, "failed": 0}
    stub = Stub(get(real, "/")[2], seen)
    open_page(page, stub)
    more = list(seen["teams"][0]["latency"])
    more[5] += 100  # 25 to 50 ms
    more[9] += 10  # 500 ms to 1 s
    stub.overview = {**seen, "clusters": [], "drivers": [], "teams": [
        {**seen["teams"][0], "requests": 210, "failed": 11, "errors": {"no_driver": 8, "driver_lost": 3}, "latency": more}]}
    page.wait("document.querySelector('#teams').textContent.includes('no driver (8)')", 10)
    team, _, _, rate, median, p95, failed, worst = rows(page, "teams")[0]
    assert (team, median, p95, failed, worst) == (evil, "39 ms", "725 ms", "10 %", "no driver (8)") and float(rate) > 5
    assert page.js("document.images.length") == 0
    assert rows(page, "clusters") == [["No clusters are configured."]] and rows(page, "drivers") == [["No drivers are configured."]]
    check_clean(page, stub)
    stub.server.shutdown()
