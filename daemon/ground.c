/*
 * Segment, sockets and seats of a start, each with its words when it cannot be had.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "daemon/ground.h"
#include "daemon/successor.h"
#include "lib/log.h"
#include "shm/earlier.h"
#include "shm/leftover.h"

const char *
ground_segment_path(const struct world *w, char *path, size_t size)
{
	snprintf(path, size, "%.*s/segment", STR_ARG(w->conf->run_dir));
	return path;
}

static int
put_by_leftover(const char *path)
{
	const char *words;
	int err = leftover_put_by(path, &words);

	if (err == E_OK && words != NULL)
		log_warn(NULL, "%s: %s", path, words);
	else if (err == E_FULL)
		log_error(NULL,
			  "%s: there are %d such files already, whose audit records could not be "
			  "written; make room in state_dir, or move them away",
			  path, LEFTOVER_FILES);
	else if (err != E_OK)
		log_error(NULL, "%s of an earlier life cannot be put by: %s", path,
			  strerror(errno));
	return err;
}

/* The only moment at which the supervisor writes to the segment. */
int
ground_make_segment(const struct world *w, bool succeeds, struct segment **ret)
{
	struct stat before = {0};
	char path[4096];
	int err;

	ground_segment_path(w, path, sizeof(path));
	if (succeeds && stat(path, &before) != 0)
		before.st_ino = 0;
	err = put_by_leftover(path);
	if (err != E_OK)
		return err;
	err = segment_create(path, ret);
	if (err == E_OK)
		err = segment_enter_row(*ret, 0);
	if (err != E_OK) {
		log_error(NULL, "cannot make %s: %s", path, strerror(errno));
		return err;
	}
	atomic_store(&segment_earlier(*ret)->segment, before.st_ino);
	procs_enter(&segment_procs(*ret)[0], PROC_SUPERVISOR, 0, w->generation, 0);
	procs_set_state(&segment_procs(*ret)[0], PROC_READY);
	return E_OK;
}

static int
adopt_all(struct listeners *ls, const struct handover *h)
{
	int err = E_OK;

	for (unsigned i = 0; err == E_OK && i < h->count; i++) {
		err = listeners_adopt(ls, h->sockets[i].fd, h->sockets[i].given);
		if (err != E_OK)
			log_error(NULL, "inherited descriptor %d is no listening TCP socket: %s",
				  h->sockets[i].fd, err_text(err));
	}
	return err;
}

int
ground_bind(struct listeners *ls, struct world *w, const struct handover *h)
{
	char line[1024];
	int err = adopt_all(ls, h);

	if (err == E_OK)
		err = listeners_prepare(ls, w, h->link_fd < 0);

	for (struct conf_error *e = w->errors; err != E_OK && e != NULL; e = e->next) {
		conf_error_text(w->conf, e, line, sizeof(line));
		line[strcspn(line, "\n")] = '\0';
		log_error(NULL, "%s", line);
		successor_fail(h->link_fd, line);
	}
	return err;
}

/* All seats before the first fork: the keeper needs every worker's channel. */
int
ground_take_seats(struct children *c, struct world *w)
{
	struct seat *s;
	int err;

	err = children_take(c, PROC_KEEPER, 0, w, &s);
	if (err == E_OK)
		err = children_take(c, PROC_CHECKER, 0, w, &s);
	if (err == E_OK)
		err = children_take(c, PROC_CONTROLLER, 0, w, &s);
	for (unsigned i = 0; err == E_OK && i < w->conf->workers; i++)
		err = children_take(c, PROC_WORKER, i, w, &s);
	if (err != E_OK)
		log_error(NULL, "no room for %u workers: %s", w->conf->workers, err_text(err));
	return err;
}
