/*
 * sparkgwctl: asks a running gateway and tells it what to do, over its control socket. Finds the
 * socket, reads the options, runs one command.
 */
#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include "ctl/commands.h"
#include "lib/panic.h"
#include "lib/yaml.h"

#define RUN_DIR	   "/run/sparkgw"
#define CONFIG_MAX ((size_t)1024 * 1024)
#define ARENA_MAX  ((size_t)16 * 1024 * 1024)

_Noreturn static void
refuse(const char *problem, const char *about)
{
	fprintf(stderr, "sparkgwctl: %s%s%s\n", problem, about != NULL ? ": " : "",
		about != NULL ? about : "");
	if (about == NULL)
		commands_usage(stderr);
	exit(COMMANDS_USAGE);
}

static struct str
read_config(struct arena *arena, const char *path)
{
	char *text = arena_alloc(arena, CONFIG_MAX);
	FILE *f = fopen(path, "re");
	size_t n;

	if (f == NULL)
		refuse(strerror(errno), path);
	n = text != NULL ? fread(text, 1, CONFIG_MAX, f) : 0;
	if (n == 0 || ferror(f))
		refuse("the file is empty or cannot be read", path);
	fclose(f);
	return (struct str){text, n};
}

/* Only `run_dir` counts here: whoever may use the control socket need not be able to read the
 * secrets that loading the whole configuration would ask for. A relative one is relative to the
 * file. */
static void
find_socket(const char *config_path, char *ret, size_t size)
{
	struct arena *arena = arena_new((size_t)64 * 1024, ARENA_MAX);
	struct yaml_node *root = NULL, *node;
	struct yaml_error *errors = NULL;
	const char *dir = RUN_DIR;
	char full[PATH_MAX];
	int n;

	if (arena == NULL || realpath(config_path, full) == NULL)
		refuse(strerror(errno), config_path);
	if (yaml_parse(arena, read_config(arena, config_path), &root, &errors) != 0)
		refuse(errors != NULL ? errors->words : "no YAML", config_path);
	node = yaml_get(root, "run_dir");
	if (node != NULL && node->kind == YAML_SCALAR && node->text.n > 0)
		dir = node->text.p;
	if (dir[0] == '/')
		n = snprintf(ret, size, "%s/control.sock", dir);
	else
		n = snprintf(ret, size, "%s/%s/control.sock", dirname(full), dir);
	if (n < 0 || (size_t)n >= size)
		refuse("run_dir is too long", config_path);
	arena_free(&arena);
}

enum { OPTION_JSON = 256, OPTION_USER, OPTION_TEAM, OPTION_HELP, OPTION_VERSION };

static const struct option options[] = {
	{"json", no_argument, NULL, OPTION_JSON},
	{"user", required_argument, NULL, OPTION_USER},
	{"team", required_argument, NULL, OPTION_TEAM},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{NULL, 0, NULL, 0},
};

/* Options may stand before, between and after the words of the command: getopt moves them to the
 * front. */
static void
read_options(int argc, char **argv, struct commands_wish *w, const char **ret_config)
{
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "c:s:", options, NULL)) != -1) {
		switch (c) {
		case 'c': *ret_config = optarg; break;
		case 's': w->socket_path = optarg; break;
		case OPTION_JSON: w->json = true; break;
		case OPTION_USER: w->user = optarg; break;
		case OPTION_TEAM: w->team = optarg; break;
		case OPTION_HELP: commands_usage(stdout); exit(COMMANDS_DONE);
		case OPTION_VERSION:
			printf("sparkgwctl %s\n", SPARKGW_VERSION);
			exit(COMMANDS_DONE);
		default: refuse("this option is unknown or lacks its value", argv[optind - 1]);
		}
	}
	if (*ret_config != NULL && w->socket_path != NULL)
		refuse("-c and -s exclude each other", NULL);
}

int
main(int argc, char **argv)
{
	struct commands_wish wish = {0};
	const char *config = NULL, *problem = NULL;
	const struct command *command;
	char path[PATH_MAX] = RUN_DIR "/control.sock";
	enum commands_exit result;

	panic_init("sparkgwctl");
	read_options(argc, argv, &wish, &config);
	command = commands_find(argv + optind, argc - optind, &wish, &wish.name, &problem);
	if (command == NULL)
		refuse(problem, NULL);
	if (config != NULL)
		find_socket(config, path, sizeof(path));
	if (wish.socket_path == NULL)
		wish.socket_path = path;
	curl_global_init(CURL_GLOBAL_NOTHING);
	result = commands_run(command, &wish);
	curl_global_cleanup();
	if (fflush(stdout) != 0 && result == COMMANDS_DONE)
		result = COMMANDS_REFUSED;
	return (int)result;
}
