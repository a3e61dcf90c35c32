/*
 * sparkgwctl audit verify and audit tail.
 */
#include "ctl/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ctl/audit_files.h"
#include "ctl/audit_show.h"
#include "ctl/audit_verify.h"
#include "ctl/where.h"

#define STATE_DIR  "/var/lib/sparkgw"
#define DIR_MAX	   (PATH_MAX - 64)
#define LINES	   10
#define LINES_MAX  1000000
#define POLL_US	   200000
#define BLOCK	   4096
#define OUTPUT_MAX ((size_t)64 << 20)

static bool
find_state_dir(const struct wish *w, char *ret, size_t size)
{
	const char *problem = NULL;

	if (w->state_dir != NULL)
		str_copy(ret, size, str_from(w->state_dir));
	else if (w->config_path == NULL)
		str_copy(ret, size, STR(STATE_DIR));
	else if (!where_find(w->config_path, "state_dir", STATE_DIR, ret, size, &problem))
		fprintf(stderr, "sparkgwctl: %s: %s\n", w->config_path, problem);
	return problem == NULL;
}

static enum ask_result
list(const char *state_dir, struct audit_files *ret)
{
	int err = audit_files_list(state_dir, ret);

	if (err == 0 && ret->count > 0)
		return ASK_DONE;
	fprintf(stderr, "sparkgwctl: %s/" CHAIN_FOLDER ": %s\n", state_dir,
		err == E_IO ? strerror(errno)
		: err != 0  ? err_text(err)
			    : "no audit files");
	return ASK_REFUSED;
}

/* ---- verify ---- */

static bool
read_key(const char *state_dir, uint8_t ret[CHAIN_KEY])
{
	char path[PATH_MAX];
	ssize_t n = -1;
	int fd;

	if (snprintf(path, sizeof(path), "%s/keys/" CHAIN_KEY_NAME, state_dir) >= (int)sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0) {
		n = read(fd, ret, CHAIN_KEY);
		close(fd);
	}
	if (n == CHAIN_KEY)
		return true;
	fprintf(stderr, "sparkgwctl: %s: %s: the seals cannot be checked\n", path,
		n < 0 ? strerror(errno) : "not a key");
	return false;
}

static void
print_verdict(const char *path, const struct audit_verdict *v)
{
	printf("%s: ", path);
	if (v->words[0] == '\0')
		printf("%llu records, %llu to %llu, %s\n", (unsigned long long)v->records,
		       (unsigned long long)v->first_seq, (unsigned long long)v->last_seq,
		       v->seal_fits ? "sealed"
		       : v->sealed  ? "sealed, seal not checked"
				    : "not sealed yet");
	else if (v->line == 0)
		printf("%s\n", v->words);
	else if (v->seq == 0)
		printf("line %llu: %s\n", (unsigned long long)v->line, v->words);
	else
		printf("line %llu: record %llu: %s\n", (unsigned long long)v->line,
		       (unsigned long long)v->seq, v->words);
}

/* All files are looked at, whatever the first ones are like. */
static enum ask_result
verify(const char *const *paths, unsigned count, const uint8_t *key)
{
	enum ask_result result = key != NULL ? ASK_DONE : ASK_REFUSED;
	struct audit_verdict v[2];

	for (unsigned i = 0; i < count; i++) {
		struct audit_verdict *this = &v[i % 2];
		int err = audit_verify_file(paths[i], key, audit_files_is_live(paths[i]), this);

		if (err != 0)
			snprintf(this->words, sizeof(this->words), "%s",
				 err == E_IO ? strerror(errno) : err_text(err));
		audit_verify_name(paths[i], this);
		if (i > 0)
			audit_verify_order(&v[(i - 1) % 2], this);
		print_verdict(paths[i], this);
		if (this->words[0] != '\0')
			result = ASK_REFUSED;
	}
	return result;
}

static enum ask_result
verify_all(const char *state_dir, const uint8_t *key)
{
	struct audit_files files;
	enum ask_result result = list(state_dir, &files);
	const char **paths;

	if (result != ASK_DONE)
		return result;
	paths = calloc(files.count, sizeof(*paths));
	for (unsigned i = 0; paths != NULL && i < files.count; i++)
		paths[i] = files.paths[i];
	result = paths != NULL ? verify(paths, files.count, key) : ASK_REFUSED;
	free(paths);
	audit_files_free(&files);
	return result;
}

enum ask_result
audit_verify(const struct wish *w)
{
	char state_dir[DIR_MAX];
	uint8_t bytes[CHAIN_KEY], *key;
	enum ask_result result;

	if (!find_state_dir(w, state_dir, sizeof(state_dir)))
		return ASK_REFUSED;
	key = read_key(state_dir, bytes) ? bytes : NULL;
	if (w->names_count > 0)
		result = verify((const char *const *)w->names, (unsigned)w->names_count, key);
	else
		result = verify_all(state_dir, key);
	explicit_bzero(bytes, sizeof(bytes));
	return result;
}

/* ---- tail ---- */

struct tail {
	const struct wish *wish;
	const char *state_dir;
	FILE *file;
	char *line;
	size_t line_size;
	uint64_t last_seq; /* of what was read */
	bool sealed;	   /* the file ends here */
	struct buf out;
};

static void
print(struct tail *t, struct str line)
{
	struct chain_line parsed;

	if (chain_parse(line, &parsed) == 0) {
		t->last_seq = parsed.seq;
		t->sealed |= parsed.is_seal;
	}
	buf_clear(&t->out);
	if (t->wish->json)
		buf_add_str(&t->out, line);
	else
		audit_show(&t->out, line);
	if (t->out.len > 0)
		fwrite(t->out.p, 1, t->out.len, stdout);
}

