/*
 * What the messages of talk_auth.h do to the rows. For apply.c; SECRET is not played, since it is
 * no row.
 */
#pragma once
#include "keeper/op.h"

#define APPLY_AUTH_KEEP_MS (30ull * 24 * 3600 * 1000) /* a row outlives its token by that much */

bool apply_auth_accepts(const struct msg_head *);
/* To be removed. A revoked service token's row stays until its time is over: without it nothing
 * would say that it must not be taken. */
bool apply_auth_is_over(const struct token *, uint64_t now_ms);
void apply_auth_op(struct apply *, struct op *);
