/*
 * The log: one event becomes one line and one write(2). Every process; the stream is opened by the
 * supervisor and inherited, so that the lines of all of them meet in one place (O_APPEND keeps them
 * whole).
 *
 * Nothing here waits. A file is opened with O_NONBLOCK; standard error belongs to others too, so
 * its flags stay as they are and the descriptor is asked before each write instead.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "lib/str.h"

#define LINE_SIZE   2048
#define LINE_END    3		    /* room kept for a quote, a brace, the newline */
#define CONTEXT_END (LINE_SIZE / 2) /* identity and context leave the rest to the message */
#define IDENT_SIZE  64

enum stream { STREAM_FILE, STREAM_SOCKET, STREAM_SHARED };

static struct {
	int fd;
	enum stream stream;
	enum log_level level;
	enum log_format format;
	char *path; /* NULL: standard error */
	char ident[IDENT_SIZE];
	uint64_t lost;
} self = {.fd = STDERR_FILENO, .stream = STREAM_SHARED, .level = LOG_LEVEL_INFO};

struct line {
	size_t n;
	size_t end; /* nothing is put at or after this offset */
	char p[LINE_SIZE];
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static int
open_file(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
}

static enum stream
kind_of_stderr(void)
{
	struct stat st;

	return fstat(STDERR_FILENO, &st) == 0 && S_ISSOCK(st.st_mode) ? STREAM_SOCKET
								      : STREAM_SHARED;
}

int
log_open(const char *path, enum log_level level, enum log_format format)
{
	bool to_stderr = path == NULL || strcmp(path, "stderr") == 0;
	char *copy = to_stderr ? NULL : strdup(path);
	int fd = STDERR_FILENO;

	if (!to_stderr) {
		if (copy == NULL)
			return E_NOMEM;
		fd = open_file(path);
		if (fd < 0) {
			free(copy);
			return E_IO;
		}
	}
	if (self.path != NULL)
		close(self.fd);
	free(self.path);
	self.path = copy;
	self.fd = fd;
	self.stream = to_stderr ? kind_of_stderr() : STREAM_FILE;
	self.level = level;
	self.format = format;
	return 0;
}

/* The number stays: others may have been told it. */
int
log_adopt(int fd)
{
	return self.path == NULL || dup3(fd, self.fd, O_CLOEXEC) >= 0 ? 0 : E_IO;
}

bool
log_is_file(void)
{
	return self.path != NULL;
}

int
log_reopen(void)
{
	int fd, err, saved;

	if (self.path == NULL)
		return 0;
	fd = open_file(self.path);
	if (fd < 0)
		return E_IO;
	err = log_adopt(fd);
	saved = errno;
	close(fd);
	errno = saved;
	return err;
}

void
log_ident(const char *ident)
{
	str_copy(self.ident, sizeof(self.ident), str_from(ident));
}

bool
log_wants(enum log_level level)
{
	return level >= self.level;
}

uint64_t
log_lost(void)
{
	return self.lost;
}

int
log_fd(void)
{
	return self.fd;
}

/* All of the piece or nothing, so that neither a character nor an escape is ever halved. */
static bool
put(struct line *l, const char *p, size_t n)
{
	if (l->n + n > l->end)
		return false;
	memcpy(l->p + l->n, p, n);
	l->n += n;
	return true;
}

static bool
put_z(struct line *l, const char *z)
{
	return put(l, z, strlen(z));
}

static const char *
escape(unsigned char c, char buf[8])
{
	if (c == '\n' || c == '\t' || c == '\r')
		snprintf(buf, 8, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
	else if (self.format == LOG_FORMAT_TEXT)
		snprintf(buf, 8, "\\x%02x", (unsigned)c);
	else if (c < 0x80)
		snprintf(buf, 8, "\\u%04x", (unsigned)c);
	else
		snprintf(buf, 8, "\\ufffd"); /* a byte that is no character has no place in JSON */
	return buf;
}

static void
put_escaped(struct line *l, struct str s)
{
	char buf[8];

	while (s.n > 0) {
		size_t n = str_shown_char(s);
		bool quoted = self.format == LOG_FORMAT_JSON && (*s.p == '"' || *s.p == '\\');
		bool fits;

		if (n == 0)
			fits = put_z(l, escape((unsigned char)*s.p, buf));
		else if (quoted)
			fits = put(l, (char[]){'\\', *s.p}, 2);
		else
			fits = put(l, s.p, n);
		if (!fits)
			return;
		s.p += n > 0 ? n : 1;
		s.n -= n > 0 ? n : 1;
	}
}

/* ,"key":"value" or, when bare, ,"key":value (a number is never cut: all or nothing) */
static void
put_field(struct line *l, struct str key, struct str value, bool bare)
{
	size_t before = l->n;
	bool ok = put_z(l, ",\"");

	put_escaped(l, key);
	ok = ok && put_z(l, bare ? "\":" : "\":\"");
	if (bare)
		ok = ok && put(l, value.p, value.n);
	if (!ok) {
		l->n = before;
		return;
	}
	if (bare)
		return;
	put_escaped(l, value);
	l->p[l->n++] = '"'; /* LINE_END keeps room for it */
}

static bool
is_number(struct str s)
{
	if (s.n == 0 || s.n > 15 || (s.n > 1 && s.p[0] == '0'))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return true;
}

/* Where the value at the front ends: at the last blank before the next '=', else with the text. */
static size_t
value_end(struct str s)
{
	struct str rest, value = str_cut(s, '=', &rest);
	const char *blank = rest.p != NULL ? memrchr(value.p, ' ', value.n) : NULL;

	return blank != NULL ? (size_t)(blank - s.p) : s.n;
}

/* "a=1 b=two words c=3": what has no '=' belongs to the value before it. */
static void
put_pairs(struct line *l, struct str s, bool numbers)
{
	while (s.n > 0) {
		struct str value, key = str_cut(s, '=', &value);
		size_t n;

		if (value.p == NULL) {
			put_field(l, numbers ? STR("ident") : STR("context"), s, false);
			return;
		}
		n = value_end(value);
		s = n < value.n ? (struct str){value.p + n + 1, value.n - n - 1} : STR_NONE;
		value.n = n;
		put_field(l, key, value, numbers && is_number(value));
	}
}

static void
put_json(struct line *l, const char *stamp, enum log_level level, const char *ctx, struct str words)
{
	put_z(l, "{\"time\":\"");
	put_z(l, stamp);
	put_z(l, "\"");
	put_field(l, STR("level"), str_from(level_names[level]), false);
	put_pairs(l, str_from(self.ident), true);
	put_pairs(l, str_from(ctx), false);
	l->end = LINE_SIZE - LINE_END;
	put_field(l, STR("message"), words, false);
	l->p[l->n++] = '}';
}

static void
put_text(struct line *l, const char *stamp, enum log_level level, const char *ctx, struct str words)
{
	put_z(l, stamp);
	put_z(l, " ");
	put_z(l, level_names[level]);
	if (self.ident[0] != '\0') {
		put_z(l, " ");
		put_escaped(l, str_from(self.ident));
	}
	if (ctx != NULL && ctx[0] != '\0') {
		put_z(l, " ");
		put_escaped(l, str_from(ctx));
	}
	l->end = LINE_SIZE - LINE_END;
	put_z(l, " ");
	put_escaped(l, words);
}

static bool
would_block(void)
{
	struct pollfd p = {.fd = self.fd, .events = POLLOUT};

	return poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0;
}

static void
send_out(const struct line *l)
{
	ssize_t n = -1;

	if (self.stream == STREAM_SOCKET)
		n = send(self.fd, l->p, l->n, MSG_DONTWAIT | MSG_NOSIGNAL);
	else if (self.stream == STREAM_FILE || !would_block())
		n = write(self.fd, l->p, l->n);
	if (n != (ssize_t)l->n)
		self.lost++;
}

void
log_write(enum log_level level, const char *ctx, const char *fmt, ...)
{
	struct line l = {.end = CONTEXT_END};
	int saved = errno;
	char words[LINE_SIZE], stamp[32];
	va_list ap;

	ASSERT(level >= LOG_LEVEL_DEBUG && level <= LOG_LEVEL_ERROR);
	if (!log_wants(level))
		return;
	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	clock_stamp(clock_wall_ms(), stamp, sizeof(stamp));
	if (self.format == LOG_FORMAT_JSON)
		put_json(&l, stamp, level, ctx, str_from(words));
	else
		put_text(&l, stamp, level, ctx, str_from(words));
	l.p[l.n++] = '\n';
	send_out(&l);
	errno = saved;
}
