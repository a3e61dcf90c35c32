/*
 * Predecessors: found by the inode that stands in the segment of whoever came after them. The
 * mapping stays when the keeper has removed the file.
 */
#include "controller/predecessors.h"

#include <sys/stat.h>
#include "lib/log.h"
#include "shm/earlier.h"
#include "shm/leftover.h"

#define SECOND_MS 1000u

static struct segment *
successor_of(const struct predecessors *p, unsigned n)
{
	return n == 0 ? p->own : p->list[n - 1];
}

static struct segment *
attach(const char *path, uint64_t inode)
{
	struct segment *s = NULL;
	struct stat st;
	int err;

	if (stat(path, &st) != 0 || st.st_ino != inode)
		return NULL;
	err = segment_attach(path, &s);
	if (err != 0)
		log_info(NULL, "%s of the program before this one is not counted on: %s", path,
			 err_text(err));
	return s;
}

static struct segment *
find(const char *run_dir, uint64_t inode)
{
	char path[LEFTOVER_PATH];
	struct segment *s = NULL;

	for (unsigned n = 0; n < LEFTOVER_FILES && s == NULL; n++) {
		leftover_path(run_dir, n, path);
		s = attach(path, inode);
	}
	return s;
}

static void
on_second(void *arg)
{
	predecessors_look(arg);
}

void
predecessors_open(struct predecessors *p, struct loop *loop, struct segment *own,
		  const char *run_dir)
{
	*p = (struct predecessors){.own = own};
	while (p->count < PREDECESSORS) {
		struct segment *last = successor_of(p, p->count);
		uint64_t inode = atomic_load(&segment_earlier(last)->segment);
		struct segment *s = inode != 0 ? find(run_dir, inode) : NULL;

		if (s == NULL) { /* or a later file with its inode would be taken for it */
			atomic_store(&segment_earlier(last)->segment, 0);
			break;
		}
		p->list[p->count++] = s;
	}
	if (p->count == 0)
		return;
	loop_timer_start(loop, &p->second, SECOND_MS, SECOND_MS, on_second, p);
	predecessors_look(p);
}

/* The farthest first: what it counted is then a part of the next one's. */
void
predecessors_look(struct predecessors *p)
{
	for (unsigned n = p->count; n-- > 0;) {
		struct segment *to = successor_of(p, n);
		bool over = earlier_is_over(p->list[n]); /* asked first: then nothing comes after */

		if (earlier_bring(to, p->list[n]) != 0 || !over || n + 1 != p->count)
			continue;
		atomic_store(&segment_earlier(to)->segment, 0);
		segment_detach(&p->list[n]);
		p->count--;
	}
	if (p->count == 0)
		loop_timer_stop(&p->second);
}

void
predecessors_close(struct predecessors *p)
{
	loop_timer_stop(&p->second);
	while (p->count > 0)
		segment_detach(&p->list[--p->count]);
}
