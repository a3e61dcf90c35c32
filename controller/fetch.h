/*
 * Bodies of URLs: for small documents of identity providers.
 *
 * https, or http to this host (conf/url.h). No redirects, no proxies, no cookies, no compression,
 * one connection each time; the server's certificate is checked against `ca` alone where that is
 * given. A transfer ends within FETCH_MS and with a body of at most FETCH_MAX bytes.
 */
#pragma once
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/str.h"

#define FETCH_MS  10000L
#define FETCH_MAX ((size_t)256 * 1024)

struct fetch;
struct fetch_job;

/* err: 0 with the body of an answer 200; else E_TIMEOUT, E_LIMIT, E_TLS, E_DENIED (any other
 * status), E_CLOSED, and words about it. Both are valid until the callback returns. */
typedef void fetch_done(void *arg, int err, struct str body, const char *words);

/* NULL: out of memory. */
struct fetch *fetch_open(struct loop *);
/* Ends what still runs without a word. */
void fetch_close(struct fetch **);

/* `done` comes later, once, unless the job is ended before; the job is over with it. ca: PEM file,
 * or NULL for the system's. E_DENIED: not a URL to be fetched, with constant words; E_NOMEM. */
int fetch_start(struct fetch *, const char *url, const char *ca, fetch_done *done, void *arg,
		struct fetch_job **ret, const char **ret_words) MUST_CHECK;
void fetch_end(struct fetch_job **); /* NULL inside is fine */
