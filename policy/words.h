/*
 * Words for people: bounded lists of names, and values of requests made fit to be shown. Refusals
 * say what would have been accepted, but are no dump of the configuration and no echo of whatever a
 * client sent.
 *
 * The names of a list are the caller's; texts are in the arena. Pure.
 */
#pragma once
#include "lib/arena.h"
#include "lib/str.h"

#define WORDS_NAMES 20 /* in a list; names that the configuration accepts have up to 63 bytes */
#define WORDS_SHOWN 80 /* bytes of a value out of a request */

struct words_list {
	struct str names[WORDS_NAMES];
	unsigned count;
	bool more; /* there were others */
};

void words_add(struct words_list *, struct str name); /* each once, and no empty one */
/* "a, b, c", "a, b, ..." or "none". Never NULL. */
const char *words_text(const struct words_list *, struct arena *);
/* One line of valid UTF-8, cut to WORDS_SHOWN bytes. Never NULL. */
const char *words_shown(struct str, struct arena *);
