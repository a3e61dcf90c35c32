"""A driver that does what a test tells it: `behave(stream)` is called for every RPC, in a thread of its own.

The health probe is answered as Spark does (UNIMPLEMENTED) unless `healthy` is false. What came in is in `calls`.
"""

import socket
import struct
import threading

from h2 import events, exceptions
from h2.config import H2Configuration
from h2.connection import H2Connection
from hpack import NeverIndexedHeaderTuple
from pyspark.sql.connect.proto import base_pb2 as pb

from harness import net
from harness.raw import Encoder

OK_HEADERS = [(":status", "200"), ("content-type", "application/grpc")]


class Stream:
    def __init__(self, peer, number, headers):
        self.peer, self.number, self.headers = peer, number, dict(headers)
        self.never_indexed = {h[0] for h in headers if isinstance(h, NeverIndexedHeaderTuple)}
        self.method = self.headers.get(":path", "").rpartition("/")[2]
        self.body, self.ended, self.reset = b"", threading.Event(), None
        self.got = threading.Event()

    def messages(self):
        """The request so far, cut into messages."""
        found, at = [], 0
        while len(self.body) - at >= 5:
            size = struct.unpack(">BI", self.body[at:at + 5])[1]
            if len(self.body) - at - 5 < size:
                break
            found.append(self.body[at + 5:at + 5 + size])
            at += 5 + size
        return found

    def envelope(self):
        """(user, session id) as a driver would see them."""
        request = pb.ConfigRequest.FromString(self.messages()[0])
        return request.user_context.user_id, request.session_id

    def wait(self, seconds=20):
        assert self.ended.wait(seconds), "the request did not end"
        return self

    def send_headers(self, headers=OK_HEADERS, end=False):
        self.peer.do(lambda c: c.send_headers(self.number, headers, end_stream=end))

    def send_message(self, message):
        data = message if isinstance(message, bytes) else message.SerializeToString()
        self.send_data(struct.pack(">BI", 0, len(data)) + data)

    def send_data(self, data, end=False):
        """As flow control allows; returns False when the stream or the connection has gone."""
        return self.peer.send_data(self, data, end)

    def send_trailers(self, status=0, message=None, *more):
        trailers = [("grpc-status", str(status)), *([("grpc-message", message)] if message else []), *more]
        self.peer.do(lambda c: c.send_headers(self.number, trailers, end_stream=True))

    def send_reset(self, code):
        self.peer.do(lambda c: c.reset_stream(self.number, code))

    def answer(self, *messages):
        self.send_headers()
        for message in messages:
            self.send_message(message)
        self.send_trailers()

    def answer_config(self):
        """As a good driver would."""
        session = self.wait().envelope()[1]
        self.answer(pb.ConfigResponse(session_id=session, server_side_session_id=self.peer.driver.identity))


class Peer:
    """One connection from the gateway."""

    def __init__(self, driver, sock):
        self.driver, self.sock, self.streams = driver, sock, {}
        self.lock = threading.Condition()
        self.alive, self.acks = True, 0
        self.conn = H2Connection(H2Configuration(
            client_side=False, header_encoding="utf-8", validate_outbound_headers=False,
            normalize_outbound_headers=False, validate_inbound_headers=False))
        self.conn.encoder = Encoder()
        threading.Thread(target=self._run, daemon=True).start()

    def do(self, act):
        with self.lock:
            try:
                act(self.conn)
                self.sock.sendall(self.conn.data_to_send())
            except (exceptions.H2Error, OSError):
                return False
        return True

    def send_bytes(self, data):
        with self.lock:
            self.sock.sendall(data)

    def send_data(self, stream, data, end):
        view = memoryview(data)
        while view or end:
            with self.lock:
                while self.alive and stream.reset is None and view and self._room(stream) <= 0:
                    self.lock.wait(1)
                if not self.alive or stream.reset is not None:
                    return False
                part = view[:self._room(stream)] if view else b""
                view = view[len(part):]
                last = end and not view
                try:
                    self.conn.send_data(stream.number, bytes(part), end_stream=last)
                    self.sock.sendall(self.conn.data_to_send())
                except (exceptions.H2Error, OSError):
                    return False
                self.driver.sent += len(part)
            if last:
                break
        return True

    def _room(self, stream):
        try:
            return min(self.conn.local_flow_control_window(stream.number), self.conn.max_outbound_frame_size)
        except exceptions.H2Error:
            stream.reset = -1
            return 0

    def round_trip(self, seconds=10):
        """A PING there and back: the gateway has taken all that was sent before."""
        with self.lock:
            wanted = self.acks + 1
        self.do(lambda c: c.ping(b"go-round"))
        with self.lock:
            assert self.lock.wait_for(lambda: self.acks >= wanted, seconds), "no answer to a PING"

    def close(self):
        """The connection, at once."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def _run(self):
        self.conn.initiate_connection()
        self.do(lambda c: (c.update_settings({4: 1 << 20}), c.increment_flow_control_window(1 << 24)))
        try:
            while data := self.sock.recv(65536):
                with self.lock:
                    for event in self.conn.receive_data(data):
                        self._take(event)
                    self.sock.sendall(self.conn.data_to_send())
                    self.lock.notify_all()
        except (exceptions.H2Error, OSError):
            pass
        with self.lock:
            self.alive = False
            self.lock.notify_all()
            self.sock.close()

    def _take(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, events.PingAckReceived):
            self.acks += 1
        elif isinstance(event, events.RequestReceived):
            stream = self.streams[event.stream_id] = Stream(self, event.stream_id, event.headers)
            threading.Thread(target=self.driver.serve, args=(stream,), daemon=True).start()
        elif isinstance(event, events.DataReceived):
            stream.body += event.data
            stream.got.set()
            self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, events.StreamEnded):
            stream.ended.set()
        elif isinstance(event, events.StreamReset) and stream:
            stream.reset = event.error_code
            stream.ended.set()


class Fake:
    def __init__(self, name="fake"):
        self.port, self.healthy, self.identity = net.free_port(), True, f"{name}-identity"
        self.calls, self.peers, self.sent, self.probes = [], [], 0, 0
        self.behave = Stream.answer_config
        self.listener = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()
        return self

    def _accept(self, listener):
        try:
            while True:
                sock, _ = listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.peers.append(Peer(self, sock))
        except OSError:
            pass

    def serve(self, stream):
        if stream.headers.get(":path", "").startswith("/grpc.health.v1.Health/"):
            self.probes += 1
            if self.healthy:
                stream.send_headers([*OK_HEADERS, ("grpc-status", "12"), ("grpc-message", "no such method")], end=True)
            else:
                stream.send_reset(2)
            return
        self.calls.append(stream)
        self.behave(stream)

    def methods(self):
        return [call.method for call in self.calls]

    def die(self):
        """The port closes and so does every connection, as when the process is killed."""
        if self.listener:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
        for peer in self.peers:
            peer.close()
        self.peers.clear()

    stop = die


def two_messages(session, go_on):
    """How a driver behaves that stops in the middle of a plan's result until the event `go_on` is set."""
    def behave(stream):
        if stream.method != "ExecutePlan":
            return stream.answer_config()
        stream.wait().send_headers()
        stream.send_message(pb.ExecutePlanResponse(session_id=session))
        go_on.wait(20)
        stream.send_message(pb.ExecutePlanResponse(session_id=session))
        stream.send_trailers()
    return behave
