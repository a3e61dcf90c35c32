/*
 * Reads, checks and takes apart the files of secrets. What is read passes through one buffer on the
 * stack, which is cleansed; only the tokens themselves stay, and secret_wipe() finds all of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "conf/secret.h"

#define USER_MAX 255

static int
check_file(int fd, bool secret, size_t max, char *words, size_t words_size)
{
	struct stat st;

	if (fstat(fd, &st) != 0) {
		snprintf(words, words_size, "%s", strerror(errno));
		return E_IO;
	}
	if (!S_ISREG(st.st_mode)) {
		snprintf(words, words_size, "not a regular file");
		return E_DENIED;
	}
	if (secret && (st.st_mode & S_IRWXO) != 0) {
		snprintf(words, words_size, "open to others (mode %04o); do chmod o= on it",
			 (unsigned)st.st_mode & 07777);
		return E_DENIED;
	}
	if (st.st_size > (off_t)max) {
		snprintf(words, words_size, "larger than %zu KiB", max / 1024);
		return E_LIMIT;
	}
	return 0;
}

static int
read_file(const char *path, bool secret, char *buf, size_t size, size_t *ret_n, char *words,
	  size_t words_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t n = 0;
	ssize_t got = 1;
	int err;

	if (fd < 0) {
		snprintf(words, words_size, "%s", strerror(errno));
		return E_IO;
	}
	err = check_file(fd, secret, size, words, words_size);
	while (err == 0 && n < size && got > 0) {
		got = read(fd, buf + n, size - n);
		if (got > 0)
			n += (size_t)got;
		else if (got < 0 && errno == EINTR)
			got = 1;
	}
	if (got < 0) {
		snprintf(words, words_size, "%s", strerror(errno));
		err = E_IO;
	}
	close(fd);
	if (err == 0)
		*ret_n = n;
	return err;
}

static int
read_secret(const char *path, char *buf, size_t size, size_t *ret_n, char *words, size_t words_size)
{
	return read_file(path, true, buf, size, ret_n, words, words_size);
}

static int
read_public(const char *path, char *buf, size_t size, size_t *ret_n, char *words, size_t words_size)
{
	return read_file(path, false, buf, size, ret_n, words, words_size);
}

const struct secret_reader secret_files = {read_secret, read_public};

static struct str
trim_lines(struct str s)
{
	while (s.n > 0 && strchr(" \t\r\n", s.p[s.n - 1]) != NULL && s.p[s.n - 1] != '\0')
		s.n--;
	while (s.n > 0 && strchr(" \t\r\n", s.p[0]) != NULL && s.p[0] != '\0') {
		s.p++;
		s.n--;
	}
	return s;
}

/* What a header can carry behind "Bearer ". */
static bool
is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= 0x20 || s.p[i] >= 0x7f)
			return false;
	return s.n > 0;
}

static void
load_cluster(struct loading *l, struct conf_cluster *c, char *buf)
{
	static const char key[] = "clusters[].token_file";
	char words[128];
	struct str text;
	size_t n;

	if (l->reader->read(c->token_file.p, buf, SECRET_MAX, &n, words, sizeof(words)) != 0) {
		loading_fail(l, c, key, -1, "%s: %s", c->token_file.p, words);
		return;
	}
	text = trim_lines((struct str){buf, n});
	if (text.n == 0)
		loading_fail(l, c, key, -1, "%s: is empty", c->token_file.p);
	else if (!is_token(text))
		loading_fail(l, c, key, -1, "%s: must hold one token without blanks",
			     c->token_file.p);
	else
		c->token = arena_str(l->conf->arena, text);
}

/* The next word of a line, and what follows it. */
static struct str
next_word(struct str *line)
{
	struct str word = *line = str_trim(*line);

	word.n = 0;
	while (word.n < line->n && word.p[word.n] != ' ' && word.p[word.n] != '\t')
		word.n++;
	*line = str_trim((struct str){word.p + word.n, line->n - word.n});
	return word;
}

static unsigned
count_char(struct str s, char c)
{
	unsigned n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == c;
	return n;
}

static const char *
take_groups(struct loading *l, struct str text, struct conf_token *t)
{
	unsigned max = count_char(text, ',') + 1;

	if (text.n == 0)
		return NULL;
	t->groups = arena_array(l->conf->arena, max, sizeof(*t->groups));
	while (text.p != NULL && t->groups != NULL) {
		struct str group = str_cut(text, ',', &text);

		if (group.n == 0)
			return "an empty group";
		t->groups[t->groups_count++] = arena_str(l->conf->arena, group);
	}
	return NULL;
}

/* Words when the line is wrong, else NULL. The token comes last: what is refused leaves no copy of
 * it. */
