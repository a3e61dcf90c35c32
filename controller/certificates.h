/*
 * When the certificates of the listeners expire, for /metrics and the overview. The files are read
 * once, at the start: a controller is started anew with each reload, and so is what the workers
 * show to clients. Certificates are public; keys are not looked at.
 */
#pragma once
#include <jansson.h>
#include <stdint.h>
#include "conf/conf.h"

struct certificates;

struct certificate {
	const struct sock_addr *listener;
	struct str path;
	uint64_t expires_ms; /* wall clock; 0: the file could not be read */
};

/* Of a configuration that outlives it. Logs what cannot be read. NULL: out of memory. */
struct certificates *certificates_read(const struct conf *);
void certificates_free(struct certificates **);
unsigned certificates_count(const struct certificates *);
const struct certificate *certificates_get(const struct certificates *, unsigned i);
/* Appends {"listener", "certificate", "expires_ms"} of each; null: it could not be read. */
void certificates_show(const struct certificates *, json_t *list);
