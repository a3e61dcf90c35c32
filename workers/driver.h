/*
 * Connections to one driver, as one worker sees it: HTTP/2 over clear text or TLS, few connections
 * for many streams.
 *
 * A connection is opened when the first stream needs it and closed when none has needed it for a
 * minute; no PING is ever sent (Spark's server ends connections that ping too much). After a failed
 * connect, further ones wait for a moment, and the checker is told.
 */
#pragma once
#include <stdint.h>
#include "h2/h2.h"
#include "shm/registry.h"

struct worker;
struct driver_conn;

struct driver {
	struct driver *next;
	struct worker *worker;
	uint32_t id, slot;
	struct driver_conn *conns;
	unsigned conns_count;
	uint64_t not_before_ms; /* after a failed connect */
	/* token, TLS; NULL when the configuration has it no more */
	const struct conf_cluster *conf;
	SSL_CTX *tls;
	char *name;	   /* of the driver, for logs */
	char *server_name; /* for TLS */
	char *authority;   /* "host:port" for requests */
};

struct driver *driver_new(struct worker *, const struct registry_driver *);
void driver_free(struct driver **); /* no connections left */

/* A connection with room for a stream, maybe still connecting (streams on it are then closed with
 * H2_NEVER_SENT if that fails). E_REFUSED: failed a moment ago; E_LIMIT: all are full; E_NOT_FOUND:
 * no address known; E_IO. */
int driver_connection(struct driver *, struct h2 **ret) MUST_CHECK;
/* The fields that every request to this driver begins with, its own token (a secret) among them. */
void driver_request_fields(const struct driver *, struct h2_fields *, struct arena *, struct str path,
			   struct str content_type);
/* each second: closes idle connections, and those older than the loss */
void driver_tick(struct driver *, uint64_t lost_wall_ms);
void driver_close_all(struct driver *);
