/*
 * Patterns of subjects: every byte stands for itself but `*`, which stands for any run of bytes,
 * also for none. Pure; any process. At most the product of both lengths in steps.
 */
#pragma once
#include <stdbool.h>
#include "lib/str.h"

bool pattern_matches(struct str pattern, struct str text); /* the whole text */
