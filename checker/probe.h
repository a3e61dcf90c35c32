/*
 * One probe: connect, TLS if wanted, HTTP/2, one grpc.health.v1.Health/Check, close. Nothing of it
 * stays behind, neither here nor at the driver. An answer in gRPC proves that the server is alive
 * (Spark registers no health service and says UNIMPLEMENTED); an OK one must say SERVING (grpc/grpc
 * doc/health-checking.md).
 *
 * Checker only. A probe owns its memory and its descriptor, and calls done() exactly once, from the
 * loop, as its last act.
 */
#pragma once
#include <openssl/ssl.h>
#include <stdint.h>
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/sock.h"
#include "lib/str.h"
#include "shm/health.h"

struct probe;

struct probe_target { /* what it points to outlives the probe */
	struct sock_addr address;
	SSL_CTX *tls;		 /* NULL: clear text */
	const char *server_name; /* for SNI and the certificate */
	struct str authority;
	struct str authorization; /* "Bearer ..." or STR_NONE */
	uint64_t timeout_ms;	  /* of the whole */
};

struct probe_result {
	enum health_reason reason;
	uint32_t rtt_us; /* request to answer, of a good one */
	char words[112]; /* about a failure; may be empty */
};

/* E_FULL, E_NOMEM: we lack something ourselves; the driver was not asked, no done(). */
int probe_start(struct loop *, const struct probe_target *,
		void (*done)(void *arg, const struct probe_result *), void *arg,
		struct probe **ret) MUST_CHECK;
void probe_cancel(struct probe **); /* no done(); the memory goes at the end of the turn */
