"""The service by hand: requests as bytes, calls over grpcio as PySpark opens them: no retry policy, but what was never sent is sent again."""

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


def envelope(message):
    """A message as it stands on the wire."""
    data = message if isinstance(message, bytes) else message.SerializeToString()
    return struct.pack(">BI", 0, len(data)) + data


class Channel:
    def __init__(self, way, token="token-alice", **headers):
        """headers: underscores become hyphens."""
        if way.ca:
            with open(way.ca, "rb") as f:
                ca = f.read()
            self.channel = grpc.secure_channel(f"localhost:{way.port}", grpc.ssl_channel_credentials(ca), OPTIONS)
        else:
            self.channel = grpc.insecure_channel(f"localhost:{way.port}", OPTIONS)
        metadata = {"x-doordash-team": "eng", "x-doordash-env": "prod"}
        if token:
            metadata["authorization"] = f"Bearer {token}"
        metadata.update({key.replace("_", "-"): value for key, value in headers.items()})
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
