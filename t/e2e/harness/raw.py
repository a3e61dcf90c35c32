"""A client that sends whatever frames a test wants, over TLS or in clear text."""

import socket
import ssl
import time

import hpack
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2 import events
from hyperframe import frame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Encoder(hpack.Encoder):
    """Huffman coding, as written in Python, takes seconds for a long value."""

    def encode(self, headers, huffman=True):
        headers = list(headers)
        return super().encode(headers, huffman and sum(len(name) + len(value) for name, value, *_ in headers) < 10_000)


class Answer:
    """What came back on one stream."""

    def __init__(self):
        self.headers, self.trailers, self.data = {}, {}, b""
        self.fields = []  # of all blocks, those of one name too
        self.reset, self.ended, self.goaway, self.closed = None, False, None, False

    @property
    def status(self):
        """The grpc-status, from wherever it came; None when there is none."""
        value = self.trailers.get("grpc-status", self.headers.get("grpc-status"))
        return int(value) if value is not None else None

    @property
    def message(self):
        return self.trailers.get("grpc-message", self.headers.get("grpc-message", ""))

    @property
    def over(self):
        return self.ended or self.reset is not None or self.closed

    def __repr__(self):
        return f"<{self.headers} {len(self.data)} bytes {self.trailers} reset={self.reset} goaway={self.goaway} closed={self.closed}>"


class Raw:
    """A connection. `conn` is an h2 connection which checks nothing that we send."""

    def __init__(self, port, ca=None, alpn=("h2",), deaf=False, timeout=20, host="localhost", identity=None):
        """deaf: only GOAWAY is taken notice of; for frames that `conn` knows nothing of. host: whom TLS asks for."""
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if ca:
            context = ssl.create_default_context(cafile=ca)
            if alpn:
                context.set_alpn_protocols(list(alpn))
            if identity:
                context.load_cert_chain(*identity)
            self.sock = context.wrap_socket(self.sock, server_hostname=host)
        self.conn = H2Connection(H2Configuration(client_side=True, validate_outbound_headers=False,
                                                 normalize_outbound_headers=False, header_encoding="utf-8",
                                                 validate_inbound_headers=True))
        self.answers, self.goaway, self.closed = {}, None, False
        self.hpack, self.deaf, self.rest = hpack.Encoder(), deaf, b""
        self.conn.encoder = Encoder()
        self.conn.initiate_connection()
        self.conn.update_settings({4: 1 << 20})
        self.conn.increment_flow_control_window(1 << 24)
        self.flush()

    def flush(self):
        self.send(self.conn.data_to_send())

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            pass  # the reading side tells: an answer may still be there

    def request(self, headers, body=b"", end=True, seconds=20):
        """Starts a stream; the body goes out as the windows allow, until the stream is over."""
        stream = self.conn.get_next_available_stream_id()
        self.answers[stream] = Answer()
        self.conn.send_headers(stream, headers, end_stream=end and not body)
        self.flush()
        while body and not self.answers[stream].over:
            room = min(self.conn.local_flow_control_window(stream), self.conn.max_outbound_frame_size)
            part, body = body[:room], body[room:]
            if part:
                self.conn.send_data(stream, part, end_stream=end and not body)
                self.flush()
            if body:
                self.pump(0 if room else seconds, lambda: self._room(stream) > 0)
        return stream

    def _room(self, stream):
        return 1 if self.answers[stream].over else self.conn.local_flow_control_window(stream)

    def answer(self, stream, seconds=10):
        """Waits for the end of this stream, however it comes."""
        self.pump(seconds, lambda: self.answers[stream].over)
        return self.answers[stream]

    def pump(self, seconds, until=lambda: False):
        """Takes what comes, until the time is up or the question is answered."""
        end = time.monotonic() + seconds
        while not until() and not self.closed and (left := end - time.monotonic()) > 0:
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                break
            except OSError:
                data = b""
            if not data:
                self._close()
                break
            if self.deaf:
                self._look_for_goaway(data)
            else:
                for event in self.conn.receive_data(data):
                    self._take(event)
                self.flush()

    def _look_for_goaway(self, data):
        self.rest += data
        while len(self.rest) >= 9 and len(self.rest) >= 9 + (size := int.from_bytes(self.rest[:3], "big")):
            if self.rest[3] == 7 and int.from_bytes(self.rest[13:17], "big") != 0:
                self.goaway = int.from_bytes(self.rest[13:17], "big")
            self.rest = self.rest[9 + size:]

    def _close(self):
        self.closed = True
        for answer in self.answers.values():
            answer.closed = not answer.ended and answer.reset is None

    def _take(self, event):
        answer = self.answers.get(getattr(event, "stream_id", None), Answer())
        if isinstance(event, events.ResponseReceived):
            answer.headers = dict(event.headers)
            answer.fields += event.headers
        elif isinstance(event, events.TrailersReceived):
            answer.trailers = dict(event.headers)
            answer.fields += event.headers
        elif isinstance(event, events.DataReceived):
            answer.data += event.data
            self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, events.StreamEnded):
            answer.ended = True
        elif isinstance(event, events.StreamReset):
            answer.reset = event.error_code
        elif isinstance(event, events.ConnectionTerminated):
            self.goaway = event.error_code
            for each in self.answers.values():
                each.goaway = event.error_code

    def frames(self, *frames):
        """Sends hyperframe frames as they are."""
        self.send(b"".join(f.serialize() for f in frames))

    def headers_frame(self, stream, headers, *flags):
        made = frame.HeadersFrame(stream, self.hpack.encode(headers))
        for flag in ("END_HEADERS", *flags):
            made.flags.add(flag)
        return made

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def grpc_headers(method="Config", token="token-alice", **changes):
    """A good request's headers; changes replace (None: drop), underscores become hyphens, a leading one a colon."""
    headers = {":method": "POST", ":scheme": "http", ":path": f"/spark.connect.SparkConnectService/{method}",
               ":authority": "localhost", "te": "trailers", "content-type": "application/grpc",
               "authorization": f"Bearer {token}", "x-doordash-team": "eng", "x-doordash-env": "prod"}
    for key, value in changes.items():
        name = key.replace("_", "-")
        headers[":" + name[1:] if name.startswith("-") else name] = value
    return [(key, value) for key, value in headers.items() if value is not None]
