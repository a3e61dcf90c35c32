/*
 * The ground that a start builds before its first fork: the sockets, inherited and bound, the shared
 * segment, a seat for each child. Supervisor only; logs what is wrong.
 */
#pragma once
#include <stddef.h>
#include "daemon/children.h"
#include "daemon/handover.h"
#include "daemon/listeners.h"
#include "daemon/world.h"

/* Errors also go to the world's list. */
int ground_bind(struct listeners *, struct world *, const struct handover *) MUST_CHECK;
/* succeeds: a program that still lives has the segment that is there, and is followed by this one. */
int ground_make_segment(const struct world *, bool succeeds, struct segment **ret) MUST_CHECK;
int ground_take_seats(struct children *, struct world *) MUST_CHECK;
const char *ground_segment_path(const struct world *, char *path, size_t size); /* returns path */
