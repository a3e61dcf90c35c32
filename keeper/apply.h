/*
 * What each message does to the rows, inside a write transaction of the keeper. Sessions and drivers
 * here, the rest in apply_auth.c.
 */
#pragma once
#include "keeper/op.h"

bool apply_accepts(const struct msg_head *); /* whole, of a known type, with sane lengths */
bool apply_is_over(const struct session *, uint64_t now_ms, uint64_t idle_ms); /* to be removed */
void apply_op(struct apply *, struct op *);
