/*
 * The sessions, a page at a time: a bounded number of rows in each read transaction and in each
 * answer.
 */
#pragma once
#include "controller/query.h"
#include "controller/view.h"

/* {"now_ms":..., "rows":[...], "next":"cursor" or null}. A page may be short and still not be the
 * last. E_STATE as view_drivers(). */
int page_sessions(struct view *, const struct query *, json_t **ret) MUST_CHECK;
