/*
 * The envelope: session_id (field 1) and user_context (field 2) of every request message, read and
 * rewritten while the bytes pass. The plan is never decoded. Pure; fuzzed. Source of the field
 * numbers: apache/spark base.proto.
 *
 * Bytes go in as they arrive, split anywhere; what comes out is the same stream of gRPC messages,
 * with each message's user_context replaced by ours. Per message:
 *
 * - PREFIX: five bytes; compressed or over-long messages are refused.
 * - HEAD: bytes are kept (at most 64 KiB) until fields 1 and 2 have been seen, or the message, or
 *   the 64 KiB, end, or a longer field makes it sure that neither can follow within them. Messages
 *   of at most ENVELOPE_WHOLE_MAX are always kept, and walked, to their end.
 * - The caller learns who and where, then calls envelope_seal(), which hands out the new prefix and
 *   head.
 * - BODY: bytes pass unchanged while the walk over top-level tags goes on: a second field 1 or 2
 *   anywhere is an error (protobuf: the last one wins), so are malformed tags and fields that
 * outrun their message.
 *
 * Later messages (AddArtifacts) must carry the session_id of the first one; a user id in them must
 * be the one of the first message, or absent. The order of other fields stays; the extensions of
 * user_context (field 999) and its unknown fields are kept, behind our ids.
 *
 * Memory: grows in the given arena to at most about 2 x 72 KiB, and is used again for every
 * message.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/arena.h"
#include "lib/str.h"

#define ENVELOPE_HEAD_MAX  (64u << 10)
#define ENVELOPE_WHOLE_MAX (4u << 10)
#define ENVELOPE_ID_MAX	   256 /* bytes of user_id and of user_name */

enum envelope_verdict {
	ENVELOPE_MORE = 0, /* all consumed; nothing to pass on */
	ENVELOPE_HEAD = 1, /* the facts below are set; call envelope_seal() before anything else */
	ENVELOPE_PASS = 2, /* *ret_pass (inside the input) goes on unchanged */
};

struct envelope {
	unsigned magic;
	unsigned state; /* private, from here ... */
	struct arena *arena;
	uint8_t prefix[5];
	uint8_t have_prefix;
	uint8_t *head;
	size_t head_len, head_cap;
	uint8_t *sealed;
	size_t sealed_cap;
	size_t walked;	 /* bytes of head behind the walk */
	uint64_t left;	 /* bytes of this message not yet seen by the walk */
	uint64_t skip;	 /* bytes of the field under way */
	uint8_t tag[16]; /* a tag (and length) split over chunks */
	uint8_t tag_len;
	bool saw_session, saw_context;
	size_t session_at, session_end;	     /* the text of field 1 within head */
	size_t ctx_start, ctx_body, ctx_end; /* field 2 within head */
	char first_session[40];
	uint8_t first_session_len;
	char first_user[ENVELOPE_ID_MAX];
	uint16_t first_user_len;
	bool have_first;
	int err; /* sticky; ... to here */

	uint32_t total;	       /* bytes of this message */
	uint64_t messages;     /* sealed so far */
	struct str session_id; /* of this message: 36 characters; valid until envelope_seal() */
	struct str user_id;    /* as the client wrote it; STR_NONE: absent; likewise valid */
	struct str user_name;
	struct str body_start; /* what of the message is kept, without the prefix; likewise */
	bool whole;	       /* body_start is all of it: sure up to ENVELOPE_WHOLE_MAX */
	const char *why;       /* after an error: constant words for the client */
	int code;	       /* after an error: the grpc status to send (enum grpc_code) */
};

void envelope_init(struct envelope *, struct arena *);

/*
 * Takes bytes. Returns a verdict, with *ret_used the bytes taken and, for ENVELOPE_PASS, *ret_pass
 * what to forward; or E_SYNTAX, E_LIMIT, E_NOMEM with why and code set (sticky). Call again with
 * the rest while *ret_used < n.
 */
int envelope_feed(struct envelope *, const uint8_t *p, size_t n, size_t *ret_used,
		  struct str *ret_pass) MUST_CHECK;

/*
 * Writes the new prefix and head with user_context {user_id, user_name}; both non-empty, user_name
 * may be STR_NONE. *ret_head is valid until the next envelope_feed(). E_NOMEM; E_LIMIT: an id over
 * ENVELOPE_ID_MAX.
 */
int envelope_seal(struct envelope *, struct str user_id, struct str user_name,
		  struct str *ret_head) MUST_CHECK;

/* The client half-closed: error when nothing came or a message is incomplete (why and code set). */
int envelope_end(struct envelope *) MUST_CHECK;
