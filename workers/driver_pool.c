#include <stdlib.h>
#include "lib/panic.h"
#include "workers/context.h"
#include "workers/driver_pool.h"

struct driver_pool {
	struct worker *worker;
	struct driver *by_slot[SEGMENT_DRIVERS];
	struct driver
		*retired; /* gone from the registry, with connections that still carry streams */
};

struct driver_pool *
driver_pool_new(struct worker *w)
{
	struct driver_pool *p = calloc(1, sizeof *p);

	ASSERT(p != NULL);
	p->worker = w;
	return p;
}

static void
retire(struct driver_pool *p, unsigned slot)
{
	struct driver *d = p->by_slot[slot];

	p->by_slot[slot] = NULL;
	d->next = p->retired;
	p->retired = d;
}

struct driver *
driver_pool_get(struct driver_pool *p, const struct registry_driver *rd)
{
	ASSERT(rd->slot < SEGMENT_DRIVERS);
	struct driver **at = &p->by_slot[rd->slot];

	if (*at != NULL && (*at)->id != rd->id)
		retire(p, rd->slot);
	if (*at == NULL)
		*at = driver_new(p->worker, rd);
	return *at;
}

static uint64_t
lost_since(struct driver_pool *p, const struct driver *d)
{
	struct health h;

	if (health_read(&p->worker->health[d->slot], &h) != 0 || h.driver_id != d->id)
		return 0;
	return h.state == HEALTH_DOWN ? h.lost_wall_ms : 0;
}

static void
sweep_retired(struct driver_pool *p)
{
	struct driver **at = &p->retired;

	while (*at != NULL) {
		struct driver *d = *at;

		driver_tick(d, 0);
		if (d->conns == NULL) {
			*at = d->next;
			driver_free(&d);
		} else {
			at = &d->next;
		}
	}
}

void
driver_pool_tick(struct driver_pool *p)
{
	for (unsigned i = 0; i < SEGMENT_DRIVERS; i++) {
		struct driver *d = p->by_slot[i];

		if (d == NULL)
			continue;
		driver_tick(d, lost_since(p, d));
		if (worker_driver(p->worker, d->id) == NULL)
			retire(p, i);
	}
	sweep_retired(p);
}

void
driver_pool_close_all(struct driver_pool *p)
{
	for (unsigned i = 0; i < SEGMENT_DRIVERS; i++)
		if (p->by_slot[i] != NULL)
			driver_close_all(p->by_slot[i]);
	for (struct driver *d = p->retired; d != NULL; d = d->next)
		driver_close_all(d);
}

void
driver_pool_free(struct driver_pool **p)
{
	if (*p == NULL)
		return;
	for (unsigned i = 0; i < SEGMENT_DRIVERS; i++)
		driver_free(&(*p)->by_slot[i]);
	while ((*p)->retired != NULL) {
		struct driver *d = (*p)->retired;

		(*p)->retired = d->next;
		driver_free(&d);
	}
	free(*p);
	*p = NULL;
}
