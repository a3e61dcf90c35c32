/*
 * The commands of sparkgwctl: one table, from which also the usage is printed.
 */
#pragma once
#include <stdbool.h>
#include <stdio.h>

enum commands_exit { COMMANDS_DONE, COMMANDS_REFUSED, COMMANDS_USAGE, COMMANDS_NOBODY };

/* What the user asked for, beside the command itself. */
struct commands_wish {
	const char *socket_path;
	bool json;
	const char *user, *team; /* NULL: not given */
	const char *name;	 /* the command's argument, if it takes one */
};

struct command;

/* By its words ("driver" "drain") and the number of arguments left after them. NULL, with words for
 * the user. */
const struct command *commands_find(char *const *words, int count, const struct commands_wish *,
				    const char **ret_name, const char **ret_problem);
enum commands_exit commands_run(const struct command *, const struct commands_wish *);
void commands_usage(FILE *);
