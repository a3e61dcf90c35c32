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
	if (about == NULL)
		commands_usage(stderr);
	exit(ASK_USAGE);
}

static void
find_socket(const char *config_path, char *ret, size_t size)
{
	const char *problem;
	char dir[PATH_MAX];
	int n;

	if (!where_find(config_path, "run_dir", RUN_DIR, dir, sizeof(dir), &problem))
		refuse(problem, config_path);
	n = snprintf(ret, size, "%s/control.sock", dir);
	if (n < 0 || (size_t)n >= size)
		refuse("run_dir is too long", config_path);
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
