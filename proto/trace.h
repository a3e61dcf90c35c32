/*
 * The header traceparent: which trace a request belongs to, and the span that it was sent in. Pure.
 * https://www.w3.org/TR/trace-context
 *
 *	00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
 *	version  trace id                   parent's span    flags
 *
 * A later version is read as far as it is known; what is sent on is version 00, with the flags that
 * are known (sampled, random).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/str.h"

#define TRACE_ID   32 /* characters, lower-case hexadecimal */
#define TRACE_SPAN 16
#define TRACE_TEXT 56 /* a traceparent and its NUL */

enum { TRACE_SAMPLED = 1, TRACE_RANDOM = 2 };

struct trace {
	char id[TRACE_ID + 1];
	char span[TRACE_SPAN + 1];   /* ours */
	char parent[TRACE_SPAN + 1]; /* the client's; "": it named none */
	uint8_t flags;
};

/* Sets id, parent and flags. E_SYNTAX: not one to go on with; *ret is as it was. */
int trace_parse(struct str value, struct trace *ret) MUST_CHECK;
/* A span of ours in the trace that was parsed; else, of one that begins here. */
#define TRACE_SEED 24
void trace_begin(struct trace *, const uint8_t random[TRACE_SEED]);
/* What goes on: its parent is our span. */
struct str trace_put(const struct trace *, char to[TRACE_TEXT]);
