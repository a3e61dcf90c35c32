/*
 * A world: one configuration with everything made from it before a fork (TLS contexts). Supervisor
 * only.
 *
 * A reload builds the next world beside the current one; each seat holds a reference to the one its
 * process was, or will be, forked with. Immutable after loading but for `live`, which the
 * supervisor sets once.
 */
#pragma once
#include <openssl/ssl.h>
#include <stdbool.h>
#include "conf/conf.h"
#include "lib/err.h"

struct world {
	unsigned magic;
	unsigned refs;
	unsigned generation; /* from 1 */
	bool live;	     /* its workers may accept */
	struct conf *conf;
	struct conf_error *errors;
	SSL_CTX **listener_tls;	     /* by index of conf->listeners; NULL entries: clear text */
	SSL_CTX **driver_tls;	     /* by index of conf->clusters; NULL entries: h2c */
	uint32_t connections_wanted; /* limits.connections as written; the conf's own may have been
					lowered */
};

/*
 * Loads and checks the file, fits its limits to the descriptors this process may open, and builds
 * the TLS contexts; those of an address that `previous` (or NULL) has too go on with its ticket
 * keys. *ret is set also on failure (E_NOMEM excepted), holding the errors; drop it with
 * world_unref(). E_SYNTAX, E_IO, E_NOMEM.
 */
int world_load(const char *path, const struct world *previous, unsigned generation,
	       struct world **ret) MUST_CHECK;
void world_warn(const struct world *); /* logs what works but should not stay so */
struct world *world_ref(struct world *);
void world_unref(struct world **);
