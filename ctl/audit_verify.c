/*
 * Verification, line by line. Only the first thing that is wrong in a file is told: what follows it
 * proves nothing.
 */
#include "ctl/audit_verify.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "lib/panic.h"

struct reader {
	FILE *file;
	char *text, *next; /* the line, and the one behind it */
	size_t text_size, next_size;
	ssize_t n, next_n; /* -1: none */
	uint64_t number;
};

struct check {
	struct audit_verdict *verdict;
	struct chain *chain;
	const uint8_t *key;
	bool live;
	struct reader in;
	struct chain_line line;
};

static void wrong(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
wrong(struct check *c, const char *fmt, ...)
{
	struct audit_verdict *v = c->verdict;
	va_list ap;

	if (v->words[0] != '\0')
		return;
	v->line = c->in.number;
	v->seq = c->line.is_seal ? 0 : c->line.seq;
	va_start(ap, fmt);
	vsnprintf(v->words, sizeof(v->words), fmt, ap);
	va_end(ap);
}

/* ---- lines ---- */

static bool
read_line(struct reader *r)
{
	char *text = r->text;
	size_t size = r->text_size;

	if (r->number == 0)
		r->next_n = getline(&r->next, &r->next_size, r->file);
	r->text = r->next;
	r->text_size = r->next_size;
	r->n = r->next_n;
	r->next = text;
	r->next_size = size;
	r->next_n = r->n < 0 ? -1 : getline(&r->next, &r->next_size, r->file);
	r->number++;
	return r->n >= 0;
}

static struct str
line_of(const struct reader *r)
{
	return (struct str){r->text, (size_t)r->n};
}

/* The chain's next value for this text, if it stood behind `before`. */
static bool
is_next(struct check *c, const char *before, const struct chain_line *line)
{
	char tail[CHAIN_TAIL];

	chain_set(c->chain, before);
	chain_add(c->chain, line->text.p, line->text.n, tail);
	return memcmp(chain_value(c->chain), line->value.p, CHAIN_HEX) == 0;
}

/* ---- what is wrong with a line that does not fit ---- */

/* The next line fits behind the one before this: nobody misses this one. */
static bool
next_fits_without(struct check *c, const char *before)
{
	struct chain_line next;

	if (c->in.next_n < 0 ||
	    chain_parse((struct str){c->in.next, (size_t)c->in.next_n}, &next) != 0)
		return false;
	if (next.is_seal)
		return memcmp(next.chain.p, before, CHAIN_HEX) == 0;
	return is_next(c, before, &next);
}

static void
explain(struct check *c, const char *before, uint64_t expected)
{
	if (c->verdict->records == 0 && !str_eq(chain_member(c->line.text, "kind"), STR("file")))
		wrong(c, "cut: what comes before it is missing");
	else if (next_fits_without(c, before))
		wrong(c, "inserted: the records before and behind it belong together");
	else if (c->line.seq > expected)
		wrong(c, "removed: before it, records %llu to %llu are missing",
		      (unsigned long long)expected, (unsigned long long)c->line.seq - 1);
	else if (c->line.seq < expected)
		wrong(c, "inserted: record %llu was there already",
		      (unsigned long long)c->line.seq);
	else
		wrong(c, "changed: it does not fit its chain value");
}

/* ---- one file ---- */

static void
check_first(struct check *c)
{
	struct str kind = chain_member(c->line.text, "kind");
	struct str previous = chain_member(c->line.text, "previous");

	if (!str_eq(kind, STR("file")))
		wrong(c, "cut: this is not the first record of a file");
	c->verdict->first_seq = c->line.seq;
	str_copy(c->verdict->previous, sizeof(c->verdict->previous), previous);
}

static void
check_record(struct check *c, char before[CHAIN_HEX + 1])
{
	struct audit_verdict *v = c->verdict;
	uint64_t expected = v->records == 0 ? c->line.seq : v->last_seq + 1;

	if (!is_next(c, before, &c->line)) {
		explain(c, before, expected);
		return;
	}
	if (v->records == 0)
		check_first(c);
	else if (c->line.seq != expected)
		wrong(c, "records %llu to %llu are missing, and were when it was written",
		      (unsigned long long)expected, (unsigned long long)c->line.seq - 1);
	v->records++;
	v->last_seq = c->line.seq;
	str_copy(before, CHAIN_HEX + 1, c->line.value);
}

static bool
seal_fits(struct check *c)
{
	char tail[CHAIN_SEAL_TAIL];

	chain_seal(c->key, c->line.text.p, c->line.text.n, tail);
	return memcmp(tail + CHAIN_SEAL_TAIL - 3 - CHAIN_SEAL_HEX, c->line.value.p,
		      CHAIN_SEAL_HEX) == 0;
}

static void
check_seal(struct check *c, const char *before)
{
	struct audit_verdict *v = c->verdict;

	v->sealed = true;
	str_copy(v->seal, sizeof(v->seal), c->line.value);
	if (memcmp(c->line.chain.p, before, CHAIN_HEX) != 0 || c->line.seq != v->last_seq ||
	    c->line.first_seq != v->first_seq)
		wrong(c, "removed: before the seal, records up to %llu are missing or changed",
		      (unsigned long long)c->line.seq);
	else if (c->key != NULL && !seal_fits(c))
		wrong(c, "changed: the seal does not fit; the file was rewritten by somebody "
			 "without the key, or another key was there");
	else if (c->key != NULL)
		v->seal_fits = true;
}

static void
check_line(struct check *c, char before[CHAIN_HEX + 1])
{
	struct str text = line_of(&c->in);
	bool whole = text.n > 0 && text.p[text.n - 1] == '\n';

	c->line = (struct chain_line){0};
	if (!whole && c->live)
		return; /* on its way */
	if (!whole)
		wrong(c, "cut: the line is not whole");
	else if (c->verdict->sealed)
		wrong(c, "inserted: behind the seal");
	else if (chain_parse(text, &c->line) != 0)
		wrong(c, next_fits_without(c, before) ? "inserted: not a line of an audit file"
						      : "changed: not a line of an audit file");
	else if (c->line.is_seal)
		check_seal(c, before);
	else
		check_record(c, before);
}

static int
check_file(struct check *c)
{
	char before[CHAIN_HEX + 1];

	memset(before, '0', CHAIN_HEX);
	while (c->verdict->words[0] == '\0' && read_line(&c->in))
		check_line(c, before);
	if (ferror(c->in.file))
		return E_IO;
	c->in.number = 0; /* what follows is about the file */
	c->line = (struct chain_line){0};
	if (!c->live && !c->verdict->sealed)
		wrong(c, "cut: the seal is missing");
	return 0;
}

int
audit_verify_file(const char *path, const uint8_t *key, bool live, struct audit_verdict *ret)
{
	struct check c = {.verdict = ret, .key = key, .live = live, .chain = chain_new()};
	int err;

	*ret = (struct audit_verdict){.records = 0};
	c.in.file = fopen(path, "re");
	err = c.chain == NULL ? E_NOMEM : c.in.file == NULL ? E_IO : check_file(&c);
	if (c.in.file != NULL)
		fclose(c.in.file);
	free(c.in.text);
	free(c.in.next);
	chain_free(&c.chain);
	return err;
}

/* ---- files together ---- */

static void wrong_file(struct audit_verdict *, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void
wrong_file(struct audit_verdict *v, const char *fmt, ...)
{
	va_list ap;

	if (v->words[0] != '\0')
		return;
	v->line = v->seq = 0;
	va_start(ap, fmt);
	vsnprintf(v->words, sizeof(v->words), fmt, ap);
	va_end(ap);
}

void
audit_verify_order(const struct audit_verdict *earlier, struct audit_verdict *later)
{
	if (earlier->words[0] != '\0' || later->records == 0)
		return;
	if (later->first_seq != earlier->last_seq + 1)
		wrong_file(later, "removed: before it, records %llu to %llu are missing",
			   (unsigned long long)earlier->last_seq + 1,
			   (unsigned long long)later->first_seq - 1);
	else if (strcmp(earlier->seal, later->previous) != 0)
		wrong_file(later, "swapped: it does not follow the file before it");
}

void
audit_verify_name(const char *path, struct audit_verdict *v)
{
	char copy[PATH_MAX];
	uint64_t seq;

	str_copy(copy, sizeof(copy), str_from(path));
	if (v->records == 0 || chain_file_seq(basename(copy), &seq) != 0 || seq == v->first_seq)
		return;
	wrong_file(v, "swapped: by its name it begins with record %llu, but it does with %llu",
		   (unsigned long long)seq, (unsigned long long)v->first_seq);
}
