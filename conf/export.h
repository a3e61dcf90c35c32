/*
 * Checks of what leaves for other services: audit.ship and tracing. Once, while loading.
 */
#pragma once
#include "conf/loading.h"

void export_check(struct loading *);
