/*
 * All drivers that this worker has spoken to, by slot.
 */
#pragma once
#include "shm/registry.h"
#include "workers/driver.h"

struct driver_pool;

struct driver_pool *driver_pool_new(struct worker *);
void driver_pool_free(struct driver_pool **);
/* made when new */
struct driver *driver_pool_get(struct driver_pool *, const struct registry_driver *);
void driver_pool_tick(struct driver_pool *);	  /* each second */
void driver_pool_close_all(struct driver_pool *); /* the end of the worker */
