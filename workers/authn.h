/*
 * Who is it? From the token headers of a request, or the client's certificate, to an identity. The
 * first step of an RPC; nothing in it blocks.
 *
 *	digest --> verdicts (cached) --> identity               less than a microsecond
 *	       '-> verify (providers) --> identity, kept        some 100 us, once per token
 *	                             '-> key not known: wait for the controller to fetch keys
 *
 * Sources: `authorization: Bearer`, and `authentication: Bearer` of the JVM clients; two different
 * tokens are refused. Without a token the client's certificate counts, if a provider takes it. Without
 * `auth.required` a request without either is anonymous: the user is the one the request names, or
 * "anonymous".
 */
#pragma once
#include <stdbool.h>
#include "conf/conf.h"
#include "lib/loop.h"
#include "lib/str.h"
#include "policy/identity.h"
#include "proto/grpc.h"
#include "workers/verdicts.h"

#define AUTHN_SLOW_MS	  1000u
#define AUTHN_SLOW_CLIENT 8u /* requests of one connection that wait so; of all: THROTTLE_PLACES */

struct authn;
struct authn_wait;
struct client;
struct worker;

struct authn_facts {
	struct str authorization, authentication; /* header values, or STR_NONE */
	struct str user;			  /* what headers.user said, or STR_NONE */
	struct client *client;			  /* for its certificate and address */
	bool waited_keys, waited_slow;		  /* this request has waited already */
};

struct authn_answer {
	struct identity *who; /* a reference for the caller; never NULL on success */
	enum grpc_code code;  /* of a refusal */
	const char *why;      /* constant words for the client */
	uint32_t retry_ms;    /* UNAVAILABLE: when to come again */
	bool slow;	      /* E_AGAIN: too many bad tokens came from there, wait a moment */
};

/* Embedded in whoever waits for keys; woken once, by done(), unless it cancels. */
struct authn_wait {
	struct authn_wait *next, *prev; /* private */
	bool waiting;
	uint64_t until_ms;
	void (*done)(struct authn_wait *);
};

struct authn *authn_new(struct worker *); /* aborts when out of memory, at start */
void authn_free(struct authn **);

/* 0; E_DENIED with a refusal; E_AGAIN: ask again, if ret->slow after AUTHN_SLOW_MS, else when authn_wait() says so: keys may come. */
int authn_check(struct authn *, const struct authn_facts *, struct authn_answer *ret) MUST_CHECK;

/* Until the keys have changed, or some seconds have passed. E_LIMIT: too many wait. */
int authn_wait(struct authn *, struct authn_wait *, void (*done)(struct authn_wait *)) MUST_CHECK;
void authn_cancel(struct authn *, struct authn_wait *); /* safe when not waiting */

/* Before waiting AUTHN_SLOW_MS, and when that is over: a place to wait in; false: there is none. */
bool authn_slow_enter(struct authn *, struct client *);
void authn_slow_leave(struct authn *, struct client *);

/* The token with this id was revoked; what is cached of it goes. */
void authn_forget(struct authn *, struct str token_id);
