/*
 * Folders of a gateway, by its configuration file.
 *
 * Only the one key counts: whoever may use the control socket or read audit files need not be able
 * to read the secrets that loading the whole configuration would ask for.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* The value of a key at the top of the file, which is a path; a relative one is relative to the
 * file. False with words about what is wrong with the file. */
bool where_find(const char *config_path, const char *key, const char *fallback, char *ret,
		size_t size, const char **ret_problem);
