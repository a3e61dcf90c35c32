/*
 * Redaction: each expression in turn over the whole text.
 */
#include <regex.h>
#include <stdlib.h>
#include "keeper/audit_redact.h"
#include "lib/buf.h"
#include "lib/panic.h"

#define REDACT_MAGIC 0x52656461u
#define TEXT_MAX     ((size_t)1 << 20)

struct audit_redact {
	unsigned magic;
	unsigned count;
	regex_t *compiled;
	struct buf space[2]; /* the text before and after an expression */
};

struct audit_redact *
audit_redact_new(const struct str *patterns, unsigned count)
{
	struct audit_redact *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->magic = REDACT_MAGIC;
	buf_init(&r->space[0], TEXT_MAX);
	buf_init(&r->space[1], TEXT_MAX);
	r->compiled = calloc(count + 1, sizeof(*r->compiled));
	for (; r->compiled != NULL && r->count < count; r->count++)
		if (regcomp(&r->compiled[r->count], patterns[r->count].p, REG_EXTENDED) != 0)
			break;
	if (r->compiled == NULL || r->count < count)
		audit_redact_free(&r);
	return r;
}

void
audit_redact_free(struct audit_redact **ret)
{
	struct audit_redact *r = *ret;

	if (r == NULL)
		return;
	CHECK_MAGIC(r, REDACT_MAGIC);
	*ret = NULL;
	for (unsigned i = 0; r->compiled != NULL && i < r->count; i++)
		regfree(&r->compiled[i]);
	free(r->compiled);
	buf_free(&r->space[0]);
	buf_free(&r->space[1]);
	r->magic = 0;
	free(r);
}

/* False: it is nowhere in the text. REG_STARTEND, since texts do not end in NUL. Where an
 * expression matches nothing at all, it is tried again a byte later. */
static bool
replace(const regex_t *regex, struct str text, struct buf *out)
{
	regmatch_t at = {.rm_so = 0, .rm_eo = (regoff_t)text.n};
	size_t done = 0;
	bool found = false;

	while (done < text.n && regexec(regex, text.p, 1, &at, REG_STARTEND) == 0) {
		size_t from = (size_t)at.rm_so, to = (size_t)at.rm_eo;

		if (to > from) {
			buf_add(out, text.p + done, from - done);
			buf_add_str(out, STR(AUDIT_REDACT_WORDS));
			done = to;
			found = true;
		}
		at.rm_so = (regoff_t)(to > from ? to : to + 1);
		at.rm_eo = (regoff_t)text.n;
		if ((size_t)at.rm_so >= text.n)
			break;
	}
	buf_add(out, text.p + done, text.n - done);
	return found;
}

/* The text lies in one of the two spaces, ended with a NUL that is none of it. */
static struct str
copy(struct audit_redact *r, struct str text)
{
	buf_clear(&r->space[0]);
	buf_add_str(&r->space[0], text);
	buf_cstr(&r->space[0]);
	return buf_str(&r->space[0]);
}

struct str
audit_redact_apply(struct audit_redact *r, struct str text)
{
	unsigned at = 0;

	CHECK_MAGIC(r, REDACT_MAGIC);
	if (r->count == 0 || text.n == 0)
		return text;
	text = copy(r, text);
	for (unsigned i = 0; i < r->count && text.n > 0; i++) {
		struct buf *out = &r->space[1 - at];

		buf_clear(out);
		if (!replace(&r->compiled[i], text, out))
			continue;
		buf_cstr(out);
		text = buf_str(out);
		at = 1 - at;
	}
	return text.n > 0 ? text : STR(AUDIT_REDACT_WORDS);
}
