/*
 * The audit file's end, as it grows.
 */
#include "controller/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/buf.h"
#include "lib/panic.h"
#include "shm/chain.h"

#define TAIL_MAGIC 0x7461696cu
#define PIECE	   ((size_t)256 * 1024) /* longer than a line */
#define PATH_SIZE  4096

struct tail {
	unsigned magic;
	char path[PATH_SIZE];
	int fd;
	off_t at;
	struct buf text;
	size_t used; /* of it */
};

struct tail *
tail_new(const char *state_dir)
{
	struct tail *t = calloc(1, sizeof(*t));
	int n;

	if (t == NULL)
		return NULL;
	t->magic = TAIL_MAGIC;
	buf_init(&t->text, 2 * PIECE);
	n = snprintf(t->path, sizeof(t->path), "%s/" CHAIN_FOLDER "/" CHAIN_FILE, state_dir);
	ASSERT(n > 0 && (size_t)n < sizeof(t->path));
	t->fd = open(t->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (t->fd >= 0)
		t->at = lseek(t->fd, 0, SEEK_END);
	return t;
}

void
tail_free(struct tail **ret)
{
	struct tail *t = *ret;

	if (t == NULL)
		return;
	CHECK_MAGIC(t, TAIL_MAGIC);
	*ret = NULL;
	if (t->fd >= 0)
		close(t->fd);
	buf_free(&t->text);
	t->magic = 0;
	free(t);
}

/* At the end of what is open: is there another file by now? Its name leads there. */
static void
follow_name(struct tail *t)
{
	struct stat here, there;

	if (stat(t->path, &there) != 0)
		return;
	if (t->fd >= 0) {
		if (fstat(t->fd, &here) == 0 && here.st_ino == there.st_ino &&
		    here.st_dev == there.st_dev) {
			if (here.st_size < t->at) /* the keeper cut off a half line */
				t->at = here.st_size;
			return;
		}
		close(t->fd);
	}
	t->fd = open(t->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	t->at = 0;
	buf_clear(&t->text);
}

/* A piece more; false at the end. */
static bool
read_piece(struct tail *t)
{
	uint8_t *room;
	ssize_t n;

	buf_drop(&t->text, t->used);
	t->used = 0;
	if (t->text.len >= PIECE) /* no line of ours is as long */
		buf_clear(&t->text);
	room = buf_room(&t->text, PIECE);
	n = t->fd >= 0 && room != NULL ? pread(t->fd, room, PIECE, t->at) : 0;
	if (n <= 0)
		return false;
	buf_grew(&t->text, (size_t)n);
	t->at += n;
	return true;
}

int
tail_next(struct tail *t, struct str *ret, bool *ret_more)
{
	const char *from, *end;

	CHECK_MAGIC(t, TAIL_MAGIC);
	from = (const char *)t->text.p + t->used;
	end = t->text.len > t->used ? memchr(from, '\n', t->text.len - t->used) : NULL;
	if (end != NULL) {
		*ret = (struct str){from, (size_t)(end - from)};
		t->used += ret->n + 1;
		return 0;
	}
	*ret_more = read_piece(t);
	if (!*ret_more)
		follow_name(t);
	return E_AGAIN;
}
