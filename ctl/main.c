/*
 * sparkgwctl: asks a running gateway and tells it what to do, over its control socket. Finds the
 * socket, runs one command.
 */
#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include "ctl/commands.h"
#include "ctl/where.h"
#include "lib/panic.h"

#define RUN_DIR "/run/sparkgw"

_Noreturn static void
refuse(const char *problem, const char *about)
{
	fprintf(stderr, "sparkgwctl: %s%s%s\n", problem, about != NULL ? ": " : "",
		about != NULL ? about : "");
	exit(ASK_USAGE);
}

/* After the problem, which must not scroll away, only what is like that which was meant. */
_Noreturn static void
refuse_command(const char *problem, const char *about, const char *word)
{
	if (word == NULL) {
		commands_usage(stderr);
		refuse(problem, about);
	}
	if (!commands_hint(stderr, word))
		refuse("there is no such command (sparkgwctl --help lists them)", word);
	refuse(problem, about);
}

static void
find_socket(const char *config_path, char *ret, size_t size)
{
	const char *problem;
	char dir[PATH_MAX];
	int n;

	if (!where_find(config_path, "run_dir", RUN_DIR, dir, sizeof(dir), &problem))
		refuse(config_path, problem);
	n = snprintf(ret, size, "%s/control.sock", dir);
	if (n < 0 || (size_t)n >= size)
		refuse(config_path, "run_dir is too long");
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
		refuse_command(problem, about, first < argc ? argv[first] : NULL);
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
