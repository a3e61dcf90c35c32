"""A load of all kinds of RPCs, of which it knows afterwards what the gateway must have written down about each.

What a client can know of an RPC that it sent, with a trace id of its own:

	ended	it has the whole answer, or has cancelled it and knows by a PING that this arrived: one record, with that status
	taken	the connection died before, but a PING, or a byte of the answer, had proved that a worker had it: one record
	refused	a GOAWAY said that it was not taken: none
	unsure	the connection died, and nothing had come back: one record if the worker had begun to read it, else none; that record
		is without its trace if the worker was killed while it read the headers

So, whoever is killed: ended + taken + (those unsure that are recorded) = records = requests counted, and of what a driver was
given nothing is missing.
"""

import itertools
import secrets
import threading

from h2 import events, exceptions
from hyperframe import frame
from pyspark.sql.connect.proto import base_pb2 as pb

from harness import net, rpc
from harness.fake import OK_HEADERS
from harness.raw import Raw, grpc_headers

CANCELLED, CANCEL = 1, 8
TEAM_UNKNOWN, TOKEN_BAD = {"x_doordash_team": "nobody"}, {"token": "bad"}
# What each sends: method, what its headers have besides. The driver learns the kind from a header.
KINDS = {
    "unary": ("Config", {}), "stream": ("ExecutePlan", {}), "upload": ("AddArtifacts", {}), "fails": ("ExecutePlan", {}),
    "deadline": ("ExecutePlan", {"grpc_timeout": "50m"}), "cancelled": ("ExecutePlan", {}), "given up": ("AddArtifacts", {}),
    "unknown": ("ReattachExecute", {}), "team": ("Config", TEAM_UNKNOWN), "token": ("Config", TOKEN_BAD),
}
TURN = [*list(KINDS)[:-1] * 3, "token"]  # bad tokens slow their sender down


def behave(stream):
    """The driver's part. Whatever is not named holds its stream open until the client, or the deadline, ends it."""
    kind = stream.headers.get("x-kind")
    if kind == "unary":
        return stream.answer_config()
    if kind in ("stream", "upload", "fails"):
        stream.wait()
    stream.send_headers(OK_HEADERS)
    if kind == "stream":
        for _ in range(3):
            stream.send_message(pb.ExecutePlanResponse(operation_id=rpc.new_id()))
    elif kind != "fails":
        stream.send_message(b"")
    if kind in ("stream", "upload"):
        stream.send_trailers()
    elif kind == "fails":
        stream.send_trailers(13, "no such table")


class Sent:
    """An RPC, and what is known of it."""

    def __init__(self, kind, connection):
        self.kind, self.connection, self.trace = kind, connection, secrets.token_hex(16)
        self.stream = self.status = None
        self.reached = False

    @property
    def answer(self):
        return self.connection.answers[self.stream]

    @property
    def known(self):
        if self.status is not None:
            return "ended"
        if self.reached or self.answer.headers:
            return "taken"
        return "refused" if self.stream > self.connection.last_stream else "unsure"


class Connection(Raw):
    """One that goes on with its streams after a GOAWAY, and learns by PING what has arrived."""

    def __init__(self, port):
        super().__init__(port)
        self.last_stream, self.going, self.acks = 1 << 31, False, 0
        self.conn._frame_dispatch_table[frame.GoAwayFrame] = self._take_goaway

    def _take_goaway(self, goaway):
        self.last_stream, self.going = min(self.last_stream, goaway.last_stream_id), True
        return [], []

    def _take(self, event):
        self.acks += isinstance(event, events.PingAckReceived)
        super()._take(event)

    def round_trip(self):
        """True: all that was sent before has been read by the worker."""
        wanted = self.acks + 1
        self.conn.ping(secrets.token_bytes(8))
        self.flush()
        self.pump(30, lambda: self.acks >= wanted)
        return self.acks >= wanted


