/*
 * Acts of administrators: asked of the keeper, logged and recorded once with who asked when the
 * outcome is known, answered.
 */
#pragma once
#include <jansson.h>
#include "controller/admin.h"
#include "controller/asks.h"

struct act {
	struct asks *asks; /* acts_ask() fills it in */
	struct admin_request *request;
	const char *counted; /* the member of the answer that tells keeper_done.count */
	const char *nobody;  /* words for E_NOT_FOUND */
	const char *twin;    /* words for E_EXISTS */
	/* Instead of the count: JSON that may hold a secret. Taken over, cleansed in the end. */
	char *answer;
	char what[128 + SESSION_USER_MAX]; /* for log and audit */
};

/* The body as an object, or NULL after the refusal. */
json_t *acts_body(struct admin_request *);
/* Copies *act. */
void acts_ask(struct asks *, const struct act *, const void *message, size_t size);
/* The outcome, when it is known without the keeper: logs, answers, and frees act->answer. */
void acts_finish(struct act *, int err, uint32_t count);
