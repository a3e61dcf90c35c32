"""A client without manners: many streams at once, each following a script of its own; frames by hand.

Every stream that the client does not give up itself must end with exactly one grpc-status: see Call.verdict().
"""

import select
import socket
import ssl
import struct
import time

import hpack
from hyperframe import frame

from harness.raw import PREFACE, grpc_headers


class Call:
    """One stream. given_up: what comes back no longer matters, because the client broke it off."""

    def __init__(self, number, headers, body, size, pause, cancel_at, late, credit, trailers):
        self.number, self.headers, self.body, self.size, self.pause = number, headers, body, size, pause
        self.cancel_at, self.late, self.credit, self.trailers = cancel_at, late, credit, trailers
        self.window, self.next, self.sent_end, self.given_up = 65535, 0.0, False, False
        self.statuses, self.blocks, self.bytes, self.ended, self.reset, self.owed = [], 0, 0, False, None, 0
        self.frames = 0
        self.begun = time.monotonic()

    @property
    def over(self):
        return self.ended or self.reset is not None

    def verdict(self):
        """None when all is well, else what is wrong."""
        if self.given_up:
            return None
        if not self.over:
            return f"no end after {time.monotonic() - self.begun:.1f} s, with {self.blocks} header blocks and " \
                f"{self.bytes} bytes; to send: {len(self.body)}, window {self.window}, all sent: {self.sent_end}"
        if len(self.statuses) != 1:
            return f"grpc-status {self.statuses}, reset {self.reset}, ended {self.ended}"
        return None


