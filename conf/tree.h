/*
 * The whole tree of the file into the structs, row by row of the schema; also the defaults, the
 * missing and the unknown keys.
 */
#pragma once
#include "conf/loading.h"

void tree_fill(struct loading *, struct yaml_node *root); /* root NULL: an empty file */
