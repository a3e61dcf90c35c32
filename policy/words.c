/*
 * Lists of names and values of requests, for refusals and for explanations. Any process.
 */
#include "policy/words.h"

void
words_add(struct words_list *l, struct str name)
{
	for (unsigned i = 0; i < l->count; i++)
		if (str_eq(l->names[i], name))
			return;
	if (name.n == 0)
		return;
	if (l->count == WORDS_NAMES)
		l->more = true;
	else
		l->names[l->count++] = name;
}

static char *
put(char *to, struct str s)
{
	memcpy(to, s.p, s.n);
	return to + s.n;
}

const char *
words_text(const struct words_list *l, struct arena *arena)
{
	size_t n = sizeof ", ...";
	char *text, *to;

	if (l->count == 0)
		return "none";
	for (unsigned i = 0; i < l->count; i++)
		n += l->names[i].n + 2;
	to = text = arena_alloc(arena, n);
	if (text == NULL)
		return "...";
	for (unsigned i = 0; i < l->count; i++) {
		if (i > 0)
			to = put(to, STR(", "));
		to = put(to, l->names[i]);
	}
	if (l->more)
		to = put(to, STR(", ..."));
	*to = '\0';
	return text;
}

/* Cut between characters. */
static size_t
shown_length(struct str s)
{
	size_t n = WORDS_SHOWN;

	if (s.n <= n)
		return s.n;
	while (n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	return n;
}

const char *
words_shown(struct str s, struct arena *arena)
{
	bool utf8 = str_is_utf8(s);
	size_t n = shown_length(s);
	char *text = arena_copy(arena, s.p != NULL ? s.p : "", n);

	if (text == NULL)
		return "...";
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
			text[i] = '?';
	}
	return text;
}
