/*
 * What must be true of auth.providers, and of each by its type.
 */
#pragma once
#include "conf/loading.h"

#define PROVIDERS_MAX 32	    /* slots of the shared segment */
#define PROVIDERS_SUBJECTS_MAX 1000 /* in all of them; each new token is compared with its issuer's */

/* Gives a `service` provider without an audience its default, too. */
void providers_check(struct loading *);
