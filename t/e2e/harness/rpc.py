"""The service by hand: requests as bytes, calls over grpcio as PySpark opens them: no retry policy, but what was never sent is sent again."""

import pathlib
import struct
import uuid

import grpc
from google.rpc import status_pb2
from pyspark.sql.connect.proto import base_pb2 as pb

SERVICE = "/spark.connect.SparkConnectService/"
RESPONSES = {"Config": pb.ConfigResponse, "ExecutePlan": pb.ExecutePlanResponse, "AnalyzePlan": pb.AnalyzePlanResponse,
             "AddArtifacts": pb.AddArtifactsResponse, "ArtifactStatus": pb.ArtifactStatusesResponse,
             "Interrupt": pb.InterruptResponse, "ReattachExecute": pb.ExecutePlanResponse,
             "ReleaseExecute": pb.ReleaseExecuteResponse, "ReleaseSession": pb.ReleaseSessionResponse,
             "FetchErrorDetails": pb.FetchErrorDetailsResponse, "CloneSession": pb.CloneSessionResponse}
OPTIONS = [("grpc.max_receive_message_length", 128 << 20),
           ("grpc.max_send_message_length", 128 << 20), ("grpc.use_local_subchannel_pool", 1)]


def new_id():
    return str(uuid.uuid4())


def config(session, user="alice", key="spark.app.name"):
    return pb.ConfigRequest(session_id=session, user_context=pb.UserContext(user_id=user),
                            operation=pb.ConfigRequest.Operation(get=pb.ConfigRequest.Get(keys=[key])))


def sql(session, text, user="alice"):
    request = pb.ExecutePlanRequest(session_id=session, user_context=pb.UserContext(user_id=user))
    request.plan.root.sql.query = text
    return request


def upload(session, user="alice", name="files/x"):
    return pb.AddArtifactsRequest(session_id=session, user_context=pb.UserContext(user_id=user),
                                  batch=pb.AddArtifactsRequest.Batch(artifacts=[pb.AddArtifactsRequest.SingleChunkArtifact(
                                      name=name, data=pb.AddArtifactsRequest.ArtifactChunk(data=b"x"))]))


def requests(session, operation=None, user="alice"):
    """{method: a request of it}: all there are."""
    both, operation = {"session_id": session, "user_context": pb.UserContext(user_id=user)}, operation or new_id()
    return {
        "Config": config(session, user), "ExecutePlan": sql(session, "select 1", user), "AddArtifacts": upload(session, user),
        "AnalyzePlan": pb.AnalyzePlanRequest(spark_version=pb.AnalyzePlanRequest.SparkVersion(), **both),
        "ArtifactStatus": pb.ArtifactStatusesRequest(names=["files/x"], **both),
        "Interrupt": pb.InterruptRequest(interrupt_type=1, **both),
        "ReattachExecute": pb.ReattachExecuteRequest(operation_id=operation, **both),
        "ReleaseExecute": pb.ReleaseExecuteRequest(
            operation_id=operation, release_all=pb.ReleaseExecuteRequest.ReleaseAll(), **both),
        "FetchErrorDetails": pb.FetchErrorDetailsRequest(error_id=new_id(), **both),
        "CloneSession": pb.CloneSessionRequest(**both),
        "ReleaseSession": pb.ReleaseSessionRequest(**both),
    }


STREAMS = ("ExecutePlan", "ReattachExecute")


def envelope(message):
    """A message as it stands on the wire."""
    data = message if isinstance(message, bytes) else message.SerializeToString()
    return struct.pack(">BI", 0, len(data)) + data


class Channel:
    def __init__(self, way, token="token-alice", identity=None, host=None, **headers):
        """headers: underscores become hyphens. identity: certificate and key of the client. host: as which it is asked for."""
        options = OPTIONS + ([("grpc.ssl_target_name_override", host), ("grpc.default_authority", host)] if host else [])
        if way.ca:
            pair = [pathlib.Path(path).read_bytes() for path in identity] if identity else [None, None]
            credentials = grpc.ssl_channel_credentials(pathlib.Path(way.ca).read_bytes(), pair[1], pair[0])
            self.channel = grpc.secure_channel(f"localhost:{way.port}", credentials, options)
        else:
            self.channel = grpc.insecure_channel(f"localhost:{way.port}", options)
        self.headers = {"x-doordash-team": "eng", "x-doordash-env": "prod",
                        **{key.replace("_", "-"): value for key, value in headers.items()}}
        self.use(token)

    def use(self, token):
        """From now on this one."""
        metadata = {**({"authorization": f"Bearer {token}"} if token else {}), **self.headers}
        self.metadata = [(key, value) for key, value in metadata.items() if value is not None]

    def call(self, method, request, timeout=30):
        """One response; grpc.RpcError otherwise."""
        stub = self.channel.unary_unary(SERVICE + method, _bytes, RESPONSES[method].FromString)
        return stub(request, timeout=timeout, metadata=self.metadata)

    def stream(self, method, request, timeout=120):
        stub = self.channel.unary_stream(SERVICE + method, _bytes, RESPONSES[method].FromString)
        return stub(request, timeout=timeout, metadata=self.metadata)

    def upload(self, requests, timeout=120):
        stub = self.channel.stream_unary(SERVICE + "AddArtifacts", _bytes, pb.AddArtifactsResponse.FromString)
        return stub(iter(requests), timeout=timeout, metadata=self.metadata)

    def refusal(self, method, request, timeout=30):
        """The error which this call must end with."""
        try:
            answer = self.call(method, request, timeout)
        except grpc.RpcError as error:
            check_error(error)
            return error
        raise AssertionError(f"not refused: {answer}")

    def ask(self, method, request=None, **more):
        """Any method of the service: all that comes back."""
        if method == "AddArtifacts":
            return self.upload([request], **more)
        return list(self.stream(method, request, **more)) if method in STREAMS else self.call(method, request, **more)

    def status(self, method, request, **more):
        """How it ends: (name of the code, words)."""
        try:
            self.ask(method, request, **more)
        except grpc.RpcError as error:
            check_error(error)
            return error.code().name, error.details()
        return "OK", ""

    def close(self):
        self.channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def check_error(error):
    """Message and details, where there are some, say the same: clients depend on it."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value)
            assert status.code == error.code().value[0]
            assert status.message == error.details()
            return status
    return None


def _bytes(message):
    return message if isinstance(message, bytes) else message.SerializeToString()


def new_sessions(gateway, count):
    """Of alice; each is bound to a driver."""
    sessions = [new_id() for _ in range(count)]
    with Channel(gateway.way()) as channel:
        for session in sessions:
            channel.call("Config", config(session))
    return sessions
