/*
 * The way from driver to client: response headers, bytes, exactly one grpc-status; and what the
 * gateway answers itself.
 */
#pragma once
#include "workers/rpc.h"

extern const struct h2_stream_ops answer_ops; /* of the driver's stream */

/* trailers-only, or trailers behind what was sent */
void answer_refusal(struct rpc *, const struct status *);
enum rpc_step answer_http(struct rpc *, const char *http_status); /* not gRPC at all: 405, 415 */
/* OK and the method's empty response, for a session nobody knows */
enum rpc_step answer_empty(struct rpc *);
void answer_credit(struct rpc *); /* the client's stream has sent something */
