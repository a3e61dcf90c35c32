/*
 * One scalar of the file into its field, with the checks that need nothing but the value.
 */
#pragma once
#include "conf/loading.h"

/* Of `type` (the row's own, or its item type); on an error the field stays as it is. */
void value_set(struct loading *, const struct schema_row *, enum schema_type type,
	       const struct yaml_node *, const char *key, void *field);
/* 1 to 63 bytes of A-Z a-z 0-9 . _ - */
bool value_is_name(struct str s);
