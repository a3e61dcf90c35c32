/*
 * Sentences in the order of the decisions. Details give way, so that the decisions at the end have
 * room however many drivers there are.
 */
#include "policy/router_trace.h"

void
router_trace_add(struct router_trace *t, unsigned max, const char *fmt, ...)
{
	const char *line = NULL;
	va_list ap;

	if (t->count < max) {
		va_start(ap, fmt);
		line = arena_vprintf(t->arena, fmt, ap);
		va_end(ap);
	}
	if (line != NULL)
		t->lines[t->count++] = line;
	else
		t->left_out++;
}
