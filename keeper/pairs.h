/*
 * The pairs of team and env that metrics tell apart (shm/labels.h): those of the configuration that
 * some cluster serves.
 */
#pragma once
#include "conf/types.h"
#include "shm/labels.h"

/* Adds what is not there yet. False: not all found room; the others count as other/other. */
bool pairs_enter(struct labels *, const struct conf *);
