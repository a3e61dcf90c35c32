/*
 * One path out of a configuration file.
 */
#include "ctl/where.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include "lib/yaml.h"

#define CONFIG_MAX ((size_t)1024 * 1024)
#define ARENA_MAX  ((size_t)16 * 1024 * 1024)

static const char *
read_config(struct arena *arena, const char *path, struct str *ret)
{
	char *text = arena_alloc(arena, CONFIG_MAX);
	FILE *f = fopen(path, "re");
	bool failed;

	if (f == NULL)
		return strerror(errno);
	ret->p = text;
	ret->n = text != NULL ? fread(text, 1, CONFIG_MAX, f) : 0;
	failed = ret->n == 0 || ferror(f) != 0;
	fclose(f);
	return failed ? "the file is empty or cannot be read" : NULL;
}

static const char *
find(struct arena *arena, const char *config_path, const char *key, const char *dir, char *ret,
     size_t size)
{
	struct yaml_node *root = NULL, *node;
	struct yaml_error *errors = NULL;
	struct str text = STR_NONE;
	char full[PATH_MAX];
	const char *problem;
	int n;

	if (realpath(config_path, full) == NULL)
		return strerror(errno);
	problem = read_config(arena, config_path, &text);
	if (problem != NULL)
		return problem;
	if (yaml_parse(arena, text, &root, &errors) != 0)
		return errors != NULL ? errors->words : "no YAML";
	node = yaml_get(root, key);
	if (node != NULL && node->kind == YAML_SCALAR && node->text.n > 0)
		dir = node->text.p;
	if (dir[0] == '/')
		n = snprintf(ret, size, "%s", dir);
	else
		n = snprintf(ret, size, "%s/%s", dirname(full), dir);
	return n < 0 || (size_t)n >= size ? "a path is too long" : NULL;
}

bool
where_find(const char *config_path, const char *key, const char *fallback, char *ret, size_t size,
	   const char **ret_problem)
{
	static char words[256];
	struct arena *arena = arena_new((size_t)64 * 1024, ARENA_MAX);
	const char *problem = "out of memory";

	if (arena != NULL)
		problem = find(arena, config_path, key, fallback, ret, size);
	if (problem != NULL) { /* some of them live in the arena */
		snprintf(words, sizeof(words), "%s", problem);
		*ret_problem = words;
	}
	arena_free(&arena);
	return problem == NULL;
}
