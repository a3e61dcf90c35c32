/*
 * sparkgwd: options, surroundings, then the supervisor.
 *
 * In: the command line, the environment. Out: folders, the lock of the run directory, an exit
 * status: 0, 1 when the configuration or the surroundings are wrong, 2 for a wrong command line.
 */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <lmdb.h>
#include <nghttp2/nghttp2.h>
#include <openssl/crypto.h>
#include <protobuf-c/protobuf-c.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>
#include "conf/secret.h"
#include "daemon/handover.h"
#include "daemon/notify.h"
#include "daemon/successor.h"
#include "daemon/supervisor.h"
#include "daemon/world.h"
#include "lib/buf.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "shm/pepper.h"

enum mode { MODE_RUN, MODE_TEST, MODE_PRINT };

struct options {
	const char *file;
	enum mode mode;
};

static const char usage[] = "usage: sparkgwd [-c FILE] [-t | -T]\n"
			    "       sparkgwd -h | -V\n"
			    "  -c FILE  the configuration (" CONFIG_FILE ")\n"
			    "  -t       check it and its certificates, then exit\n"
			    "  -T       print what is in effect, then exit\n"
			    "  -V       print the versions of sparkgwd and its libraries\n"
			    "  -h       print this\n";

static void
print_versions(void)
{
	printf("sparkgwd %s\n", SPARKGW_VERSION);
	printf("%s\n", OpenSSL_version(OPENSSL_VERSION));
	printf("nghttp2 %s\n", nghttp2_version(0)->version_str);
	printf("%s\n", mdb_version(NULL, NULL, NULL));
	printf("libyaml %s\n", yaml_get_version_string());
	printf("protobuf-c %s\n", protobuf_c_version());
	printf("jansson %s\n", jansson_version_str());
	printf("libev %d.%d\n", ev_version_major(), ev_version_minor());
}

static void
read_options(int argc, char **argv, struct options *o)
{
	static const struct option words[] = {
		{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "c:tTVh", words, NULL)) != -1) {
		switch (c) {
		case 'c': o->file = optarg; break;
		case 't': o->mode = MODE_TEST; break;
		case 'T': o->mode = MODE_PRINT; break;
		case 'V': print_versions(); exit(0);
		case 'h': fputs(usage, stdout); exit(0);
		default: fputs(usage, stderr); exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "sparkgwd: unexpected argument: %s\n%s", argv[optind], usage);
		exit(2);
	}
}

/* ---- the configuration ---- */

static void
print_errors(const struct conf *conf, const struct conf_error *e)
{
	char line[1024];

	for (; e != NULL; e = e->next) {
		conf_error_text(conf, e, line, sizeof(line));
		fputs(line, stderr);
	}
}

/* A predecessor's log has them, too. */
static void
tell_predecessor(const struct handover *h, const struct conf *conf, const struct conf_error *e)
{
	char line[1024];
	struct buf all;

	buf_init(&all, 64 * 1024);
	for (; e != NULL; e = e->next) {
		conf_error_text(conf, e, line, sizeof(line));
		line[strcspn(line, "\n")] = '\0';
		buf_printf(&all, "%s%s", all.len > 0 ? "; " : "", line);
	}
	successor_fail(h->link_fd, buf_cstr(&all));
	buf_free(&all);
}

static struct world *
load(const char *file, const struct handover *h)
{
	struct world *w = NULL;
	int err = world_load(file, NULL, h->generation + 1, &w);

	if (err == E_OK)
		return w;
	if (w == NULL || w->errors == NULL)
		fprintf(stderr, "sparkgwd: %s: %s\n", file, err_text(err));
	else {
		print_errors(w->conf, w->errors);
		tell_predecessor(h, w->conf, w->errors);
	}
	world_unref(&w);
	return NULL;
}

static int
test_file(const char *file)
{
	const struct handover nothing = {.link_fd = -1, .lock_fd = -1};
	struct world *w = load(file, &nothing);

	if (w == NULL)
		return 1;
	printf("configuration file %s is valid\n", file);
	world_unref(&w);
	return 0;
}

static int
print_file(const char *file)
{
	struct conf *conf = NULL;
	struct conf_error *errors = NULL;
	struct buf out;
	int err;

	buf_init(&out, 64u << 20);
	err = conf_load(file, &conf, &errors);
	if (err == E_OK)
		err = conf_print(conf, &out);
	if (err == E_OK)
		fwrite(out.p, 1, out.len, stdout);
	else if (errors != NULL)
		print_errors(conf, errors);
	else
		fprintf(stderr, "sparkgwd: %s: %s\n", file, err_text(err));
	conf_free(&conf);
	buf_free(&out);
	return err == E_OK ? 0 : 1;
}

/* ---- the surroundings ---- */

/* Sockets must not land on 0, 1 or 2, where anything that prints would write to them. */
static void
fill_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	for (fd = 0; fd <= STDERR_FILENO; fd++)
		fcntl(fd, F_SETFD, 0);
}

static void
raise_descriptors(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) != 0)
		return;
	lim.rlim_cur = lim.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &lim);
}

static void
make_dir(struct str dir, const char *key, mode_t mode)
{
	struct stat st;

	if (mkdir(dir.p, mode) != 0 && errno != EEXIST)
		fatal("cannot make %s %s: %s; make it, or let sparkgw.yaml name another", key,
		      dir.p, strerror(errno));
	if (stat(dir.p, &st) != 0 || !S_ISDIR(st.st_mode))
		fatal("%s %s is no directory; let sparkgw.yaml name another", key, dir.p);
	if (access(dir.p, W_OK | X_OK) != 0)
		fatal("%s %s: %s; give it to the user that runs sparkgwd", key, dir.p,
		      strerror(errno));
}

