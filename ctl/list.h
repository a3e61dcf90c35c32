/*
 * Lists of the gateway as tables, fetched in pages where they are long.
 */
#pragma once
#include "ctl/ask.h"
#include "ctl/show.h"

/* path: may have a query already; each page is printed before the next is asked for. */
enum ask_result list_print(const struct wish *, const char *path, enum show_list);
