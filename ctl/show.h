/*
 * The gateway's answers as text for people, on standard output.
 */
#pragma once
#include <jansson.h>
#include "ctl/table.h"

enum show_list { SHOW_CLUSTERS, SHOW_DRIVERS, SHOW_SESSIONS, SHOW_TOKENS };

struct show { /* private */
	enum show_list list;
	struct table table;
};

void show_status(const json_t *answer);

/* A list that may come in several answers; columns keep their widths from one to the next. */
void show_begin(struct show *, enum show_list);
void show_rows(struct show *, const json_t *answer);
void show_end(struct show *);
