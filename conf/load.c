/*
 * Text to configuration: tree, schema, files of secrets, checks. Runs in the supervisor before the
 * fork, in the controller and in sparkgwctl; nothing here is fast, everything is bounded.
 */
#include <sched.h>
#include <stdio.h>
#include <unistd.h>
#include "conf/check.h"
#include "conf/error.h"
#include "conf/keyset.h"
#include "conf/load.h"
#include "conf/loading.h"
#include "conf/secret.h"
#include "conf/tree.h"

#define ARENA_FIRST   ((size_t)16 * 1024)
#define ARENA_CEILING ((size_t)64 << 20)
#define WORKERS_MAX   256

static struct str
absolute(struct arena *arena, const char *path)
{
	char folder[4096];

	if (path[0] == '/' || getcwd(folder, sizeof(folder)) == NULL)
		return arena_str(arena, str_from(path));
	return str_from(arena_printf(arena, "%s/%s", folder, path));
}

struct conf *
load_new(const char *path, struct str text)
{
	struct arena *arena = arena_new(ARENA_FIRST, ARENA_CEILING);
	struct conf *c = arena != NULL ? arena_alloc(arena, sizeof(*c)) : NULL;

	if (c == NULL) {
		arena_free(&arena);
		return NULL;
	}
	c->arena = arena;
	c->path = absolute(arena, path);
	c->text = arena_str(arena, text);
	return c;
}

/* The CPUs that this process may use. */
static uint32_t
count_cpus(void)
{
	cpu_set_t set;
	int n = 0;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	if (n < 1)
		n = (int)sysconf(_SC_NPROCESSORS_ONLN);
	return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : (uint32_t)n;
}

static void
take_yaml_errors(struct loading *l, const struct yaml_error *e)
{
	for (; e != NULL; e = e->next) {
		const struct yaml_node at = {.line = e->line, .column = e->column};

		loading_fail_at(l, &at, "", "%s", e->words);
	}
}

int
load_text(const char *path, struct str text, const struct secret_reader *reader, struct conf **ret,
	  struct conf_error **ret_errors)
{
	struct conf *c = load_new(path, text);
	struct loading l = {.conf = c, .reader = reader};
	struct yaml_error *yaml_errors = NULL;
	struct yaml_node *root = NULL;
	int err;

	*ret = c;
	*ret_errors = NULL;
	if (c == NULL)
		return E_NOMEM;
	err = yaml_parse(c->arena, text, &root, &yaml_errors);
	take_yaml_errors(&l, yaml_errors);
	if (err == 0) {
		tree_fill(&l, root);
		secret_load(&l);
		keyset_load(&l);
		check_all(&l);
		if (c->workers == 0)
			c->workers = count_cpus();
	}
	*ret_errors = l.errors;
	if (err == E_NOMEM || arena_failed(c->arena))
		return E_NOMEM;
	return err != 0 || l.errors != NULL ? E_SYNTAX : 0;
}
