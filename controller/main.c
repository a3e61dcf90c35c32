/*
 * sparkgw-controller: the process that talks to people. Exec'ed by the supervisor, which hands it
 * descriptors: the configuration's text, the shared segment, the leash, the channel to the keeper.
 *
 * In come HTTP requests on the control socket and on the admin address; out go answers, questions
 * to the keeper, and the wish to reload to the supervisor. It writes nothing but its process row.
 *
 * During a reload two controllers live side by side. Both may answer on the admin address
 * (SO_REUSEPORT). The control socket changes hands at GO: until then the new one is bound to a name
 * of its own, which rename(2) then puts in the old one's place, so that no connection meets a
 * missing socket and a reload that fails leaves the old one where it was.
 */
#include <errno.h>
#include <getopt.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "conf/conf.h"
#include "controller/routes.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "lib/sock.h"

#define CONTROLLER_MAGIC 0x6374726cu
#define BACKLOG		 64
#define SOCKET_MODE	 0660
#define STORE_RETRY_MS	 500
#define STORE_LATE	 20 /* attempts until it is worth a line */
#define DRAIN_STEP_MS	 100
#define DRAIN_LEAST_MS	 300 /* a request may be on its way in a connection just accepted */
#define DRAIN_MOST_MS	 5000
#define PATH_SIZE	 256

struct options {
	const char *config_path;
	uint64_t config_fd, segment_fd, leash_fd, keeper_fd;
	uint64_t row, slot, generation, restarts, parent;
};

struct controller {
	unsigned magic;
	struct conf *conf;
	struct child child;
	struct view view;
	struct asks asks;
	int keeper_fd;
	struct routes routes;
	struct admin *tcp, *control; /* tcp: NULL without `admin` */
	char bound_path[PATH_SIZE], control_path[PATH_SIZE];
	struct loop_timer store_timer, drain_timer;
	unsigned store_attempts;
	uint64_t drain_since_ms;
	int status; /* of the exit */
};

static const struct {
	const char *name;
	size_t offset;
} numbers[] = {
	{"config-fd", offsetof(struct options, config_fd)},
	{"segment-fd", offsetof(struct options, segment_fd)},
	{"leash-fd", offsetof(struct options, leash_fd)},
	{"keeper-fd", offsetof(struct options, keeper_fd)},
	{"row", offsetof(struct options, row)},
	{"slot", offsetof(struct options, slot)},
	{"generation", offsetof(struct options, generation)},
	{"restarts", offsetof(struct options, restarts)},
	{"parent", offsetof(struct options, parent)},
};
#define NUMBERS (sizeof(numbers) / sizeof(*numbers))

_Noreturn static void
refuse_usage(void)
{
	fatal("sparkgw-controller is started by sparkgwd, not by hand: start sparkgwd -c FILE");
}

/* All options are required. */
static void
read_options(int argc, char **argv, struct options *ret)
{
	struct option known[NUMBERS + 2] = {{"config-path", required_argument, NULL, NUMBERS}};
	unsigned seen = 0;
	int c;

	for (size_t i = 0; i < NUMBERS; i++)
		known[i + 1] = (struct option){numbers[i].name, required_argument, NULL, (int)i};
	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c < 0 || c > (int)NUMBERS)
			refuse_usage();
		if (c == (int)NUMBERS)
			ret->config_path = optarg;
		else if (str_u64(str_from(optarg), INT32_MAX,
				 (uint64_t *)(void *)((char *)ret + numbers[c].offset)) != 0)
			refuse_usage();
		seen |= 1u << c;
	}
	if (optind != argc || seen != (1u << (NUMBERS + 1)) - 1)
		refuse_usage();
}

