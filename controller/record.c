/*
 * Acts as small JSON texts (keeper_audit).
 */
#include "controller/record.h"

#include <jansson.h>
#include <stdlib.h>
#include "lib/log.h"

#define WHAT_MAX 512
#define LESS_MAX 72 /* of which every byte may become six */

static void
got_outcome(void *arg, int err, const struct keeper_done *answer)
{
	(void)arg;
	if (err == 0)
		err = answer->result;
	if (err != 0 && err != E_STATE) /* audit is off */
		log_warn(NULL, "audit: an act of an administrator could not be recorded: %s",
			 err_text(err));
}

/* As many whole characters as there are, up to `most` bytes. */
static const char *
clean(const char *text, char *buf, size_t most)
{
	struct str s = str_from(text);
	size_t n = 0, len;

	while (s.n > 0 && (len = str_utf8_char(s)) > 0 && n + len < most) {
		memcpy(buf + n, s.p, len);
		n += len;
		s = (struct str){s.p + len, s.n - len};
	}
	buf[n] = '\0';
	return buf;
}

/* False: it does not fit. */
static bool
write_text(struct keeper_audit *m, const char *what, const char *by, const char *why, size_t most)
{
	char texts[3][WHAT_MAX];
	json_t *json = json_pack("{s:s, s:s, s:b, s:s*}", "act", clean(what, texts[0], most), "by",
				 clean(by, texts[1], most), "done", why == NULL, "why",
				 why != NULL ? clean(why, texts[2], most) : NULL);
	char *dump = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
	bool fits = dump != NULL && strlen(dump) < sizeof(m->text);

	if (fits)
		str_copy(m->text, sizeof(m->text), str_from(dump));
	free(dump);
	json_decref(json);
	return fits;
}

void
record_act(struct asks *asks, const char *what, const char *by, const char *why)
{
	struct keeper_audit m = {.head.type = KEEPER_AUDIT};
	int err = E_LIMIT;

	if (write_text(&m, what, by, why, WHAT_MAX) || write_text(&m, what, by, why, LESS_MAX))
		err = asks_send(asks, &m, sizeof(m), got_outcome, NULL);
	if (err != 0)
		log_warn(NULL, "audit: \"%s\" could not be recorded: %s", what, err_text(err));
}
