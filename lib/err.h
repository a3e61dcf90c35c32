/*
 * The one list of failures that functions return (0 is success, these are negative).
 *
 * Codes of LMDB, OpenSSL and nghttp2 are translated into these where they are met; a function that
 * needs to say more hands out words beside the code.
 */
#pragma once

#define MUST_CHECK __attribute__((warn_unused_result))

enum err {
	E_OK = 0,
	E_NOMEM = -1,  /* out of memory, or an arena's ceiling reached */
	E_AGAIN = -2,  /* would block; call again when told */
	E_CLOSED = -3, /* the peer is gone */
	E_LIMIT = -4,  /* larger or more than we allow */
	E_SYNTAX = -5, /* malformed input */
	E_NOT_FOUND = -6,
	E_EXISTS = -7,
	E_IO = -8,   /* the system refused: see errno at the place where it is logged */
	E_FULL = -9, /* disk, map, queue or table full */
	E_DENIED = -10,
	E_VERSION = -11, /* a file or segment of another version */
	E_STATE = -12,	 /* not possible now */
	E_TLS = -13,	 /* handshake or certificate */
	E_TIMEOUT = -14,
	E_REFUSED = -15, /* connection refused */
};

/* A constant word or two for logs: "not found". Never NULL. */
const char *err_text(int err);