static struct conf *
load_conf(const struct options *o)
{
	int fd = (int)o->config_fd;
	struct conf *conf = NULL;
	struct conf_error *errors = NULL;
	struct stat st;
	char *text, words[512] = "out of memory";

	if (fstat(fd, &st) != 0)
		fatal("descriptor %d holds no configuration: %s", fd, strerror(errno));
	text = st.st_size > 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
			      : NULL;
	if (text == MAP_FAILED)
		fatal("the configuration cannot be mapped: %s", strerror(errno));
	if (conf_load_text(o->config_path, (struct str){text, (size_t)st.st_size}, &conf,
			   &errors) != 0) {
		if (errors != NULL)
			conf_error_text(conf, errors, words, sizeof(words));
		fatal("the configuration does not load any more: %s", words);
	}
	if (text != NULL)
		munmap(text, (size_t)st.st_size);
	close(fd);
	return conf;
}

/* When the gateway started, by the wall clock: the kernel knows when the supervisor did (proc(5),
 * field 22 of stat). */
static uint64_t
read_start(pid_t pid)
{
	char path[64], stat[1024];
	struct str rest;
	const char *end;
	uint64_t ticks = 0, hertz = (uint64_t)sysconf(_SC_CLK_TCK), now_ms;
	struct timespec boot;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	n = f != NULL ? fread(stat, 1, sizeof(stat) - 1, f) : 0;
	if (f != NULL)
		fclose(f);
	stat[n] = '\0';
	end = strrchr(stat, ')');
	if (end == NULL || clock_gettime(CLOCK_BOOTTIME, &boot) != 0)
		return clock_wall_ms();
	rest = str_from(end + 1);
	for (unsigned field = 2; field < 22; field++)
		str_cut(rest, ' ', &rest);
	if (str_u64(str_cut(rest, ' ', &rest), UINT64_MAX / 1000, &ticks) != 0)
		return clock_wall_ms();
	now_ms = (uint64_t)boot.tv_sec * 1000 + (uint64_t)boot.tv_nsec / 1000000;
	return clock_wall_ms() - (now_ms - ticks * 1000 / hertz);
}

/* The keeper makes the store at its first start, which may be after ours. */
static void
open_store(void *arg)
{
	struct controller *c = arg;
	const char *words = "";
	int err;

	CHECK_MAGIC(c, CONTROLLER_MAGIC);
	err = view_open_store(&c->view, &words);
	if (err == 0)
		return;
	if (++c->store_attempts == STORE_LATE)
		log_warn(NULL, "the store in %s cannot be opened yet: %s: %s", c->view.state_dir,
			 err_text(err), words);
	loop_timer_start(c->child.loop, &c->store_timer, STORE_RETRY_MS, 0, open_store, c);
}

static void
open_tcp(struct controller *c)
{
	char text[SOCK_ADDR_TEXT];
	int fd;

	if (!c->conf->has_admin)
		return;
	sock_addr_text(&c->conf->admin, text, sizeof(text));
	if (sock_listen(&c->conf->admin, true, BACKLOG, &fd) != 0)
		fatal("admin.address: %s cannot be listened on: %s", text, strerror(errno));
	if (admin_open(c->child.loop, fd, ADMIN_TCP, routes_handle, &c->routes, &c->tcp) != 0)
		fatal("admin.address: no HTTP server for %s: %s", text, strerror(errno));
}

static void
open_control(struct controller *c)
{
	int fd, n = snprintf(c->control_path, sizeof(c->control_path), "%.*s/control.sock",
			     STR_ARG(c->conf->run_dir));

	if (n < 0 || (size_t)n + 16 > sizeof(c->bound_path))
		fatal("run_dir: the path is too long: %.*s", STR_ARG(c->conf->run_dir));
	snprintf(c->bound_path, sizeof(c->bound_path), "%.*s.%d", n, c->control_path,
		 (int)getpid());
	if (sock_listen_unix(c->bound_path, SOCKET_MODE, BACKLOG, &fd) != 0)
		fatal("run_dir: %s cannot be made: %s", c->bound_path, strerror(errno));
	if (admin_open(c->child.loop, fd, ADMIN_CONTROL, routes_handle, &c->routes, &c->control) !=
	    0) {
		unlink(c->bound_path);
		fatal("no HTTP server for %s: %s", c->control_path, strerror(errno));
	}
}

