/*
 * What no single value can tell: names that are used twice or point nowhere, blocks that contradict
 * each other.
 */
#pragma once
#include "conf/loading.h"

#define CHECK_DRIVERS_MAX 1024 /* in all clusters; slots of the shared segment */

void check_all(struct loading *);
