/*
 * The command line of sparkgwctl: which options a command takes, and what its usage says
 * (ctl/options, ctl/commands). No gateway is asked.
 */
#include <criterion/criterion.h>
#include <getopt.h>
#include <string.h>
#include "ctl/commands.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))
#define WORDS_MAX	24

/* "token revoke x" into what main() gets. */
static int
split(char *line, char *argv[WORDS_MAX])
{
	int argc = 1;
	char *rest = line, *word;

	argv[0] = line; /* nobody looks at it */
	while ((word = strsep(&rest, " ")) != NULL)
		if (word[0] != '\0')
			argv[argc++] = word;
	argv[argc] = NULL;
	return argc;
}

/* Words and what they are about, or NULL when there is such a command. */
static const char *
read_line(const char *text, struct wish *w, const char **ret_about)
{
	static char line[512];
	char *argv[WORDS_MAX];
	const char *problem = NULL;
	int first, argc;

	snprintf(line, sizeof(line), "%s", text);
	argc = split(line, argv);
	*w = (struct wish){0};
	*ret_about = NULL;
	optind = 0; /* getopt begins anew */
	if (!options_read(argc, argv, w, &first, &problem, ret_about))
		return problem;
	return commands_find(argv + first, argc - first, w, &problem, ret_about) != NULL ? NULL
											 : problem;
}

Test(commands, lines_that_are_understood)
{
	static const char *const lines[] = {
		"status",
		"--json status",
		"status --json",
		"-s x status",
		"sessions --user u --team t",
		"driver drain x",
		"session close x --user u",
		"token create --user u --team t",
		"token create --user u --team t --env a --env b --ttl 5s --note x",
		"token create --service s --team t --env a",
		"--team t token create --service=s",
		"token list",
		"token list --user u --team t --all",
		"token revoke x",
		"token rotate",
		"token keys",
		"rollout show",
		"rollout set 50",
		"rollout reset",
		"audit tail",
		"audit tail -f -n 3 --json",
		"audit tail --follow --lines 3 --state-dir x",
		"audit verify",
		"-c x audit verify a b c --state-dir d",
		"explain --user u",
		"explain --user u --groups a,b --team t --env e --host h",
	};
	const char *about;
	struct wish w;

	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		const char *problem = read_line(lines[i], &w, &about);

		cr_expect_null(problem, "%s: %s", lines[i], problem);
	}
}

Test(commands, lines_that_are_not)
{
	static const struct {
		const char *line, *problem, *about;
	} cases[] = {
		{"", "a command is missing", NULL},
		{"nothing", "no such command", NULL},
		{"token", "no such command", NULL},
		{"token make", "no such command", NULL},
		{"status x", "too many arguments", NULL},
		{"driver drain", "an argument is missing", NULL},
		{"token revoke", "an argument is missing", NULL},
		{"token revoke a b", "too many arguments", NULL},
		{"rollout set", "an argument is missing", NULL},
		{"status --user u", "not for this command", "--user"},
		{"drivers --all", "not for this command", "--all"},
		{"token create", "needed", "--user"},
		{"token create --user u", "needed", "--team"},
		{"token create --service s", "needed", "--team"},
		{"token create --user u --service s --team t", "not for this command", "--service"},
		{"token create --user u --team t --host h", "not for this command", "--host"},
		{"explain", "needed", "--user"},
		{"explain --user u --env a --env b", "too often", "--env"},
		{"explain --user u --token x", "no such option", "--token"},
		{"status --user", "lacks its value", "--user"},
		{"status --nonsense", "no such option", "--nonsense"},
		{"status --json=x", "takes no value", "--json=x"},
		{"status -x", "no such option", "-x"},
		{"-c", "lacks its value", "-c"},
		{"-c a -s b status", "exclude each other", NULL},
		{"audit", "no such command", NULL},
		{"audit tail x", "too many arguments", NULL},
		{"audit verify -f", "not for this command", "--follow"},
		{"status -n 3", "not for this command", "--lines"},
		{"audit tail -n", "lacks its value", "-n"},
	};
	const char *about;
	struct wish w;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *problem = read_line(cases[i].line, &w, &about);

		cr_expect(problem != NULL && strstr(problem, cases[i].problem) != NULL, "%s: %s",
			  cases[i].line, problem);
		cr_expect_eq(about == NULL, cases[i].about == NULL, "%s: %s", cases[i].line, about);
		if (about != NULL && cases[i].about != NULL)
			cr_expect_str_eq(about, cases[i].about, "%s", cases[i].line);
	}
}

Test(commands, values_arrive)
{
	const char *about;
	struct wish w;

	cr_assert_null(read_line("token create --user u --env a --team t --env b --ttl 7d"
				 " --note n --json -c f",
				 &w, &about));
	cr_expect_str_eq(w.user, "u");
	cr_expect_str_eq(w.team, "t");
	cr_expect_eq(w.envs_count, 2);
	cr_expect_str_eq(w.envs[0], "a");
	cr_expect_str_eq(w.envs[1], "b");
	cr_expect_str_eq(w.ttl, "7d");
	cr_expect_str_eq(w.note, "n");
	cr_expect_str_eq(w.config_path, "f");
	cr_expect(w.json && !w.all);
	cr_expect_null(w.service);
	cr_expect_null(w.name);
	cr_assert_null(read_line("rollout set 7", &w, &about));
	cr_expect_str_eq(w.name, "7");
}

Test(commands, too_many_environments)
{
	char env[] = "--env=e", *argv[OPTIONS_ENVS_MAX + 3] = {(char[]){"sparkgwctl"}};
	const char *problem = NULL, *about = NULL;
	struct wish w = {0};
	int first;

	for (unsigned i = 1; i < OPTIONS_ENVS_MAX + 2; i++)
		argv[i] = env;
	optind = 0;
	cr_expect(options_read(OPTIONS_ENVS_MAX + 1, argv, &w, &first, &problem, &about));
	cr_expect_eq(w.envs_count, OPTIONS_ENVS_MAX);
	w = (struct wish){0};
	optind = 0;
	cr_expect(!options_read(OPTIONS_ENVS_MAX + 2, argv, &w, &first, &problem, &about));
	cr_expect_not_null(problem);
}

Test(commands, usage_names_every_command_and_its_options)
{
	static const char *const words[] = {
		"token create --user U --team T [--env E]... [--ttl 30d] [--note WORDS]",
		"token create --service NAME --team T [--env E]... [--ttl 30d] [--note WORDS]",
		"explain --user U [--groups G,G] [--team T] [--env E] [--host H]",
		"rollout set PERCENT",
		"session close ID [--user U]",
	};
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	cr_assert_not_null(f);
	commands_usage(f);
	fclose(f);
	for (size_t i = 0; i < COUNT_OF(words); i++)
		cr_expect_not_null(strstr(text, words[i]), "%s", words[i]);
	free(text);
}
