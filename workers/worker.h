/*
 * A worker: the data path, one event loop, one of N equal processes. Forked by the supervisor;
 * never returns to it.
 *
 * Everything it needs is made before the fork: sockets, TLS contexts, configuration, channels to
 * the keeper and the checker. It opens the store itself (LMDB must be opened after the fork).
 */
#pragma once
#include <openssl/ssl.h>
#include <stdint.h>
#include "conf/conf.h"
#include "shm/child.h"
#include "shm/segment.h"

struct worker_listener {
	const struct conf_listener *conf;
	SSL_CTX *tls; /* NULL: clear text */
	/* the SO_REUSEPORT sockets this worker accepts from: its own, and those it adopts */
	const int *fds;
	unsigned fds_count;
	bool shared; /* others accept from the same socket */
};

struct worker_setup {
	struct child_seat seat;
	struct segment *segment;
	const struct conf *conf;
	const struct worker_listener *listeners;
	unsigned listeners_count;
	SSL_CTX *const *driver_tls; /* by index of conf->clusters; NULL entries: h2c */
	const uint8_t *pepper;	    /* PEPPER_SIZE bytes (shm/pepper.h) */
	int keeper_fd, checker_fd;
};

/* Runs until drained; says READY when it could serve, accepts after GO. Returns the exit status: 0
 * after a drain, 2 when it cannot work at all and should not be started again soon. */
int worker_run(const struct worker_setup *);
