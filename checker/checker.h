/*
 * The checker: probes every driver of the registry and marks it in shared memory. Decides nothing
 * about sessions.
 */
#pragma once
#include <openssl/ssl.h>
#include "conf/conf.h"
#include "shm/child.h"
#include "shm/segment.h"

struct checker_setup {
	struct child_seat seat;
	struct segment *segment;
	const struct conf *conf;
	SSL_CTX *const *driver_tls; /* by index of conf->clusters; NULL entries: h2c */
	const int *worker_fds;	    /* checker's ends */
	unsigned worker_fds_count;
	bool probe_first; /* READY only when each driver was found up or down, or after 5 s */
};

/* Says READY when the store is open. Drain: returns 0 at once. */
int checker_run(const struct checker_setup *);
