/*
 * The way from client to driver: header rules, the envelope, a stream to the driver, bytes. Steps
 * of rpc.c.
 */
#pragma once
#include "workers/rpc.h"

extern const struct h2_stream_ops request_ops; /* of the client's stream */

enum rpc_step request_headers(struct rpc *);
enum rpc_step request_envelope(struct rpc *);
enum rpc_step request_open(struct rpc *);
enum rpc_step request_pump(struct rpc *);
void request_credit(struct rpc *); /* the driver's stream has sent something */
/* the driver's application has seen nothing: once more, from the replay bytes */
void request_again(struct rpc *);
