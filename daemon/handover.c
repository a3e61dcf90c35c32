/*
 * The environment and a memory file, read and written.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/handover.h"
#include "lib/buf.h"

#define VARIABLE   "SPARKGW_UPGRADE"
#define FDS_MAX	   1048576u
#define LISTEN_MAX 4096u
#define TEXT_MAX   ((size_t)4 << 20)

int
handover_add(struct handover *h, int fd, bool given)
{
	struct handover_socket *more = reallocarray(h->sockets, h->count + 1, sizeof(*h->sockets));

	if (more == NULL)
		return E_NOMEM;
	h->sockets = more;
	h->sockets[h->count++] = (struct handover_socket){fd, given};
	return E_OK;
}

/* ---- of a predecessor ---- */

static int
parse_line(struct handover *h, struct str line)
{
	struct str value, word = str_cut(line, ' ', &value);
	uint64_t n = 0;

	if (str_eq(word, STR("state")) && value.n > 0) {
		free(h->state_dir);
		h->state_dir = strndup(value.p, value.n);
		return h->state_dir != NULL ? E_OK : E_NOMEM;
	}
	if (value.p == NULL || str_u64(value, FDS_MAX, &n) != E_OK)
		return E_SYNTAX;
	if (str_eq(word, STR("listen")) || str_eq(word, STR("given")))
		return handover_add(h, (int)n, str_eq(word, STR("given")));
	if (str_eq(word, STR("link")))
		h->link_fd = (int)n;
	else if (str_eq(word, STR("lock")))
		h->lock_fd = (int)n;
	else if (str_eq(word, STR("generation")))
		h->generation = (unsigned)n;
	/* what a later version says besides is not for us */
	return E_OK;
}

int
handover_parse(struct str text, struct handover *ret)
{
	struct handover h = {.link_fd = -1, .lock_fd = -1};
	int err = E_OK;

	while (err == E_OK && text.n > 0) {
		struct str line = str_cut(text, '\n', &text);

		if (line.n > 0)
			err = parse_line(&h, line);
	}
	if (err == E_OK && (h.link_fd < 0 || h.lock_fd < 0 || h.state_dir == NULL))
		err = E_SYNTAX;
	if (err == E_OK)
		*ret = h;
	else
		handover_free(&h);
	return err;
}

static int
put_all(int fd, struct str text)
{
	while (text.n > 0) {
		ssize_t n = write(fd, text.p, text.n);

		if (n <= 0)
			return E_IO;
		text.p += n;
		text.n -= (size_t)n;
	}
	return lseek(fd, 0, SEEK_SET) == 0 ? E_OK : E_IO;
}

int
handover_write(const struct handover *h)
{
	int fd = memfd_create("sparkgw-upgrade", 0);
	struct buf b;

	buf_init(&b, TEXT_MAX);
	buf_printf(&b, "link %d\nlock %d\ngeneration %u\nstate %s\n", h->link_fd, h->lock_fd,
		   h->generation, h->state_dir);
	for (unsigned i = 0; i < h->count; i++)
		buf_printf(&b, "%s %d\n", h->sockets[i].given ? "given" : "listen",
			   h->sockets[i].fd);
	if (fd >= 0 && put_all(fd, buf_str(&b)) != E_OK) {
		close(fd);
		fd = -1;
	}
	buf_free(&b);
	return fd;
}

static int
read_file(int fd, struct handover *ret)
{
	struct stat st;
	char *text;
	int err = E_IO;

	if (fstat(fd, &st) != 0 || st.st_size <= 0 || (size_t)st.st_size > TEXT_MAX)
		return E_SYNTAX;
	text = malloc((size_t)st.st_size);
	if (text == NULL)
		return E_NOMEM;
	if (pread(fd, text, (size_t)st.st_size, 0) == st.st_size)
		err = handover_parse((struct str){text, (size_t)st.st_size}, ret);
	free(text);
	return err;
}

static int
close_on_exec(const struct handover *h)
{
	bool ok = true;

	if (h->link_fd >= 0)
		ok = fcntl(h->link_fd, F_SETFD, FD_CLOEXEC) == 0 &&
		     fcntl(h->lock_fd, F_SETFD, FD_CLOEXEC) == 0;
	for (unsigned i = 0; i < h->count; i++)
		ok = ok && fcntl(h->sockets[i].fd, F_SETFD, FD_CLOEXEC) == 0;
	return ok ? E_OK : E_IO;
}

static int
take_predecessors(const char *number, struct handover *ret)
{
	uint64_t fd = 0;
	int err = str_u64(str_from(number), FDS_MAX, &fd);

	if (err != E_OK)
		return E_SYNTAX;
	err = read_file((int)fd, ret);
	close((int)fd);
	return err;
}

/* ---- of the service manager ---- */

int
handover_parse_listen(const char *fds, const char *pid, pid_t self, unsigned *ret_count)
{
	uint64_t count = 0, whose = 0;

	*ret_count = 0;
	if (fds == NULL || pid == NULL)
		return E_OK;
	if (str_u64(str_from(pid), INT32_MAX, &whose) != E_OK ||
	    str_u64(str_from(fds), LISTEN_MAX, &count) != E_OK)
		return E_SYNTAX;
	if (whose == (uint64_t)self)
		*ret_count = (unsigned)count;
	return E_OK;
}

static int
take_managers(struct handover *ret)
{
	unsigned count;
	int err =
		handover_parse_listen(getenv("LISTEN_FDS"), getenv("LISTEN_PID"), getpid(), &count);

	for (unsigned i = 0; err == E_OK && i < count; i++)
		err = handover_add(ret, HANDOVER_LISTEN_FIRST + (int)i, true);
	return err;
}

int
handover_take(struct handover *ret)
{
	const char *number = getenv(VARIABLE);
	int err;

	*ret = (struct handover){.link_fd = -1, .lock_fd = -1};
	err = number != NULL ? take_predecessors(number, ret) : take_managers(ret);
	if (err == E_OK)
		err = close_on_exec(ret);
	unsetenv(VARIABLE);
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
	return err;
}

void
handover_free(struct handover *h)
{
	free(h->state_dir);
	free(h->sockets);
	h->state_dir = NULL;
	h->sockets = NULL;
	h->count = 0;
}
