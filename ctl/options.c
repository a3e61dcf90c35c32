/*
 * The options of sparkgwctl: argv comes in, a struct wish goes out.
 */
#include "ctl/options.h"

#include <getopt.h>
#include <stddef.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))
#define FIRST		256 /* what getopt answers for the first row */

enum kind { FLAG, TEXT, TEXTS };

struct row {
	const char *name, *value; /* value: as the usage shows it */
	enum kind kind;
	size_t at;
	unsigned bits; /* 0: for every command */
};

#define AT(field) offsetof(struct wish, field)

static const struct row rows[] = {
	{"user", "U", TEXT, AT(user), OPTION_USER},
	{"service", "NAME", TEXT, AT(service), OPTION_SERVICE},
	{"groups", "G,G", TEXT, AT(groups), OPTION_GROUPS},
	{"team", "T", TEXT, AT(team), OPTION_TEAM},
	{"env", "E", TEXTS, AT(envs), OPTION_ENV | OPTION_ENVS},
	{"host", "H", TEXT, AT(host), OPTION_HOST},
	{"ttl", "30d", TEXT, AT(ttl), OPTION_TTL},
	{"note", "WORDS", TEXT, AT(note), OPTION_NOTE},
	{"all", NULL, FLAG, AT(all), OPTION_ALL},
	{"state-dir", "DIR", TEXT, AT(state_dir), OPTION_STATE_DIR},
	{"follow", NULL, FLAG, AT(follow), OPTION_FOLLOW},
	{"lines", "N", TEXT, AT(lines), OPTION_LINES},
	{"json", NULL, FLAG, AT(json), 0},
	{"help", NULL, FLAG, AT(help), 0},
	{"version", NULL, FLAG, AT(version), 0},
};

static const char *
take(const struct row *row, const char *value, struct wish *w)
{
	char *field = (char *)w + row->at;

	w->given |= row->bits;
	switch (row->kind) {
	case FLAG: *(bool *)(void *)field = true; return NULL;
	case TEXT: *(const char **)(void *)field = value; return NULL;
	case TEXTS: break;
	}
	if (w->envs_count == OPTIONS_ENVS_MAX)
		return "there are too many of this option";
	w->envs[w->envs_count++] = value;
	return NULL;
}

static const struct row *
row_of(unsigned bits)
{
	const struct row *row = rows;

	while (row->bits != bits)
		row++;
	return row;
}

bool
options_read(int argc, char **argv, struct wish *w, int *ret_first, const char **ret_problem,
	     const char **ret_about)
{
	struct option known[COUNT_OF(rows) + 1] = {0};
	int c;

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		known[i] = (struct option){rows[i].name,
					   rows[i].kind == FLAG ? no_argument : required_argument,
					   NULL, FIRST + (int)i};
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":c:s:fn:hV", known, NULL)) != -1) {
		*ret_problem = NULL;
		if (c == 'c')
			w->config_path = optarg;
		else if (c == 's')
			w->socket_path = optarg;
		else if (c == 'f' || c == 'n')
			*ret_problem =
				take(row_of(c == 'f' ? OPTION_FOLLOW : OPTION_LINES), optarg, w);
		else if (c == 'h' || c == 'V') /* as sparkgwd has them */
			*(c == 'h' ? &w->help : &w->version) = true;
		else if (c >= FIRST)
			*ret_problem = take(&rows[c - FIRST], optarg, w);
		else
			*ret_problem = c == ':' ? "this option lacks its value"
						: "there is no such option, or it takes no value "
						  "(sparkgwctl --help lists them)";
		*ret_about = argv[optind - 1];
		if (*ret_problem != NULL)
			return false;
	}
	*ret_about = NULL;
	*ret_problem = "-c and -s exclude each other";
	*ret_first = optind;
	return w->config_path == NULL || w->socket_path == NULL;
}

static void
show(const struct row *row, bool needed, bool many, struct buf *out)
{
	buf_printf(out, needed ? " --%s" : " [--%s", row->name);
	if (row->value != NULL)
		buf_printf(out, " %s", row->value);
	if (!needed)
		buf_add_byte(out, ']');
	if (many)
		buf_add_str(out, STR("..."));
}

void
options_usage(unsigned takes, unsigned needs, struct buf *out)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (rows[i].bits & needs)
			show(&rows[i], true, false, out);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (rows[i].bits & takes & ~needs)
			show(&rows[i], false, (rows[i].bits & takes) == OPTION_ENVS, out);
}

const char *
options_name(unsigned bits)
{
	static char text[32];

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (!(rows[i].bits & bits))
			continue;
		snprintf(text, sizeof(text), "--%s", rows[i].name);
		return text;
	}
	return NULL;
}
