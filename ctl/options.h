/*
 * What may stand on the command line of sparkgwctl besides a command: one table, from which options
 * are read, usage is printed, and commands say which of them they take.
 */
#pragma once
#include <stdbool.h>
#include "lib/buf.h"

#define OPTIONS_ENVS_MAX 16

/* Those that are for some commands only. */
enum {
	OPTION_USER = 1u << 0,
	OPTION_SERVICE = 1u << 1,
	OPTION_GROUPS = 1u << 2,
	OPTION_TEAM = 1u << 3,
	OPTION_ENV = 1u << 4,  /* one */
	OPTION_ENVS = 1u << 5, /* any number of them */
	OPTION_HOST = 1u << 6,
	OPTION_TTL = 1u << 7,
	OPTION_NOTE = 1u << 8,
	OPTION_ALL = 1u << 9,
	OPTION_STATE_DIR = 1u << 10,
	OPTION_FOLLOW = 1u << 11,
	OPTION_LINES = 1u << 12,
};

/* What the user asked for, beside the command itself. NULL: not given. */
struct wish {
	const char *config_path, *socket_path;
	bool json, all, follow, help, version;
	const char *user, *service, *groups, *team, *host, *ttl, *note, *state_dir, *lines;
	const char *envs[OPTIONS_ENVS_MAX];
	unsigned envs_count;
	unsigned given;	  /* bits of the above; for --env both */
	const char *name; /* the command's argument, if it takes one */
	char *const *names; /* or all of them, if it takes any number */
	int names_count;
};

/* Options may stand before, between and after the words of the command, which come to stand from
 * *ret_first on. False with words for the user, and what they are about, or NULL. */
bool options_read(int argc, char **argv, struct wish *ret, int *ret_first,
		  const char **ret_problem, const char **ret_about);

/* " --user U [--team T]": those needed, then those only taken. */
void options_usage(unsigned takes, unsigned needs, struct buf *);
/* The first of these bits, as "--user"; NULL for none. */
const char *options_name(unsigned bits);
