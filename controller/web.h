/*
 * libcurl's multi interface in our loop: transfers that somebody prepared run here, and are over
 * with a callback. Who made an easy handle keeps it, and may only clean it up after its end.
 */
#pragma once
#include <curl/curl.h>
#include "lib/err.h"
#include "lib/loop.h"

struct web;

struct web_job { /* in its owner; zeroed: not running */
	struct web *web;
	CURL *curl;
	void (*done)(void *arg, CURLcode code);
	void *arg;
};

/* curl_global_init() was called. NULL: out of memory. */
struct web *web_open(struct loop *);
void web_close(struct web **); /* no job runs any more */

/* `done` comes later, once, unless the job is ended before; the job does not run any more by then,
 * and another may be started there. Takes CURLOPT_PRIVATE. E_NOMEM. */
int web_start(struct web *, struct web_job *, CURL *, void (*done)(void *arg, CURLcode),
	      void *arg) MUST_CHECK;
void web_end(struct web_job *); /* not running is fine; not from a callback of libcurl */

/* What all transfers have in common: no redirects, no proxies, no cookies, one connection each;
 * TLS 1.2 or later, certificates checked against `ca` alone where that is given. */
void web_prepare(CURL *, const char *url, const char *ca);
