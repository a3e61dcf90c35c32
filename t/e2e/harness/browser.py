"""A headless Chromium, driven by its DevTools protocol over a pair of pipes: no library, no port, nothing of anybody's profile."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

from harness import net

PROGRAMS = ("chromium-headless-shell", "chromium")
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-pipe", "--hide-scrollbars"]
KEYS = {"Tab": 9, "Enter": 13, " ": 32}


def find():
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


def high_pipe():
    """3 and 4 are the browser's own."""
    low = os.pipe()
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in low]
    for fd in low:
        os.close(fd)
    return high


class Browser:
    """One page. `problems`: what its console says and what it could not load; `asked`: every address it asked for."""

    def __init__(self, width=1280, height=900):
        self.problems, self.asked, self.answers, self.buffer, self.number = [], [], {}, b"", 0
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        ours_in, self.out = high_pipe()
        self.into, ours_out = high_pipe()
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec 3<&{ours_in} 4>&{ours_out}; exec "$@"', "bash", find(), *OPTIONS,
             f"--user-data-dir={self.profile.name}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(ours_in, ours_out))
        os.close(ours_in)
        os.close(ours_out)
        self.session = None
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Accessibility"):
            self.do(f"{domain}.enable")
        self.size(width, height)

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.out)
        os.close(self.into)
        self.profile.cleanup()

    # ---- the protocol: JSON texts, each with a NUL behind it ----

    def do(self, method, **params):
        self.number += 1
        number = self.number
        message = {"id": number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + 60
        while number not in self.answers:
            assert time.monotonic() < end, f"no answer to {method}"
            self.listen(1)
        answer = self.answers.pop(number)
        assert "error" not in answer, f"{method}: {answer}"
        return answer["result"]

    def listen(self, seconds):
        """What comes within so many seconds."""
        if select.select([self.into], [], [], seconds)[0]:
            data = os.read(self.into, 1 << 20)
            assert data, "the browser has gone"
            *texts, self.buffer = (self.buffer + data).split(b"\0")
            for text in texts:
                self._take(json.loads(text))

    def _take(self, message):
        params, method = message.get("params", {}), message.get("method")
        if "id" in message:
            self.answers[message["id"]] = message
        elif method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.problems.append(params["exceptionDetails"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.problems.append(params["args"])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.problems.append(params["entry"])

    # ---- as a person would ----

    def size(self, width, height):
        self.do("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, value):
        """What the system prefers: light or dark."""
        self.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def open(self, url):
        self.do("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def press(self, key):
        more = {"key": key, "windowsVirtualKeyCode": KEYS[key], "code": "Space" if key == " " else key}
        text = {"Enter": {"text": "\r"}, " ": {"text": " "}}.get(key, {})
        self.do("Input.dispatchKeyEvent", type="keyDown", **more, **text)
        self.do("Input.dispatchKeyEvent", type="keyUp", **more)

    def js(self, expression):
        """Its value."""
        done = self.do("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def wait(self, expression, seconds=20):
        return net.wait_for(lambda: self.js(expression), seconds, lambda: f"{expression}\n{self.text()}", 0.1)

    def text(self, selector="body"):
        return self.js(f"document.querySelector({json.dumps(selector)})?.innerText")

    def screenshot(self, path, whole=True):
        size = self.js("[innerWidth, document.documentElement.scrollHeight]")
        clip = {"clip": {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}} if whole else {}
        data = self.do("Page.captureScreenshot", format="png", captureBeyondViewport=True, **clip)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