static void
refuse_second(int fd, const char *path)
{
	char pid[32] = "";
	ssize_t n = read(fd, pid, sizeof(pid) - 1);

	pid[n > 0 ? n : 0] = '\0';
	pid[strspn(pid, "0123456789")] = '\0';
	fatal("%s is locked: another sparkgwd (process %s) uses this run_dir; stop it, or give "
	      "this "
	      "one a run_dir and a state_dir of its own",
	      path, pid[0] != '\0' ? pid : "unknown");
}

/* The lock is held as long as the descriptor is open; the file is never removed, so that all lock
 * the same one. */
static int
lock_run_dir(struct str dir)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%.*s/sparkgwd.pid", STR_ARG(dir));
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		fatal("cannot open %s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno == EWOULDBLOCK)
			refuse_second(fd, path);
		fatal("cannot lock %s: %s", path, strerror(errno));
	}
	if (ftruncate(fd, 0) != 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0)
		fatal("cannot write %s: %s", path, strerror(errno));
	return fd;
}

_Noreturn static void
refuse_handover(const struct handover *h, const char *words)
{
	successor_fail(h->link_fd, words);
	fatal("%s", words);
}

/* A predecessor's lock is ours, too, as long as it is that of the same folder. */
static int
inherit_lock(const struct handover *h, const struct conf *conf)
{
	struct stat held, wanted;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.*s/sparkgwd.pid", STR_ARG(conf->run_dir));
	if (fstat(h->lock_fd, &held) != 0 || stat(path, &wanted) != 0 ||
	    held.st_ino != wanted.st_ino || held.st_dev != wanted.st_dev)
		refuse_handover(h, "run_dir cannot be changed by an upgrade: stop and start the "
				   "gateway");
	if (!str_eq(str_from(h->state_dir), conf->state_dir))
		refuse_handover(h, "state_dir cannot be changed by an upgrade: stop and start the "
				   "gateway");
	return h->lock_fd;
}

static void
unlock_run_dir(int fd)
{
	if (fd < 0) /* handed over */
		return;
	if (ftruncate(fd, 0) != 0)
		log_debug(NULL, "pid file: %s", strerror(errno));
	close(fd);
}

static void
load_pepper(struct str state_dir, uint8_t pepper[PEPPER_SIZE])
{
	char words[PATH_MAX + 256];
	bool made;

	if (pepper_make(state_dir, &made, words, sizeof(words)) != E_OK ||
	    pepper_read(state_dir, pepper, words, sizeof(words)) != E_OK)
		fatal("%s", words);
	if (made)
		log_info(NULL,
			 "made %.*s/keys/pepper, which belongs into every backup of the "
			 "store: no personal access token is known without it",
			 STR_ARG(state_dir));
}

/* Where this program lies, and where the one that replaces it will. */
static void
find_self(char *path, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", path, size - 1);

	path[n > 0 ? n : 0] = '\0';
}

/* Beside this program while it runs from a build folder, else where it was installed. */
static const char *
find_controller(char *path, size_t size)
{
	static const char program[] = "sparkgw-controller";
	char self[PATH_MAX - sizeof(program)];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash != NULL) {
		snprintf(path, size, "%.*s/%s", (int)(slash - self), self, program);
		if (access(path, X_OK) == 0)
			return path;
	}
	snprintf(path, size, "%s/%s", PKGLIBEXECDIR, program);
	if (access(path, X_OK) != 0)
		fatal("cannot run %s: %s; install sparkgw completely", path, strerror(errno));
	return path;
}

static int
run(const char *file, const struct handover *h, char *const *argv)
{
	char controller[PATH_MAX], program[PATH_MAX];
	uint8_t pepper[PEPPER_SIZE];
	struct world *w = load(file, h);
	struct supervisor_setup setup;
	const struct conf *conf;
	int status;

	if (w == NULL)
		return 1;
	conf = w->conf;
	find_self(program, sizeof(program));
	find_controller(controller, sizeof(controller));
	make_dir(conf->state_dir, "state_dir", 0750);
	make_dir(conf->run_dir, "run_dir", 0755);
	setup = (struct supervisor_setup){
		.first = w,
		.controller_path = controller,
		.program = program,
		.argv = argv,
		.pepper = pepper,
		.handover = h,
		.lock_fd = h->link_fd >= 0 ? inherit_lock(h, conf) : lock_run_dir(conf->run_dir),
	};
	if (log_open(conf->log_file.p, conf->log_level, conf->log_format) != E_OK)
		fatal("cannot open the log %s: %s", conf->log_file.p, strerror(errno));
	log_ident("process=supervisor");
	world_warn(w);
	secret_hide_memory();
	log_info(NULL, "sparkgwd %s starts with %s", SPARKGW_VERSION, conf->path.p);
	load_pepper(conf->state_dir, pepper);
	status = supervisor_run(&setup);
	explicit_bzero(pepper, sizeof(pepper));
	unlock_run_dir(setup.lock_fd);
	return status;
}

int
main(int argc, char **argv)
{
	struct options o = {.file = CONFIG_FILE};
	struct handover h;
	int status;

	fill_standard_fds();
	if (handover_take(&h) != E_OK)
		fatal("what LISTEN_FDS or SPARKGW_UPGRADE tells of makes no sense; unset both");
	read_options(argc, argv, &o);
	panic_init("supervisor");
	signal(SIGPIPE, SIG_IGN);
	raise_descriptors();
	notify_init();
	switch (o.mode) {
	case MODE_TEST: return test_file(o.file);
	case MODE_PRINT: return print_file(o.file);
	default: break;
	}
	status = run(o.file, &h, argv);
	handover_free(&h);
	return status;
}
