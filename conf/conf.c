/*
 * The doors of the configuration: from a file, from memory, errors, look-ups, and the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "conf/conf.h"
#include "conf/error.h"
#include "conf/load.h"
#include "conf/secret.h"

#define TEXT_MAX ((size_t)1 << 20) /* lib/yaml refuses more */

/* Everything, but not much more than can be accepted. */
static int
read_all(const char *path, char *buf, size_t size, size_t *ret_n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), saved = 0;
	ssize_t got = 1;
	size_t n = 0;

	if (fd < 0)
		return E_IO;
	while (n < size && got > 0) {
		got = read(fd, buf + n, size - n);
		if (got > 0)
			n += (size_t)got;
		else if (got < 0 && errno == EINTR)
			got = 1;
	}
	if (got < 0)
		saved = errno;
	close(fd);
	errno = saved;
	if (saved != 0)
		return E_IO;
	*ret_n = n;
	return 0;
}

static int
fail_io(const char *path, struct conf **ret, struct conf_error **ret_errors)
{
	const char *why = strerror(errno);

	*ret_errors = NULL;
	*ret = load_new(path, STR(""));
	if (*ret == NULL)
		return E_NOMEM;
	conf_error_add(*ret, ret_errors, 0, "", "cannot be read: %s", why);
	return E_IO;
}

int
conf_load(const char *path, struct conf **ret, struct conf_error **ret_errors)
{
	char *buf = malloc(TEXT_MAX + 1);
	size_t n = 0;
	int err;

	if (buf == NULL) {
		*ret = NULL;
		*ret_errors = NULL;
		return E_NOMEM;
	}
	if (read_all(path, buf, TEXT_MAX + 1, &n) == 0)
		err = conf_load_text(path, (struct str){buf, n}, ret, ret_errors);
	else
		err = fail_io(path, ret, ret_errors);
	free(buf);
	return err;
}

int
conf_load_text(const char *path, struct str text, struct conf **ret, struct conf_error **ret_errors)
{
	return load_text(path, text, &secret_files, ret, ret_errors);
}

void
conf_free(struct conf **conf)
{
	struct conf *c = *conf;
	struct arena *arena;

	if (c == NULL)
		return;
	*conf = NULL;
	secret_wipe(c);
	arena = c->arena; /* c itself lives in it */
	arena_free(&arena);
}

void
conf_error_add(struct conf *c, struct conf_error **list, unsigned line, const char *key,
	       const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	error_put(c, list, line, 0, key, fmt, ap);
	va_end(ap);
}

int
conf_error_text(const struct conf *c, const struct conf_error *e, char *buf, size_t size)
{
	const char *colon = e->key[0] != '\0' ? ": " : "";
	char place[32] = "";

	if (e->line > 0 && e->column > 0)
		snprintf(place, sizeof(place), ":%u:%u", e->line, e->column);
	else if (e->line > 0)
		snprintf(place, sizeof(place), ":%u", e->line);
	return snprintf(buf, size, "%.*s%s: %s%s%s\n", STR_ARG(c->path), place, e->key, colon,
			e->words);
}

struct conf_cluster *
conf_cluster(const struct conf *c, struct str name)
{
	for (unsigned i = 0; i < c->clusters_count; i++)
		if (str_eq(c->clusters[i].name, name))
			return &c->clusters[i];
	return NULL;
}

struct conf_team *
conf_team(const struct conf *c, struct str name)
{
	for (unsigned i = 0; i < c->teams_count; i++)
		if (str_eq(c->teams[i].name, name))
			return &c->teams[i];
	return NULL;
}
