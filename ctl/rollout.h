/*
 * The commands about the roll-out: which share of the teams may come in.
 */
#pragma once
#include "ctl/ask.h"

enum ask_result rollout_show(const struct wish *);
enum ask_result rollout_set(const struct wish *);
enum ask_result rollout_reset(const struct wish *);
