/*
 * `GET /v1/explain?user=&groups=&team=&env=&host=`: what the data path would do with a new session,
 * decided by the same code (policy/router.h), and why.
 */
#pragma once
#include "controller/admin.h"
#include "controller/office.h"

/* A token is never part of the question: it would stand in logs and histories. */
void explain_show(struct office *, struct admin_request *);
