/*
 * The loading itself, with the way files of secrets are read as a parameter: the door for tests.
 * Others use conf.h.
 */
#pragma once
#include "conf/types.h"

struct secret_reader;

/* As conf_load_text(). */
int load_text(const char *path, struct str text, const struct secret_reader *, struct conf **ret,
	      struct conf_error **ret_errors) MUST_CHECK;
/* An empty configuration to hang errors on; NULL when out of memory. */
struct conf *load_new(const char *path, struct str text);
