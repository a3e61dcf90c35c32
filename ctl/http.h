/*
 * One HTTP exchange with the gateway over its control socket (libcurl). Blocks.
 */
#pragma once
#include "lib/buf.h"
#include "lib/err.h"

#define HTTP_ANSWER_MAX ((size_t)64 * 1024 * 1024)

struct http_answer {
	unsigned status;
	struct buf body; /* buf_free() */
};

/* body NULL: GET, else POST. E_NOT_FOUND: there is no socket; E_DENIED: it is not for this user;
 * E_CLOSED: nobody is there, or went away before the answer (words say why); E_TIMEOUT; E_LIMIT: an
 * answer over HTTP_ANSWER_MAX. Nothing to free after a failure. */
int http_ask(const char *socket_path, const char *path, const char *body, struct http_answer *ret,
	     const char **ret_words) MUST_CHECK;
/* Adds the bytes percent-encoded, as a value of a query string. */
void http_escape(struct buf *, const char *value);
