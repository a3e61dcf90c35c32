/*
 * Names that must be unique, and names of teams: what several checks of a configuration look for.
 */
#pragma once
#include "conf/loading.h"

/* A name and where it stands; lists of them are sorted to find what is there twice. */
struct named {
	struct str name;
	const void *base;
	int index;
	unsigned order;
};

struct names {
	struct named *list;
	unsigned count;
};

struct names names_new(struct loading *, size_t max);
/* The value of a key in the block `base`; index: in a list, else -1. STR_NONE is passed over. */
void names_add(struct names *, struct str name, const void *base, int index);
/* An error for each but the first of equal names; `path` is the key that all of them stand under. */
void names_refuse_twins(struct loading *, struct names *, const char *path);
/* An error when teams are listed and this is none of them; STR_NONE is passed over. */
void names_check_team(struct loading *, struct str team, const void *base, const char *path,
		      int index);
