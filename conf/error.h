/*
 * Errors of a configuration, sorted by place. conf_error_add() and conf_error_text() are in conf.h.
 */
#pragma once
#include <stdarg.h>
#include "conf/types.h"

#define ERROR_MAX 100 /* errors kept; of the others only one line tells that there are more */

/* column 0: of the whole line. All errors live in the configuration's arena. */
void error_put(struct conf *, struct conf_error **list, unsigned line, unsigned column,
	       const char *key, const char *fmt, va_list ap) __attribute__((format(printf, 6, 0)));
/* False when further ones would be dropped: saves the search for places and advice. */
bool error_room(const struct conf_error *list);
