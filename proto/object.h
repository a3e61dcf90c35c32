/*
 * JSON objects that strangers wrote, read so that no two readers can disagree: one object and
 * nothing behind it, no name twice, no NUL in a text, UTF-8, at most OBJECT_DEPTH levels. Pure.
 *
 * What is returned points into the json_t, which is jansson's and freed with json_decref().
 */
#pragma once
#include <jansson.h>
#include "lib/str.h"

#define OBJECT_DEPTH 16

json_t *object_parse(struct str text); /* NULL: not such an object, or no memory */

/* A member that is a text; STR_NONE: there is none of that name. E_SYNTAX: it is something else. */
int object_text(const json_t *, const char *name, struct str *ret) MUST_CHECK;
