/*
 * The key sets of all `oidc` providers, and an ear for workers that met a key they do not know
 * (shm/counters.h, keys_wanted).
 */
#pragma once
#include "controller/keyset.h"

struct keysets;

/* NULL: out of memory. */
struct keysets *keysets_new(const struct conf *, struct loop *, struct asks *, const struct view *);
void keysets_start(struct keysets *); /* the store is open */
void keysets_stop(struct keysets *);  /* a successor is there, or the end */
void keysets_free(struct keysets **); /* after asks_close() */
void keysets_show(const struct keysets *, json_t *list);
