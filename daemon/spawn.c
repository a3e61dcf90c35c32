/*
 * From fork to job: signals, log, descriptors, then worker_run(), checker_run(), keeper_run() or
 * the controller's program.
 *
 * Process: each child, once. In: what the supervisor made before the fork. Out: an exit status.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "checker/checker.h"
#include "daemon/spawn.h"
#include "keeper/keeper.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "shm/pepper.h"
#include "workers/worker.h"

#define CANNOT_WORK 2 /* the exit status that asks for a long delay */

struct keep {
	int *fds;
	unsigned count, size;
};

static int
compare(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

static void
keep_fd(struct keep *k, int fd)
{
	if (fd < 0)
		return;
	if (k->count == k->size) {
		k->size = k->size ? k->size * 2 : 64;
		k->fds = reallocarray(k->fds, k->size, sizeof(int));
		ASSERT(k->fds != NULL);
	}
	k->fds[k->count++] = fd;
}

static void
close_between(unsigned first, unsigned last)
{
	if (first > last || close_range(first, last, 0) == 0)
		return;
	/* a kernel before 5.9 */
	if (last > (unsigned)sysconf(_SC_OPEN_MAX))
		last = (unsigned)sysconf(_SC_OPEN_MAX);
	for (unsigned fd = first; fd <= last; fd++)
		close((int)fd);
}

static void
close_others(struct keep *k)
{
	unsigned next = STDERR_FILENO + 1;

	qsort(k->fds, k->count, sizeof(int), compare);
	for (unsigned i = 0; i < k->count; i++) {
		unsigned fd = (unsigned)k->fds[i];

		if (fd < next)
			continue;
		if (fd > next)
			close_between(next, fd - 1);
		next = fd + 1;
	}
	close_between(next, ~0u);
	free(k->fds);
}

/* The supervisor goes over to a new world's log only when that world is live. */
static void
open_log(const struct world *w)
{
	const struct conf *conf = w->conf;

	if (!w->live && log_open(conf->log_file.p, conf->log_level, conf->log_format) != E_OK)
		log_warn(NULL, "cannot open the log %s: %s; going on with the old one",
			 conf->log_file.p, strerror(errno));
}

static int
live_as_worker(const struct spawn *s, struct keep *k)
{
	const struct conf *conf = s->world->conf;
	struct worker_listener *ls = calloc(conf->listeners_count + 1, sizeof(*ls));

	ASSERT(ls != NULL);
	for (unsigned i = 0; i < conf->listeners_count; i++) {
		const struct sock_addr *address = &conf->listeners[i].address;
		unsigned n =
			listeners_of_slot(s->listeners, s->world, address, s->seat.slot, NULL, 0);
		int *fds = calloc(n + 1, sizeof(int));

		ASSERT(fds != NULL);
		listeners_of_slot(s->listeners, s->world, address, s->seat.slot, fds, n);
		for (unsigned j = 0; j < n; j++)
			keep_fd(k, fds[j]);
		ls[i] = (struct worker_listener){
			.conf = &conf->listeners[i],
			.tls = s->world->listener_tls[i],
			.fds = fds,
			.fds_count = n,
			.shared = listeners_is_shared(s->listeners, s->world, address),
		};
	}
	keep_fd(k, s->keeper_fd);
	keep_fd(k, s->checker_fd);
	close_others(k);

	const struct worker_setup setup = {
		.seat = s->seat,
		.segment = s->segment,
		.conf = conf,
		.listeners = ls,
		.listeners_count = conf->listeners_count,
		.driver_tls = s->world->driver_tls,
		.pepper = s->pepper,
		.keeper_fd = s->keeper_fd,
		.checker_fd = s->checker_fd,
	};
	int status = worker_run(&setup);

	for (unsigned i = 0; i < conf->listeners_count; i++)
		free((void *)(uintptr_t)ls[i].fds);
	free(ls);
	return status;
}

static void
keep_workers(const struct spawn *s, struct keep *k)
{
	for (unsigned i = 0; i < s->worker_fds_count; i++)
		keep_fd(k, s->worker_fds[i]);
}

static int
live_as_checker(const struct spawn *s, struct keep *k)
{
	const struct checker_setup setup = {
		.seat = s->seat,
		.segment = s->segment,
		.conf = s->world->conf,
		.driver_tls = s->world->driver_tls,
		.worker_fds = s->worker_fds,
		.worker_fds_count = s->worker_fds_count,
		.probe_first = s->probe_first,
	};

	keep_workers(s, k);
	close_others(k);
	return checker_run(&setup);
}

static int
live_as_keeper(const struct spawn *s, struct keep *k)
{
	const struct keeper_setup setup = {
		.seat = s->seat,
		.segment = s->segment,
		.conf = s->world->conf,
		.worker_fds = s->worker_fds,
		.worker_fds_count = s->worker_fds_count,
		.controller_fd = s->controller_fd,
	};

	keep_workers(s, k);
	keep_fd(k, s->controller_fd);
	close_others(k);
	return keeper_run(&setup);
}

/* The text goes through memory: the file may have changed since it was loaded. */
static int
write_text(const struct conf *conf)
{
	struct str rest = conf->text;
	int fd = memfd_create("sparkgw.yaml", MFD_CLOEXEC);
	ssize_t n;

	while (fd >= 0 && rest.n > 0) {
		n = write(fd, rest.p, rest.n);
		if (n < 0) {
			close(fd);
			return -1;
		}
		rest.p += n;
		rest.n -= (size_t)n;
	}
	if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	return fd;
}

static void
run_controller(const struct spawn *s, int config_fd)
{
	const struct {
		const char *option;
		long value;
	} numbers[] = {
		{"--config-fd", config_fd},
		{"--segment-fd", segment_fd(s->segment)},
		{"--leash-fd", s->seat.leash_fd},
		{"--keeper-fd", s->keeper_fd},
		{"--row", (long)s->seat.row},
		{"--slot", (long)s->seat.slot},
		{"--generation", (long)s->seat.generation},
		{"--restarts", (long)s->seat.restarts},
		{"--parent", (long)s->seat.parent},
	};
	enum { NUMBERS = sizeof(numbers) / sizeof(numbers[0]) };
	char text[NUMBERS][24];
	const char *argv[2 * NUMBERS + 4];
	unsigned n = 0;

	argv[n++] = s->controller_path;
	argv[n++] = "--config-path";
	argv[n++] = s->world->conf->path.p;
	for (unsigned i = 0; i < NUMBERS; i++) {
		snprintf(text[i], sizeof(text[i]), "%ld", numbers[i].value);
		argv[n++] = numbers[i].option;
		argv[n++] = text[i];
		if (i < 4) /* descriptors: these survive exec */
			fcntl((int)numbers[i].value, F_SETFD, 0);
	}
	argv[n] = NULL;
	execv(s->controller_path, (char *const *)(uintptr_t)argv);
}

static int
live_as_controller(const struct spawn *s, struct keep *k)
{
	int config_fd = write_text(s->world->conf);

	if (config_fd < 0) {
		log_error("controller", "cannot make a memory file: %s", strerror(errno));
		return CANNOT_WORK;
	}
	keep_fd(k, s->keeper_fd);
	keep_fd(k, config_fd);
	close_others(k);
	run_controller(s, config_fd);
	log_error("controller", "cannot run %s: %s", s->controller_path, strerror(errno));
	return CANNOT_WORK;
}

_Noreturn void
spawn_live(const struct spawn *s)
{
	struct keep k = {0};
	int status = CANNOT_WORK;

	child_reset_signals(); /* the supervisor's handlers would write into its own loop */
	open_log(s->world);
	keep_fd(&k, log_fd());
	keep_fd(&k, s->seat.leash_fd);
	keep_fd(&k, segment_fd(s->segment));
	if (s->seat.kind != PROC_WORKER)
		explicit_bzero(s->pepper, PEPPER_SIZE);
	switch (s->seat.kind) {
	case PROC_WORKER: status = live_as_worker(s, &k); break;
	case PROC_CHECKER: status = live_as_checker(s, &k); break;
	case PROC_KEEPER: status = live_as_keeper(s, &k); break;
	case PROC_CONTROLLER: status = live_as_controller(s, &k); break;
	default: ASSERT(!"a kind of child");
	}
	explicit_bzero(s->pepper, PEPPER_SIZE);
	exit(status);
}
