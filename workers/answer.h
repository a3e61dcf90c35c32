/*
 * The way from driver to client: response headers, bytes, exactly one grpc-status; and what the gateway answers itself.
 */
#pragma once
#include "workers/rpc.h"

extern const struct h2_stream_ops answer_ops; /* of the driver's stream */

void answer_refusal(struct rpc *, const struct status *); /* trailers-only, or trailers behind what was sent */
enum rpc_step answer_http(struct rpc *, const char *http_status); /* not gRPC at all: 405, 415 */
enum rpc_step answer_empty(struct rpc *); /* OK and the method's empty response, for a session nobody knows */
void answer_credit(struct rpc *); /* the client's stream has sent something */
