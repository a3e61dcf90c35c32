/*
 * One driver under watch: when it is probed next, at which of its addresses, and what is published
 * about it.
 *
 *	IDLE --due, suspected--> NAMING --address known--> QUEUED --a probe may run--> PROBING
 *	  ^                         |                                                    |
 *	  +------- unresolved ------+------------ verdict, row written ------------------+
 *
 * Checker only. At most WATCH_PROBES probes run at once over all drivers. A driver that is up is
 * probed at its published address; one that is not, at all addresses of its name in turn, within
 * one health.timeout.
 */
#pragma once
#include <openssl/ssl.h>
#include "checker/resolve.h"
#include "checker/verdict.h"
#include "conf/conf.h"
#include "shm/registry.h"

#define WATCH_PROBES	 64
#define WATCH_SUSPECT_MS 100 /* between probes that workers ask for */

struct watch;

struct watch_house { /* what all watches share */
	struct loop *loop;
	struct resolve *resolve;
	struct verdict_rules rules;
	uint64_t timeout_ms, random;
	uint64_t short_ms; /* when a probe last could not be made, as far as was said */
	struct watch *queue, **queue_tail;
	unsigned running;
};

struct watch_cluster { /* how to speak to the drivers of a cluster; all but tls is copied */
	SSL_CTX *tls;  /* NULL: clear text */
	struct str server_name; /* STR_NONE: the driver's host */
	struct str token;	/* STR_NONE: none; a secret */
};

void watch_house_init(struct watch_house *, struct loop *, struct resolve *, const struct conf *);
void watch_house_run(struct watch_house *); /* starts what is queued; after watches were freed */

/* Goes on from the row if it is about this driver, starts afresh otherwise; the first probe begins
 * at once. NULL: no memory. */
struct watch *watch_new(struct watch_house *, const struct registry_driver *,
			const struct watch_cluster *, struct health_row *);
void watch_free(struct watch **); /* leaves the row as it is */

/* The same driver, and nothing about it has changed. */
bool watch_is(const struct watch *, const struct registry_driver *);
void watch_suspect(struct watch *); /* a worker could not reach it */
/* A look-up of this name has ended. */
void watch_resolved(struct watch *, const struct resolve_name *);
