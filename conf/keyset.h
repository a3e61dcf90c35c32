/*
 * The public files that `oidc` providers name: key sets, which are read into the configuration, and
 * authorities, which are only looked at here. Anybody may read them; errors name the file.
 */
#pragma once
#include "conf/loading.h"

#define KEYSET_MAX ((size_t)256 * 1024)

void keyset_load(struct loading *); /* of all providers */
