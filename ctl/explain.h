/*
 * The command that tells what the gateway would do with somebody's session, and why.
 */
#pragma once
#include "ctl/ask.h"

enum ask_result explain_session(const struct wish *);
