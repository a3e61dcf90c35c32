/*
 * sparkgw-controller: the process that talks to people. Exec'ed by the supervisor, which hands it
 * descriptors: the configuration's text, the shared segment, the leash, the channel to the keeper.
 *
 * In come HTTP requests on the control socket and on the admin address, and the keys of identity
 * providers; out go answers, questions and keys to the keeper, and the wish to reload to the
 * supervisor. It writes nothing but its own rows in the segment, numbers of predecessors there, and
 * the history in the run directory.
 *
 * A successor may be started beside this process. Both then answer on the admin address
 * (SO_REUSEPORT), and the control socket changes hands by rename(2): the new one is bound to a name
 * of its own and put in the old one's place, so that nobody meets a missing socket.
 */
#include <errno.h>
#include <getopt.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "conf/conf.h"
#include "conf/secret.h"
#include "controller/certificates.h"
#include "controller/keysets.h"
#include "controller/predecessors.h"
#include "controller/routes.h"
#include "controller/ship.h"
#include "controller/signer.h"
#include "controller/spans.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "lib/sock.h"
#include "shm/counters.h"

#define CONTROLLER_MAGIC 0x6374726cu
#define BACKLOG		 64
#define SOCKET_MODE	 0660
#define STORE_RETRY_MS	 500
#define STORE_LATE	 20 /* attempts until it is worth a line */
#define DRAIN_STEP_MS	 20
#define SPANS_LEAVE_MS	 2000
#define DRAIN_LEAST_MS	 300  /* a request may be on its way in a connection just accepted */
#define DRAIN_MOST_MS	 4500 /* longer than an answer of the keeper may take */
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
	struct predecessors predecessors;
	struct asks asks;
	struct office office;
	struct certificates *certificates;
	struct admin *tcp, *control; /* tcp: NULL without `admin` */
	char control_path[PATH_SIZE];
	struct stat control_file;
	struct loop_timer store_timer, drain_timer;
	unsigned store_attempts;
	uint64_t drain_since_ms, drain_least_ms;
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
	fatal("started by sparkgwd, not by hand: run sparkgwd -c FILE");
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
		if (c == (int)NUMBERS)
			ret->config_path = optarg;
		else if (c > (int)NUMBERS ||
			 str_u64(str_from(optarg), INT32_MAX,
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

/* The keeper makes the store at its first start, which may be after ours. */
static void
open_store(void *arg)
{
	struct controller *c = arg;
	const char *words = "";
	int err;

	CHECK_MAGIC(c, CONTROLLER_MAGIC);
	err = view_open_store(&c->view, &words);
	if (err == 0) {
		keysets_start(c->office.keysets);
		ship_start(c->office.ship);
		return;
	}
	if (++c->store_attempts == STORE_LATE)
		log_warn(NULL, "the store cannot be opened yet: %s (%s)", words, err_text(err));
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
	if (admin_open(c->child.loop, fd, ADMIN_TCP, routes_handle, &c->office, &c->tcp) != 0)
		fatal("admin.address: no HTTP server for %s: %s", text, strerror(errno));
}

static void
open_control(struct controller *c)
{
	char bound[PATH_SIZE];
	int fd, n = snprintf(c->control_path, sizeof(c->control_path), "%.*s/control.sock",
			     STR_ARG(c->conf->run_dir));

	if (n < 0 || (size_t)n + 16 > sizeof(bound))
		fatal("run_dir: the path is too long: %.*s", STR_ARG(c->conf->run_dir));
	snprintf(bound, sizeof(bound), "%.*s.%d", n, c->control_path, (int)getpid());
	if (sock_listen_unix(bound, SOCKET_MODE, BACKLOG, &fd) != 0)
		fatal("run_dir: %s cannot be made: %s", bound, strerror(errno));
	if (admin_open(c->child.loop, fd, ADMIN_CONTROL, routes_handle, &c->office, &c->control) !=
	    0) {
		unlink(bound);
		fatal("no HTTP server for %s: %s", c->control_path, strerror(errno));
	}
	if (lstat(bound, &c->control_file) != 0 || rename(bound, c->control_path) != 0) {
		unlink(bound);
		fatal("%s cannot be put in place: %s", c->control_path, strerror(errno));
	}
}

/* The socket's name leads to somebody else by now. */
static bool
has_successor(const struct controller *c)
{
	struct stat st;

	return lstat(c->control_path, &st) == 0 &&
	       (st.st_ino != c->control_file.st_ino || st.st_dev != c->control_file.st_dev);
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
	bool waits;

	CHECK_MAGIC(c, CONTROLLER_MAGIC);
	waits = spent_ms < c->drain_least_ms || count_running(c) > 0 ||
		(spans_waiting(c->office.spans) > 0 && spent_ms < SPANS_LEAVE_MS);
	if (!waits || spent_ms >= DRAIN_MOST_MS)
		loop_stop(c->child.loop);
}

/* Beside a successor: takes no more connections and gives the last ones time to ask. Without one it
 * goes as soon as nobody waits for an answer, since nobody else is there until it has gone. */
static void
drain(void *arg)
{
	struct controller *c = arg;

	CHECK_MAGIC(c, CONTROLLER_MAGIC);
	if (loop_timer_active(&c->drain_timer))
		return;
	c->drain_since_ms = loop_ms(c->child.loop);
	loop_timer_stop(&c->store_timer); /* or it would start them */
	keysets_stop(c->office.keysets);
	ship_stop(c->office.ship);
	spans_leave(c->office.spans);
	if (has_successor(c)) {
		history_stop(c->office.history); /* the successor goes on with it */
		routes_replaced(&c->office);
		c->drain_least_ms = DRAIN_LEAST_MS;
		admin_quiesce(c->control);
		if (c->tcp != NULL)
			admin_quiesce(c->tcp);
	}
	loop_timer_start(c->child.loop, &c->drain_timer, DRAIN_STEP_MS, DRAIN_STEP_MS, drain_step,
			 c);
}

static void
pass_reloaded(void *arg, const struct leash_reloaded *answer)
{
	struct controller *c = arg;

	CHECK_MAGIC(c, CONTROLLER_MAGIC);
	routes_reloaded(&c->office, answer);
}

static void
list_providers(void *arg, json_t *list)
{
	const struct office *o = arg;

	keysets_show(o->keysets, list);
	signer_show(o->signer, list);
}

static void
list_certificates(void *arg, json_t *list)
{
	const struct office *o = arg;

	certificates_show(o->certificates, list);
}

static void
look_back(void *arg)
{
	predecessors_look(arg);
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
	struct counters_slot *counters;

	c->conf = load_conf(o);
	if (log_open(c->conf->log_file.p, c->conf->log_level, c->conf->log_format) != 0)
		fatal("log.file: %s cannot be opened: %s", c->conf->log_file.p, strerror(errno));
	if (o->row >= SEGMENT_PROCS || segment_attach_fd((int)o->segment_fd, &segment) != 0)
		fatal("the shared segment cannot be attached");
	child_enter(&c->child, &seat, segment);
	counters = &segment_counters(segment)[o->row];
	c->child.drain = drain;
	c->child.reloaded = pass_reloaded;
	c->child.arg = c;
	asks_init(&c->asks, c->child.loop, (int)o->keeper_fd);
	c->view.segment = segment;
	predecessors_open(&c->predecessors, c->child.loop, segment, c->conf->run_dir.p);
	c->view.look_back = look_back;
	c->view.look_back_arg = &c->predecessors;
	c->view.state_dir = c->conf->state_dir.p;
	c->view.generation = (unsigned)o->generation;
	c->certificates = certificates_read(c->conf);
	c->office =
		(struct office){.conf = c->conf,
				.view = &c->view,
				.asks = &c->asks,
				.child = &c->child,
				.keysets = keysets_new(c->conf, c->child.loop, &c->asks, &c->view),
				.signer = signer_new(c->conf, &c->asks, &c->view),
				.certificates = c->certificates,
				.ship = ship_new(c->conf, c->child.loop, &c->asks, counters),
				.spans = spans_new(c->conf, c->child.loop, segment, counters)};
	if (c->office.keysets == NULL || c->office.signer == NULL || c->certificates == NULL ||
	    c->office.ship == NULL || c->office.spans == NULL ||
	    history_new(&c->view, c->conf->run_dir.p, &c->office.history) != 0)
		fatal("out of memory");
	c->office.overview = (struct overview){.view = &c->view,
					       .history = c->office.history,
					       .audited = c->conf->audit.enabled,
					       .providers = list_providers,
					       .certificates = list_certificates,
					       .arg = &c->office};
}

static void
finish(struct controller *c)
{
	routes_close(&c->office);
	keysets_stop(c->office.keysets);
	ship_stop(c->office.ship);
	asks_close(&c->asks);
	keysets_free(&c->office.keysets);
	signer_free(&c->office.signer);
	overview_close(&c->office.overview);
	history_free(&c->office.history);
	certificates_free(&c->certificates);
	ship_free(&c->office.ship);
	spans_free(&c->office.spans);
	loop_timer_stop(&c->store_timer);
	loop_timer_stop(&c->drain_timer);
	admin_close(&c->tcp);
	admin_close(&c->control);
	view_close(&c->view);
	predecessors_close(&c->predecessors);
	child_leave(&c->child);
	conf_free(&c->conf);
}

int
main(int argc, char **argv)
{
	static struct controller c = {.magic = CONTROLLER_MAGIC};
	struct options o = {0};

	panic_init("controller");
	secret_hide_memory();
	opterr = 0;
	read_options(argc, argv, &o);
	start(&c, &o);
	open_store(&c);
	open_tcp(&c);
	open_control(&c);
	history_start(c.office.history, c.child.loop);
	child_ready(&c.child);
	loop_run(c.child.loop);
	finish(&c);
	return 0;
}