class Client(threading.Thread):
    """Sends a handful at once, waits for all, and again; a stream stays open on each of its connections."""

    def __init__(self, port, sessions, stopping, first):
        super().__init__(daemon=True)
        self.port, self.sessions, self.stopping = port, itertools.cycle(sessions), stopping
        self.kinds, self.sent, self.connections, self.error = itertools.cycle(TURN[first:] + TURN[:first]), [], [], None

    def run(self):
        try:
            while not self.stopping.is_set():
                try:
                    self._turn(self._connection())
                except ConnectionError:  # nobody is there: the gateway starts again
                    self.stopping.wait(0.05)
                for connection in self.connections[:-1]:  # they drain
                    connection.pump(0.001)
            for connection in self.connections:
                connection.pump(30, lambda: all(answer.over for answer in connection.answers.values()))
        except Exception as error:  # it is the test's, which asks for it
            self.error = error
        for sent in self.sent:
            if sent.status is None and sent.answer.ended:
                sent.status = sent.answer.status

    def _connection(self):
        if not self.connections or self.connections[-1].going or self.connections[-1].closed:
            self.connections.append(Connection(self.port))
            self._send("long", self.connections[-1], "ExecutePlan")
            self.sent[-1].reached = self.connections[-1].round_trip()
        return self.connections[-1]

    def _send(self, kind, connection, method, **headers):
        sent = Sent(kind, connection)
        session = rpc.new_id() if kind in ("unknown", "team") else next(self.sessions)
        message = rpc.envelope(rpc.requests(session)[method])
        sent.stream = connection.request(
            grpc_headers(method, x_kind=kind, traceparent=f"00-{sent.trace}-{secrets.token_hex(8)}-01", **headers),
            message * (5 if method == "AddArtifacts" else 1), end=kind != "given up")
        self.sent.append(sent)
        return sent

    def _turn(self, connection):
        some = []
        for _ in range(6):
            kind = next(self.kinds)
            method, headers = KINDS[kind]
            try:
                some.append(self._send(kind, connection, method, **headers))
            except exceptions.H2Error:  # the connection has gone
                break
        for sent in some:
            if sent.kind in ("cancelled", "given up"):
                self._cancel(connection, sent)
            else:
                connection.pump(30, lambda: sent.answer.over)

    def _cancel(self, connection, sent):
        connection.pump(30, lambda: sent.answer.data or sent.answer.over)
        if sent.answer.over:
            return
        connection.conn.reset_stream(sent.stream, CANCEL)
        connection.flush()
        sent.answer.reset = CANCEL
        if connection.round_trip():
            sent.status = CANCELLED


class Traffic:
    """With it: under way. Afterwards `sent` tells of all."""

    def __init__(self, port, drivers, clients=4):
        for driver in drivers:
            driver.behave = behave
        self.drivers, self.stopping, self.sent = drivers, threading.Event(), []
        sessions = [rpc.new_id() for _ in range(20)]
        self.clients = [Client(port, sessions, self.stopping, 3 * i) for i in range(clients)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        self.go_on(60)
        return self

    def go_on(self, more, seconds=60):
        """Until so many more have been sent."""
        count = sum(len(c.sent) for c in self.clients) + more
        net.wait_for(lambda: sum(len(c.sent) for c in self.clients) >= count or any(c.error for c in self.clients), seconds,
                     lambda: f"more traffic: {[(c.sent[-1].kind, c.sent[-1].answer) for c in self.clients]}")

    def __exit__(self, *_):
        self.stopping.set()
        for driver in self.drivers:  # the streams that were held open
            for call in driver.calls:
                if call.headers.get("x-kind") == "long":
                    call.send_trailers()
        for client in self.clients:
            client.join(60)
            self.sent += client.sent
        errors = [client.error for client in self.clients if client.error or client.is_alive()]
        assert not errors, errors

    def given(self):
        """Traces of the RPCs that reached a driver."""
        return {call.headers["traceparent"].split("-")[1] for driver in self.drivers for call in driver.calls}