static void
take_over(void *arg)
{
	struct controller *c = arg;

	CHECK_MAGIC(c, CONTROLLER_MAGIC);
	if (c->bound_path[0] == '\0')
		return; /* told twice */
	if (rename(c->bound_path, c->control_path) != 0) {
		log_error(NULL, "%s cannot be taken over: %s", c->control_path, strerror(errno));
		c->status = 1;
		loop_stop(c->child.loop);
		return;
	}
	c->bound_path[0] = '\0';
	asks_init(&c->asks, c->child.loop, c->keeper_fd);
	c->routes.asks = &c->asks;
	log_info(NULL, "serving %s", c->control_path);
}

static unsigned
count_running(const struct controller *c)
{
	return admin_running(c->control) + (c->tcp != NULL ? admin_running(c->tcp) : 0);
}

static void
drain_step(void *arg)
{
	struct controller *c = arg;
	uint64_t spent_ms = loop_ms(c->child.loop) - c->drain_since_ms;

	CHECK_MAGIC(c, CONTROLLER_MAGIC);
	if ((spent_ms >= DRAIN_LEAST_MS && count_running(c) == 0) || spent_ms >= DRAIN_MOST_MS)
		loop_stop(c->child.loop);
}

static void
drain(void *arg)
{
	struct controller *c = arg;

	CHECK_MAGIC(c, CONTROLLER_MAGIC);
	if (loop_timer_active(&c->drain_timer))
		return;
	child_draining(&c->child);
	c->drain_since_ms = loop_ms(c->child.loop);
	admin_quiesce(c->control);
	if (c->tcp != NULL)
		admin_quiesce(c->tcp);
	loop_timer_start(c->child.loop, &c->drain_timer, DRAIN_STEP_MS, DRAIN_STEP_MS, drain_step,
			 c);
}

static void
pass_reloaded(void *arg, const struct leash_reloaded *answer)
{
	struct controller *c = arg;

	CHECK_MAGIC(c, CONTROLLER_MAGIC);
	routes_reloaded(&c->routes, answer);
}

static void
start(struct controller *c, const struct options *o)
{
	struct child_seat seat = {
		.kind = PROC_CONTROLLER,
		.slot = (unsigned)o->slot,
		.generation = (unsigned)o->generation,
		.restarts = (unsigned)o->restarts,
		.row = (unsigned)o->row,
		.leash_fd = (int)o->leash_fd,
		.parent = (pid_t)o->parent,
	};
	struct segment *segment;

	c->conf = load_conf(o);
	if (log_open(c->conf->log_file.p, c->conf->log_level, c->conf->log_format) != 0)
		fatal("log.file: %s cannot be opened: %s", c->conf->log_file.p, strerror(errno));
	if (o->row >= SEGMENT_PROCS || segment_attach_fd((int)o->segment_fd, &segment) != 0)
		fatal("the shared segment cannot be attached");
	child_enter(&c->child, &seat, segment);
	c->child.go = take_over;
	c->child.drain = drain;
	c->child.reloaded = pass_reloaded;
	c->child.arg = c;
	c->keeper_fd = (int)o->keeper_fd;
	c->view.segment = segment;
	c->view.state_dir = c->conf->state_dir.p;
	c->view.generation = (unsigned)o->generation;
	c->view.started_ms = read_start((pid_t)o->parent);
	c->routes.view = &c->view;
	c->routes.child = &c->child;
}

static void
finish(struct controller *c)
{
	routes_close(&c->routes);
	if (c->routes.asks != NULL)
		asks_close(&c->asks);
	loop_timer_stop(&c->store_timer);
	loop_timer_stop(&c->drain_timer);
	admin_close(&c->tcp);
	admin_close(&c->control);
	if (c->bound_path[0] != '\0')
		unlink(c->bound_path);
	view_close(&c->view);
	child_leave(&c->child);
	conf_free(&c->conf);
}

int
main(int argc, char **argv)
{
	static struct controller c = {.magic = CONTROLLER_MAGIC};
	struct options o = {0};

	panic_init("controller");
	opterr = 0;
	read_options(argc, argv, &o);
	start(&c, &o);
	open_store(&c);
	open_tcp(&c);
	open_control(&c);
	child_ready(&c.child);
	loop_run(c.child.loop);
	finish(&c);
	return c.status;
}
