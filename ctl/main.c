/*
 * sparkgwctl: asks a running gateway and tells it what to do, over its control socket. Finds the
 * socket, runs one command.
 */
#include <curl/curl.h>
#include <errno.h>
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
	exit(ASK_USAGE);
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

/* What needs no gateway; does not come back. */
static void
answer_alone(const struct wish *w)
{
	if (w->help)
		commands_usage(stdout);
	else if (w->version)
		printf("sparkgwctl %s\n", SPARKGW_VERSION);
	else
		return;
	exit(ASK_DONE);
}

int
main(int argc, char **argv)
{
	struct wish wish = {0};
	const char *problem = NULL, *about = NULL;
	const struct command *command;
	char path[PATH_MAX] = RUN_DIR "/control.sock";
	enum ask_result result;
	int first;

	panic_init("sparkgwctl");
	if (!options_read(argc, argv, &wish, &first, &problem, &about))
		refuse(problem, about);
	answer_alone(&wish);
	command = commands_find(argv + first, argc - first, &wish, &problem, &about);
	if (command == NULL)
		refuse(problem, about);
	if (wish.config_path != NULL)
		find_socket(wish.config_path, path, sizeof(path));
	if (wish.socket_path == NULL)
		wish.socket_path = path;
	curl_global_init(CURL_GLOBAL_NOTHING);
	result = commands_run(command, &wish);
	curl_global_cleanup();
	if (fflush(stdout) != 0 && result == ASK_DONE) {
		fprintf(stderr, "sparkgwctl: standard output: %s\n", strerror(errno));
		result = ASK_REFUSED;
	}
	return (int)result;
}
