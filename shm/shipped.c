/*
 * What was shipped: the list in memory, sorted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "shm/shipped.h"

static int
read_text(int fd, struct buf *text)
{
	struct stat st;
	ssize_t n = 1;

	if (fstat(fd, &st) != 0)
		return E_IO;
	if (st.st_size >= (off_t)SHIPPED_MAX)
		return E_LIMIT;
	while (n > 0) {
		uint8_t *room = buf_room(text, (size_t)st.st_size + 2);

		if (room == NULL)
			return E_NOMEM;
		n = read(fd, room, (size_t)st.st_size + 1);
		if (n > 0)
			buf_grew(text, (size_t)n);
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	return n < 0 ? E_IO : 0;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Lines become strings. What stands behind the last newline was never finished. */
static int
take_apart(struct shipped *s)
{
	char *at = (char *)s->text.p, *end;
	size_t lines = 0;

	for (size_t i = 0; i < s->text.len; i++)
		lines += s->text.p[i] == '\n';
	s->names = calloc(lines + 1, sizeof(*s->names));
	if (s->names == NULL)
		return E_NOMEM;
	for (; s->count < lines; at = end + 1) {
		end = memchr(at, '\n', s->text.len - (size_t)(at - (char *)s->text.p));
		*end = '\0';
		s->names[s->count++] = at;
	}
	qsort(s->names, s->count, sizeof(*s->names), compare);
	return 0;
}

int
shipped_read(int folder, struct shipped *ret)
{
	struct shipped s = {.count = 0};
	int fd = openat(folder, SHIPPED_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), err = 0;

	if (fd < 0 && errno != ENOENT)
		return E_IO;
	buf_init(&s.text, 2 * SHIPPED_MAX);
	if (fd >= 0) {
		err = read_text(fd, &s.text);
		close(fd);
	}
	if (err == 0)
		err = take_apart(&s);
	if (err == 0)
		*ret = s;
	else
		shipped_free(&s);
	return err;
}

void
shipped_free(struct shipped *s)
{
	free(s->names);
	buf_free(&s->text);
	*s = (struct shipped){.count = 0};
}

bool
shipped_has(const struct shipped *s, const char *name)
{
	return s->count > 0 &&
	       bsearch(&name, s->names, s->count, sizeof(*s->names), compare) != NULL;
}

bool
shipped_is_name(const char *name)
{
	uint64_t seq;

	return strlen(name) < CHAIN_NAME_MAX && strchr(name, '/') == NULL &&
	       strchr(name, '\n') == NULL && chain_file_seq(name, &seq) == 0;
}
