/*
 * What the gateway itself answers: grpc-status, grpc-message and grpc-status-details-bin that agree
 * with each other (grpcio-status raises ValueError otherwise), and the few empty answers it gives
 * for unknown sessions. Pure. Sources: google/rpc/status.proto, error_details.proto; apache/spark
 * ErrorUtils.scala; SparkConnectService messages.
 */
#pragma once
#include <stdint.h>
#include "lib/arena.h"
#include "lib/str.h"
#include "proto/grpc.h"
#include "proto/methods.h"

enum status_detail {
	STATUS_PLAIN,		/* no details */
	STATUS_RETRY,		/* RetryInfo */
	STATUS_SESSION_CHANGED, /* ErrorInfo of INVALID_HANDLE.SESSION_CHANGED, ... */
	STATUS_SESSION_CLOSED,
	STATUS_SESSION_NOT_FOUND,
};

struct status {
	enum grpc_code code;
	enum status_detail detail;
	struct str message; /* UTF-8, cut at 1 KiB; absent: the server's words for SESSION_* */
	struct str handle;  /* session id, for the SESSION_* details */
	uint32_t retry_ms;  /* for STATUS_RETRY */
};

struct status_fields {
	struct str code;    /* "14" */
	struct str message; /* percent-encoded */
	struct str details; /* base64 without padding; STR_NONE for STATUS_PLAIN */
};

/* All in the arena. E_NOMEM. */
int status_encode(const struct status *, struct arena *, struct status_fields *ret) MUST_CHECK;

/* The empty response of a method of UNBOUND_EMPTY, with its five-byte prefix and session_id. */
int status_empty_answer(enum method_id, struct str session_id, struct arena *,
			struct str *ret_frame) MUST_CHECK;

/* new_session_id (field 3) of a CloneSessionResponse without prefix. E_SYNTAX, E_NOT_FOUND. */
int status_cloned_session(struct str message, struct str *ret_session_id) MUST_CHECK;
