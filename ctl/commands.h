/*
 * The commands of sparkgwctl: one table, from which also the usage is printed.
 */
#pragma once
#include <stdio.h>
#include "ctl/ask.h"

struct command;

/* By its words ("driver" "drain"), the options given, and the argument left after the words, which
 * becomes wish->name. NULL, with words for the user and what they are about, or NULL. */
const struct command *commands_find(char *const *words, int count, struct wish *,
				    const char **ret_problem, const char **ret_about);
enum ask_result commands_run(const struct command *, const struct wish *);
/* Of the commands that begin with this word; false: there are none. */
bool commands_hint(FILE *, const char *group);
void commands_usage(FILE *);
