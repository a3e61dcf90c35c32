/*
 * The commands about tokens that the gateway itself gives out.
 */
#pragma once
#include "ctl/ask.h"

/* The token alone goes to standard output, words about it to standard error. */
enum ask_result token_create(const struct wish *);
enum ask_result token_list(const struct wish *);
enum ask_result token_revoke(const struct wish *);
enum ask_result token_rotate(const struct wish *);
enum ask_result token_keys(const struct wish *);
