/*
 * The HTTP server of the controller: libmicrohttpd inside our loop, one server per listening
 * socket.
 *
 * A request that has come in whole is given to `handle`, which answers it at once or lets it wait
 * and answers later; every request is answered exactly once. Bodies over 64 KiB, more than 64
 * connections and connections idle for 10 s are refused or closed here; so is a request over TCP
 * for a name that a stranger may have given to a loopback address.
 */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/str.h"

#define ADMIN_BODY_MAX	  (64u * 1024)
#define ADMIN_CONNECTIONS 64u

struct admin;
struct admin_request;

/* Where a request came in: bits, so that a route can be for both. */
enum admin_door { ADMIN_TCP = 1u << 0, ADMIN_CONTROL = 1u << 1 };

/* Takes over fd, a listening socket. E_IO when the library refuses it (fd is closed then, too). */
int admin_open(struct loop *, int fd, enum admin_door,
	       void (*handle)(void *arg, struct admin_request *), void *arg,
	       struct admin **ret) MUST_CHECK;
/* Takes what waits in the backlog, then closes the listening socket. */
void admin_quiesce(struct admin *);
/* Requests whose answer is not out yet. */
unsigned admin_running(const struct admin *);
/* Closes all connections; no request may still wait for its answer. */
void admin_close(struct admin **);

/* Valid until the answer. Path without the query; bodies and values are not NUL-terminated. */
enum admin_door admin_door(const struct admin_request *);
struct str admin_method(const struct admin_request *);
struct str admin_path(const struct admin_request *);
struct str admin_body(const struct admin_request *);
/* A value of the query string, decoded, or STR_NONE. void *: fits query_parse(). */
struct str admin_value(void *request, const char *key);
/* "uid=0 pid=17" or "peer=127.0.0.1:4711", for logs. */
const char *admin_peer(const struct admin_request *);

bool admin_accepts_gzip(const struct admin_request *);

struct admin_bytes {
	void *p; /* malloc'ed, taken over */
	size_t n;
	const char *type, *encoding; /* constant; encoding: NULL: none */
};

/* The one answer. json: the reference is taken over. allow: for 405, else NULL. */
void admin_answer(struct admin_request *, unsigned status, json_t *json);
/* json: its text, malloc'ed, taken over; cleansed when it has been sent. */
void admin_answer_secret(struct admin_request *, unsigned status, char *json);
void admin_answer_text(struct admin_request *, unsigned status, const char *text);
/* 200 and this page, under this Content-Security-Policy; both static. */
void admin_answer_page(struct admin_request *, const char *html, const char *policy);
void admin_answer_bytes(struct admin_request *, unsigned status, const struct admin_bytes *);
void admin_answer_405(struct admin_request *, const char *allow);
/* {"errors": [words]} */
void admin_refuse(struct admin_request *, unsigned status, const char *words);