/* Half a line is read again when the rest of it has come. */
static void
print_rest(struct tail *t)
{
	ssize_t n;

	clearerr(t->file);
	while ((n = getline(&t->line, &t->line_size, t->file)) > 0) {
		if (t->line[n - 1] != '\n') {
			fseeko(t->file, -n, SEEK_CUR);
			break;
		}
		print(t, (struct str){t->line, (size_t)n});
	}
	fflush(stdout);
}

/* Where the line of the byte before `at` begins. */
static off_t
line_start(int fd, off_t at)
{
	char block[BLOCK];

	while (at > 0) {
		size_t n = at < BLOCK ? (size_t)at : BLOCK;
		const char *newline;

		if (pread(fd, block, n, at - (off_t)n) != (ssize_t)n)
			return 0;
		newline = memrchr(block, '\n', n);
		if (newline != NULL)
			return at - (off_t)n + (newline - block) + 1;
		at -= (off_t)n;
	}
	return 0;
}

static bool
is_seal(struct tail *t, off_t at)
{
	struct chain_line parsed;
	ssize_t n;

	fseeko(t->file, at, SEEK_SET);
	n = getline(&t->line, &t->line_size, t->file);
	return n > 0 && chain_parse((struct str){t->line, (size_t)n}, &parsed) == 0 &&
	       parsed.is_seal;
}

/* To before its last records, or to its start; returns how many follow. The seal is no record. */
static uint64_t
back_up(struct tail *t, uint64_t records)
{
	struct stat st;
	int fd = fileno(t->file);
	off_t at = fstat(fd, &st) == 0 ? line_start(fd, st.st_size) : 0, last;
	uint64_t have = 0;

	last = at > 0 ? line_start(fd, at - 1) : 0;
	if (at > 0 && is_seal(t, last))
		at = last;
	for (; at > 0 && have < records; have++)
		at = line_start(fd, at - 1);
	fseeko(t->file, at, SEEK_SET);
	return have;
}

static bool
is_behind(const struct tail *t, const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	uint64_t seq;

	return audit_files_is_live(name) || (chain_file_seq(name, &seq) == 0 && seq > t->last_seq);
}

/* NULL: it is the one that has been read; its name may not be its last yet. */
static FILE *
open_other(const struct tail *t, const char *path)
{
	FILE *f = fopen(path, "re");
	struct stat old, new;

	if (f == NULL)
		return NULL;
	if (fstat(fileno(t->file), &old) == 0 && fstat(fileno(f), &new) == 0 &&
	    (old.st_ino != new.st_ino || old.st_dev != new.st_dev))
		return f;
	fclose(f);
	return NULL;
}

/* What has the name under which it stays ends somewhere, even if somebody cut its seal off. */
static void
enter(struct tail *t, FILE *f, const char *path)
{
	uint64_t first_seq;

	if (t->file != NULL)
		fclose(t->file);
	t->file = f;
	t->sealed = chain_file_seq(strrchr(path, '/') + 1, &first_seq) == 0;
	if (t->sealed)
		t->last_seq = first_seq;
}

/* The file that begins behind what was read; else the one that is written. */
static bool
open_next(struct tail *t)
{
	struct audit_files files;
	FILE *f = NULL;

	if (audit_files_list(t->state_dir, &files) != 0)
		return false;
	for (unsigned i = 0; f == NULL && i < files.count; i++) {
		if (is_behind(t, files.paths[i]))
			f = open_other(t, files.paths[i]);
		if (f != NULL)
			enter(t, f, files.paths[i]);
	}
	audit_files_free(&files);
	return f != NULL;
}

static void
follow(struct tail *t)
{
	while (!ferror(stdout)) {
		if (!t->sealed || !open_next(t))
			usleep(POLL_US);
		print_rest(t);
	}
}

static bool
open_file(struct tail *t, const char *path)
{
	FILE *f = fopen(path, "re");

	if (f == NULL) {
		fprintf(stderr, "sparkgwctl: %s: %s\n", path, strerror(errno));
		return false;
	}
	enter(t, f, path);
	return true;
}

/* In as many files as it takes, from the newest on back. */
static bool
start(struct tail *t, uint64_t records)
{
	struct audit_files files;
	uint64_t have = 0;

	if (list(t->state_dir, &files) != ASK_DONE)
		return false;
	for (unsigned i = files.count; i > 0 && (have < records || t->file == NULL); i--) {
		if (!open_file(t, files.paths[i - 1]))
			break;
		have += back_up(t, records - have);
	}
	audit_files_free(&files);
	return t->file != NULL;
}

enum ask_result
audit_tail(const struct wish *w)
{
	struct tail t = {.wish = w};
	char state_dir[DIR_MAX];
	uint64_t records = LINES;

	if (w->lines != NULL && str_u64(str_from(w->lines), LINES_MAX, &records) != 0)
		return ask_usage("--lines: a number is expected");
	if (!find_state_dir(w, state_dir, sizeof(state_dir)))
		return ASK_REFUSED;
	t.state_dir = state_dir;
	if (!start(&t, records))
		return ASK_REFUSED;
	buf_init(&t.out, OUTPUT_MAX);
	do
		print_rest(&t);
	while (t.sealed && open_next(&t));
	if (w->follow)
		follow(&t);
	fclose(t.file);
	free(t.line);
	buf_free(&t.out);
	return ASK_DONE;
}