static const char *
take_line(struct loading *l, struct str line, struct conf_token *t)
{
	struct str token = next_word(&line), user = next_word(&line), groups = next_word(&line);
	const char *wrong;

	*t = (struct conf_token){0};
	if (!is_token(token))
		return "a token of characters that no header can carry";
	if (user.n == 0)
		return "no user behind the token";
	if (user.n > USER_MAX || !str_is_utf8(user))
		return "a user name that is longer than 255 bytes or no UTF-8";
	if (line.n > 0)
		return "more than TOKEN USER GROUP,GROUP (no blanks between groups)";
	if (!str_is_utf8(groups))
		return "a group that is no UTF-8";
	wrong = take_groups(l, groups, t);
	if (wrong != NULL)
		return wrong;
	t->user = arena_str(l->conf->arena, user);
	t->token = arena_str(l->conf->arena, token);
	return NULL;
}

static int
compare_tokens(const void *a, const void *b)
{
	const struct conf_token *x = *(struct conf_token *const *)a,
				*y = *(struct conf_token *const *)b;

	if (x->token.n != y->token.n)
		return x->token.n < y->token.n ? -1 : 1;
	return memcmp(x->token.p, y->token.p, x->token.n);
}

static void
refuse_twins(struct loading *l, struct conf_provider *p)
{
	struct conf_token **sorted = arena_array(l->conf->arena, p->tokens_count, sizeof(*sorted));

	if (sorted == NULL || arena_failed(l->conf->arena))
		return;
	for (unsigned i = 0; i < p->tokens_count; i++)
		sorted[i] = &p->tokens[i];
	qsort(sorted, p->tokens_count, sizeof(struct conf_token *), compare_tokens);
	for (unsigned i = 1; i < p->tokens_count; i++)
		if (compare_tokens(&sorted[i - 1], &sorted[i]) == 0)
			loading_fail(l, p, "auth.providers[].tokens_file", -1,
				     "%s: users '%s' and '%s' have the same token",
				     p->tokens_file.p, sorted[i - 1]->user.p, sorted[i]->user.p);
}

/* The lines into p->tokens, which has room for all of them. */
static void
take_lines(struct loading *l, struct conf_provider *p, struct str rest)
{
	static const char key[] = "auth.providers[].tokens_file";
	unsigned taken = 0;

	for (unsigned i = 1; rest.p != NULL; i++) {
		struct str line = trim_lines(str_cut(rest, '\n', &rest));
		const char *wrong;

		if (line.n == 0 || line.p[0] == '#')
			continue;
		taken++;
		wrong = take_line(l, line, &p->tokens[p->tokens_count]);
		if (wrong == NULL)
			p->tokens_count++;
		else
			loading_fail(l, p, key, -1, "%s: line %u: %s", p->tokens_file.p, i, wrong);
	}
	if (taken == 0)
		loading_fail(l, p, key, -1, "%s: no tokens in it", p->tokens_file.p);
}

static void
load_provider(struct loading *l, struct conf_provider *p, char *buf)
{
	char words[128];
	struct str text = {buf, 0};

	if (l->reader->read(p->tokens_file.p, buf, SECRET_MAX, &text.n, words, sizeof(words)) !=
	    0) {
		loading_fail(l, p, "auth.providers[].tokens_file", -1, "%s: %s", p->tokens_file.p,
			     words);
		return;
	}
	p->tokens = arena_array(l->conf->arena, count_char(text, '\n') + 1, sizeof(*p->tokens));
	if (p->tokens == NULL)
		return;
	take_lines(l, p, text);
	refuse_twins(l, p);
}

void
secret_load(struct loading *l)
{
	struct conf *c = l->conf;
	char buf[SECRET_MAX];

	for (unsigned i = 0; i < c->clusters_count; i++)
		if (c->clusters[i].token_file.p != NULL)
			load_cluster(l, &c->clusters[i], buf);
	for (unsigned i = 0; i < c->providers_count; i++)
		if (c->providers[i].tokens_file.p != NULL)
			load_provider(l, &c->providers[i], buf);
	explicit_bzero(buf, sizeof(buf));
}

static void
wipe(struct str *s)
{
	if (s->p != NULL)
		explicit_bzero((void *)(uintptr_t)s->p, s->n);
	*s = STR_NONE;
}

void
secret_wipe(struct conf *c)
{
	for (unsigned i = 0; i < c->clusters_count; i++)
		wipe(&c->clusters[i].token);
	for (unsigned i = 0; i < c->providers_count; i++)
		for (unsigned k = 0; k < c->providers[i].tokens_count; k++)
			wipe(&c->providers[i].tokens[k].token);
}

void
secret_hide_memory(void)
{
#ifndef __SANITIZE_ADDRESS__
	const struct rlimit none = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}