class Wild:
    """A connection. `random` decides; `window` is what it gives each stream at first."""

    def __init__(self, port, ca, random, window):
        self.random, self.calls, self.next_id, self.initial = random, {}, 1, 65535
        self.window, self.rest, self.closed, self.last_id, self.own_end = 65535, b"", False, None, False
        self.broken = []
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if ca:
            context = ssl.create_default_context(cafile=ca)
            context.set_alpn_protocols(["h2"])
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self.given = window
        self.send(PREFACE, frame.SettingsFrame(0, settings={4: window}), frame.WindowUpdateFrame(0, 1 << 28))

    def send(self, *parts):
        try:
            self.sock.settimeout(10)
            self.sock.sendall(b"".join(p if isinstance(p, bytes) else p.serialize() for p in parts))
        except OSError:
            pass  # the reading side tells

    @property
    def refuses(self):
        return self.closed or self.last_id is not None

    def call(self, method, body, token="token-alice", **script):
        number, self.next_id = self.next_id, self.next_id + 2
        headers = grpc_headers(method, token, **script.pop("more", {}))
        call = self.calls[number] = Call(number, headers, body, **script)
        call.window = self.initial
        block = frame.HeadersFrame(number, self.encoder.encode(headers))
        block.flags.add("END_HEADERS")
        self.send(block)
        if call.credit and self.given < 65535:
            self.send(frame.WindowUpdateFrame(number, 65535))
        return call

    # ---- what goes out ----

    def cancel(self, call, code=8):
        call.given_up = True
        call.reset = code
        self.send(frame.RstStreamFrame(call.number, error_code=code))

    def act(self, now):
        for call in self.calls.values():
            if call.over or now < call.next:
                continue
            if call.cancel_at is not None and now - call.begun >= call.cancel_at:
                self.cancel(call, self.random.choice((0, 2, 8)))
            elif not call.sent_end:
                self._upload(call, now)
            if call.owed and not call.over and call.credit:
                give = min(call.owed, call.credit)
                call.owed -= give
                self.send(frame.WindowUpdateFrame(call.number, give))

    def _upload(self, call, now):
        room = min(call.window, self.window, call.size, len(call.body), 16384)
        if call.body and room <= 0:
            return
        part, call.body = call.body[:room], call.body[room:]
        call.window -= len(part)
        self.window -= len(part)
        last = not call.body and not call.late
        data = frame.DataFrame(call.number, part)
        if last and not call.trailers:
            data.flags.add("END_STREAM")
        if part or last:
            self.send(data)
        if last and call.trailers:
            block = frame.HeadersFrame(call.number, self.encoder.encode([("x-late", "trailer")]))
            for flag in ("END_HEADERS", "END_STREAM"):
                block.flags.add(flag)
            self.send(block)
        call.sent_end = last
        call.frames += 1
        if call.frames % 20 == 0:  # a drip is told after some frames; the rest may go faster
            call.size *= 4
        if not call.body and call.late:
            call.late, call.next = False, now + self.random.random()
        else:
            call.next = now + call.pause

    def close(self, hard=False):
        """Without a word, as when a laptop is shut."""
        self.own_end = self.closed = True
        for call in self.calls.values():
            call.given_up = call.given_up or not call.over
        if hard:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # ---- what comes in ----

    def pump(self, seconds):
        """Reads and acts for so long, or until there is nothing left to do."""
        end = time.monotonic() + seconds
        while not self.closed and (now := time.monotonic()) < end:
            self.act(now)
            if all(call.over for call in self.calls.values()):
                return
            pending = isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()
            busy = any(call.body and not call.over for call in self.calls.values())
            if pending or select.select([self.sock], [], [], 0.001 if busy else 0.02)[0]:
                self._receive()

    def _receive(self):
        try:
            data = self.sock.recv(65536)
        except (OSError, ssl.SSLError):
            data = b""
        if not data:
            self.closed = True
            for call in self.calls.values():
                if not call.over and self.last_id is not None and call.number > self.last_id:
                    call.given_up = True  # said not to have been looked at
            return
        self.rest += data
        while len(self.rest) >= 9:
            size = int.from_bytes(self.rest[:3], "big")
            if len(self.rest) < 9 + size:
                break
            head, body, self.rest = self.rest[:9], self.rest[9:9 + size], self.rest[9 + size:]
            self._take(head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7fffffff, body)

    def _take(self, kind, flags, number, body):
        call = self.calls.get(number)
        if kind == 0:
            self._data(call, flags, body)
        elif kind in (1, 9):
            self._headers(call, flags, body)
        elif kind == 3 and call:
            if not call.over:
                call.reset = int.from_bytes(body, "big")
        elif kind == 4 and not flags & 1:
            for at in range(0, len(body), 6):
                key, value = struct.unpack(">HI", body[at:at + 6])
                if key == 4:
                    for each in self.calls.values():
                        each.window += value - self.initial
                    self.initial = value
            self.send(frame.SettingsFrame(0, flags=["ACK"]))
        elif kind == 6 and not flags & 1:
            self.send(frame.PingFrame(0, body, flags=["ACK"]))
        elif kind == 7:
            self.last_id = int.from_bytes(body[:4], "big") & 0x7fffffff
            if int.from_bytes(body[4:8], "big") != 0:
                self.broken.append(f"GOAWAY {body!r}")
        elif kind == 8:
            more = int.from_bytes(body, "big") & 0x7fffffff
            if number == 0:
                self.window += more
            elif call:
                call.window += more

    def _data(self, call, flags, body):
        if call is None or call.over:
            if call is not None and not call.given_up:
                self.broken.append(f"DATA after the end of stream {call.number}")
            return
        call.bytes += len(body)
        call.owed += len(body)
        if call.bytes > self.given + (1 << 28):
            self.broken.append("more than the window")
        call.ended = bool(flags & 1)

    def _headers(self, call, flags, body):
        if not flags & 4:
            raise AssertionError("CONTINUATION is not expected here")
        fields = self.decoder.decode(body)
        if call is None or call.over:
            if call is not None and not call.given_up:
                self.broken.append(f"HEADERS after the end of stream {call.number}: {fields}")
            return
        call.blocks += 1
        call.statuses += [int(value) for name, value in fields if name == "grpc-status"]
        call.ended = bool(flags & 1)

    def verdicts(self):
        bad = [f"stream {call.number} {dict(call.headers)[':path']}: {why}"
               for call in self.calls.values() if (why := call.verdict())]
        return bad + self.broken
