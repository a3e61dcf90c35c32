/*
 * The envelope of a request: a state machine over the bytes of one direction of one RPC. Pure; runs
 * in the workers.
 *
 *	              prefix whole            who and where known          sealed
 *	PREFIX ------------------> HEAD ------------------------> DECIDED ---------> BODY
 *	   ^  feed_prefix()             feed_head(), decide()        envelope_seal()   |
 *	   `--------------------------- message complete ------------------------------'
 *	any --fail()--> FAILED
 *
 * Two readers of the same bytes: scan() looks for fields 1 and 2 in what is kept; walk() passes
 * over everything else, by length. The scan only ever stops at the beginning of a field, so the
 * walk can begin there, in the kept bytes.
 */
#include "proto/envelope.h"
#include "lib/panic.h"
#include "proto/grpc.h"
#include "proto/uuid.h"
#include "proto/wire.h"

#define MAGIC	    0x454e5650u
#define SESSION_LEN (UUID_TEXT - 1)
#define ROUND	    1024u /* bytes at a time, when the head began in an earlier chunk */
/* A seal adds a prefix, and a user_context of two ids with their tags and lengths. */
#define SEALED_MAX (ENVELOPE_HEAD_MAX + GRPC_PREFIX + 2 * ENVELOPE_ID_MAX + 32)

enum state { PREFIX, HEAD, DECIDED, BODY, FAILED };
enum field { SESSION_ID = 1, USER_CONTEXT = 2, USER_ID = 1, USER_NAME = 2 };
enum scanned { SCAN_MORE, SCAN_ON, SCAN_DONE };

void
envelope_init(struct envelope *e, struct arena *arena)
{
	*e = (struct envelope){.magic = MAGIC, .state = PREFIX, .arena = arena};
}

static int
fail(struct envelope *e, int err, enum grpc_code code, const char *why)
{
	e->state = FAILED;
	e->err = err;
	e->code = code;
	e->why = why;
	return err;
}

static int
malformed(struct envelope *e, const char *why)
{
	return fail(e, E_SYNTAX, GRPC_INVALID_ARGUMENT, why);
}

/*
 * Arenas take nothing back, so a buffer first gets what it needs, then doubles, and past 4 KiB goes
 * to its greatest size at once; `sealed` follows the head there, lest the arena open a large block
 * for a small piece.
 */
static bool
grow(struct envelope *e, uint8_t **buf, size_t *cap, size_t have, size_t need, size_t most)
{
	size_t n = need < 2 * *cap ? 2 * *cap : (need + 63) & ~(size_t)63;
	uint8_t *p;

	if (need <= *cap)
		return true;
	if (n > ENVELOPE_WHOLE_MAX || e->head_cap == ENVELOPE_HEAD_MAX)
		n = most;
	ASSERT(need <= n);
	p = arena_alloc(e->arena, n);
	if (p == NULL)
		return false;
	if (have > 0)
		memcpy(p, *buf, have);
	*buf = p;
	*cap = n;
	return true;
}

/* Adds to the kept head. */
static int
keep(struct envelope *e, const uint8_t *p, size_t n)
{
	size_t need = e->head_len + n;

	if (n == 0)
		return 0;
	if (!grow(e, &e->head, &e->head_cap, e->head_len, need, ENVELOPE_HEAD_MAX))
		return fail(e, E_NOMEM, GRPC_RESOURCE_EXHAUSTED, "out of memory");
	memcpy(e->head + e->head_len, p, n);
	e->head_len = need;
	return 0;
}

static int
begin_message(struct envelope *e)
{
	struct grpc_prefix prefix;

	e->have_prefix = 0;
	if (grpc_prefix_get(e->prefix, &prefix) < 0)
		return malformed(e, "malformed gRPC message prefix");
	if (prefix.compressed)
		return fail(e, E_SYNTAX, GRPC_UNIMPLEMENTED,
			    "message compression is not supported");
	if (prefix.length > GRPC_MESSAGE_MAX)
		return fail(e, E_LIMIT, GRPC_RESOURCE_EXHAUSTED,
			    "the message is larger than 128 MiB");
	if (prefix.length == 0)
		return malformed(e, "session_id is missing");
	e->total = prefix.length;
	e->left = prefix.length;
	e->skip = 0;
	e->walked = e->head_len = 0;
	e->tag_len = 0;
	e->saw_session = e->saw_context = false;
	e->state = HEAD;
	return ENVELOPE_MORE;
}

static int
feed_prefix(struct envelope *e, const uint8_t *p, size_t n, size_t *used)
{
	size_t k = GRPC_PREFIX - e->have_prefix;

	if (k > n)
		k = n;
	if (k > 0)
		memcpy(e->prefix + e->have_prefix, p, k);
	e->have_prefix = (uint8_t)(e->have_prefix + k);
	*used += k;
	return e->have_prefix < GRPC_PREFIX ? ENVELOPE_MORE : begin_message(e);
}

/* Is this an acceptable field 1 or 2, as far as its tag and length say? It ends at `end` of the
 * message. */
static int
judge(struct envelope *e, const struct wire_head *h, uint64_t end)
{
	bool session = h->number == SESSION_ID;

	if (h->type != WIRE_LEN)
		return malformed(e, session ? "session_id has the wrong wire type"
					    : "user_context has the wrong wire type");
	if (session ? e->saw_session : e->saw_context)
		return malformed(e, session ? "session_id is given twice"
					    : "user_context is given twice");
	if (session && h->length != SESSION_LEN)
		return malformed(e, "session_id is not a UUID");
	if (end > ENVELOPE_HEAD_MAX)
		return malformed(e,
				 "session_id and user_context must stand within the first 64 KiB");
	return 0;
}

/* A whole field 1 or 2, whose content begins at `body`. */
static void
note(struct envelope *e, uint32_t number, size_t body, size_t end)
{
	if (number == SESSION_ID) {
		e->saw_session = true;
		e->session_at = body;
		e->session_end = end;
	} else {
		e->saw_context = true;
		e->ctx_start = e->walked;
		e->ctx_body = body;
		e->ctx_end = end;
	}
}

/* Passes one field of the head, of which m bytes are at b; `limit` is where the head ends at the
 * latest. */
static int
scan_field(struct envelope *e, const uint8_t *b, size_t m, size_t limit)
{
	struct wire_head h;
	uint64_t end;
	int used = wire_head(b + e->walked, m - e->walked, &h), err;

	if (used < 0)
		return malformed(e, "malformed request message");
	if (used == 0 && m < limit)
		return SCAN_MORE;
	if (used == 0 && limit < e->total)
		return SCAN_DONE;
	if (used == 0 || h.length > e->left - (size_t)used)
		return malformed(e, "a field outruns its message");
	end = e->walked + (size_t)used + h.length;
	if (h.number <= USER_CONTEXT) {
		err = judge(e, &h, end);
		if (err < 0)
			return err;
	} else if (end >= limit && e->total > ENVELOPE_WHOLE_MAX) {
		return SCAN_DONE;
	}
	if (end > m)
		return SCAN_MORE;
	if (h.number <= USER_CONTEXT)
		note(e, h.number, e->walked + (size_t)used, (size_t)end);
	e->left -= end - e->walked;
	e->walked = (size_t)end;
	return SCAN_ON;
}

static size_t
head_limit(const struct envelope *e)
{
	return e->total < ENVELOPE_HEAD_MAX ? e->total : ENVELOPE_HEAD_MAX;
}

static int
scan(struct envelope *e, const uint8_t *b, size_t m)
{
	size_t limit = head_limit(e);
	int r = SCAN_ON;

	while (r == SCAN_ON && e->walked < limit) {
		r = scan_field(e, b, m, limit);
		if (r == SCAN_ON && e->saw_session && e->saw_context &&
		    e->total > ENVELOPE_WHOLE_MAX)
			r = SCAN_DONE;
	}
	return r == SCAN_ON ? SCAN_DONE : r;
}

/* The beginning of the next field of the body. 1: there, ending k bytes on; 0: the bytes, too few,
 * are kept. */
static int
next_head(struct envelope *e, const uint8_t *p, size_t n, struct wire_head *h, size_t *k)
{
	size_t room = sizeof e->tag - e->tag_len;
	int used;

	_Static_assert(sizeof e->tag > WIRE_HEAD_MAX, "16 bytes always decide");
	if (e->tag_len == 0) {
		used = wire_head(p, n, h);
		*k = used > 0 ? (size_t)used : 0;
		if (used != 0)
			return used < 0 ? used : 1;
	}
	*k = n < room ? n : room;
	memcpy(e->tag + e->tag_len, p, *k);
	used = wire_head(e->tag, e->tag_len + *k, h);
	if (used == 0)
		e->tag_len = (uint8_t)(e->tag_len + *k);
	if (used <= 0)
		return used;
	*k = (size_t)used - e->tag_len;
	e->tag_len = 0;
	return 1;
}

static int
judge_late(struct envelope *e, const struct wire_head *h)
{
	if (h->length > e->left)
		return malformed(e, "a field outruns its message");
	if (h->number == SESSION_ID)
		return malformed(e, "session_id is given twice");
	if (h->number == USER_CONTEXT)
		return malformed(e, e->saw_context ? "user_context is given twice"
						   : "user_context after the first 64 KiB");
	return 0;
}

/* Passes n bytes (at most what is left) of the body: one step per field, however long it is. */
static int
walk(struct envelope *e, const uint8_t *p, size_t n)
{
	while (n > 0) {
		struct wire_head h;
		size_t k = e->skip < n ? (size_t)e->skip : n;
		int r = 0;

		if (e->skip > 0)
			e->skip -= k;
		else
			r = next_head(e, p, n, &h, &k);
		if (r < 0)
			return malformed(e, "malformed request message");
		p += k;
		n -= k;
		e->left -= k;
		if (r == 0)
			continue;
		r = judge_late(e, &h);
		if (r < 0)
			return r;
		e->skip = h.length;
	}
	return e->left == 0 && e->tag_len > 0 ? malformed(e, "a field outruns its message") : 0;
}

static int
check_id(struct envelope *e, struct str id)
{
	if (id.n > ENVELOPE_ID_MAX)
		return malformed(e, "user_id or user_name is longer than 256 bytes");
	if (!str_is_utf8(id))
		return malformed(e, "user_id or user_name is not UTF-8 text");
	return 0;
}

static struct str
context(const struct envelope *e)
{
	if (!e->saw_context)
		return STR("");
	return (struct str){(const char *)e->head + e->ctx_body, e->ctx_end - e->ctx_body};
}

/* Of ids given twice the last one counts, as in every parser. */
static int
read_context(struct envelope *e)
{
	struct str ctx = context(e);
	struct wire_cursor c = {(const uint8_t *)ctx.p, (const uint8_t *)ctx.p + ctx.n};
	struct wire_field f;
	int r;

	e->user_id = e->user_name = STR_NONE;
	while ((r = wire_next(&c, &f)) == 1) {
		if (f.number != USER_ID && f.number != USER_NAME)
			continue;
		if (f.type != WIRE_LEN)
			return malformed(e, "malformed user_context");
		r = check_id(e, f.bytes);
		if (r < 0)
			return r;
		*(f.number == USER_ID ? &e->user_id : &e->user_name) = f.bytes;
	}
	return r < 0 ? malformed(e, "malformed user_context") : 0;
}

/* The first message's ids stand for the whole stream. */
static int
compare_first(struct envelope *e)
{
	uint8_t id[16];

	if (!e->have_first) {
		if (uuid_parse(e->session_id, id) < 0)
			return malformed(e, "session_id is not a UUID");
		memcpy(e->first_session, e->session_id.p, SESSION_LEN);
		e->first_session_len = SESSION_LEN;
		if (e->user_id.n > 0)
			memcpy(e->first_user, e->user_id.p, e->user_id.n);
		e->first_user_len = (uint16_t)e->user_id.n;
		e->have_first = true;
		return 0;
	}
	if (!str_eq(e->session_id, (struct str){e->first_session, e->first_session_len}))
		return malformed(e, "session_id differs from the first message's");
	if (e->user_id.n > 0 && !str_eq(e->user_id, (struct str){e->first_user, e->first_user_len}))
		return malformed(e, "user_id differs from the first message's");
	return 0;
}

/* Nothing more is needed of the head: says who and where, and starts the walk in the bytes kept
 * beyond. */
static int
decide(struct envelope *e)
{
	int err;

	if (!e->saw_session)
		return malformed(e, e->total > ENVELOPE_HEAD_MAX
					    ? "session_id is missing in the first 64 KiB"
					    : "session_id is missing");
	e->session_id = (struct str){(const char *)e->head + e->session_at, SESSION_LEN};
	err = read_context(e);
	if (err == 0)
		err = compare_first(e);
	if (err == 0)
		err = walk(e, e->head + e->walked, e->head_len - e->walked);
	if (err < 0)
		return err;
	e->body_start = (struct str){(const char *)e->head, e->head_len};
	e->whole = e->head_len == e->total;
	e->state = DECIDED;
	return ENVELOPE_HEAD;
}

/*
 * One round. A head that begins with these bytes is scanned where it stands, and only what belongs
 * to it is copied; one begun earlier is continued in its copy, in small rounds so that little more
 * than needed is taken.
 */
static int
feed_head(struct envelope *e, const uint8_t *p, size_t n, size_t *used)
{
	size_t old = e->head_len, most = head_limit(e) - old, take, need;
	int r, err = 0;

	if (old > 0 && most > ROUND)
		most = ROUND;
	take = n < most ? n : most;
	if (old > 0)
		err = keep(e, p, take);
	if (err < 0)
		return err;
	r = scan(e, old > 0 ? e->head : p, old + take);
	if (r < 0)
		return r;
	need = r == SCAN_MORE ? old + take : e->walked > old ? e->walked : old;
	if (old == 0)
		err = keep(e, p, need);
	if (err < 0)
		return err;
	e->head_len = need;
	*used += need - old;
	return r == SCAN_MORE ? ENVELOPE_MORE : decide(e);
}

static void
end_message(struct envelope *e)
{
	e->state = e->left > 0 ? BODY : PREFIX;
}

int
envelope_feed(struct envelope *e, const uint8_t *p, size_t n, size_t *ret_used,
	      struct str *ret_pass)
{
	struct str pass = STR_NONE;
	size_t used = 0;
	int r = ENVELOPE_MORE;

	CHECK_MAGIC(e, MAGIC);
	ASSERT(e->state != DECIDED);
	if (e->state == FAILED)
		return e->err;
	if (e->state == PREFIX)
		r = feed_prefix(e, p, n, &used);
	while (r == ENVELOPE_MORE && e->state == HEAD && used < n)
		r = feed_head(e, p + used, n - used, &used);
	if (r == ENVELOPE_MORE && e->state == BODY && n > 0) {
		used = e->left < n ? (size_t)e->left : n;
		r = walk(e, p, used);
		if (r == 0) {
			pass = (struct str){(const char *)p, used};
			r = ENVELOPE_PASS;
			end_message(e);
		}
	}
	if (r < 0)
		return r;
	*ret_used = used;
	*ret_pass = pass;
	return r;
}

/* Copies the fields of the client's user_context that are not ids (to may be NULL). Returns their
 * bytes. */
static size_t
other_fields(const struct envelope *e, uint8_t *to)
{
	struct str ctx = context(e);
	struct wire_cursor c = {(const uint8_t *)ctx.p, (const uint8_t *)ctx.p + ctx.n};
	struct wire_field f;
	size_t total = 0;

	while (wire_next(&c, &f) == 1) {
		size_t n = (size_t)(c.p - f.start);
		if (f.number == USER_ID || f.number == USER_NAME)
			continue;
		if (to != NULL)
			memcpy(to + total, f.start, n);
		total += n;
	}
	return total;
}

/* Writes user_context: our ids, then the client's other fields. NULL when it does not fit (it
 * does). */
static uint8_t *
put_context(const struct envelope *e, uint8_t *p, const uint8_t *end, size_t size,
	    struct str user_id, struct str user_name)
{
	p = wire_put_varint(p, end, USER_CONTEXT << 3 | WIRE_LEN);
	p = wire_put_varint(p, end, size);
	p = wire_put_len(p, end, USER_ID, user_id);
	if (user_name.n > 0)
		p = wire_put_len(p, end, USER_NAME, user_name);
	ASSERT(p != NULL);
	return p + other_fields(e, p);
}

int
envelope_seal(struct envelope *e, struct str user_id, struct str user_name, struct str *ret_head)
{
	size_t before = e->saw_context ? e->ctx_start : e->session_end;
	size_t after = e->saw_context ? e->ctx_end : e->session_end;
	size_t inner, context_size, size;
	uint8_t *p;

	CHECK_MAGIC(e, MAGIC);
	ASSERT(e->state == DECIDED && user_id.n > 0);
	if (user_id.n > ENVELOPE_ID_MAX || user_name.n > ENVELOPE_ID_MAX)
		return fail(e, E_LIMIT, GRPC_INVALID_ARGUMENT,
			    "the user's name is longer than 256 bytes");
	inner = wire_len_size(USER_ID, user_id.n) + other_fields(e, NULL);
	if (user_name.n > 0)
		inner += wire_len_size(USER_NAME, user_name.n);
	context_size = wire_len_size(USER_CONTEXT, inner);
	size = GRPC_PREFIX + before + context_size + (e->head_len - after);
	if (!grow(e, &e->sealed, &e->sealed_cap, 0, size, SEALED_MAX))
		return fail(e, E_NOMEM, GRPC_RESOURCE_EXHAUSTED, "out of memory");
	grpc_prefix_put(e->sealed, (uint32_t)(e->total - (after - before) + context_size));
	p = e->sealed + GRPC_PREFIX;
	memcpy(p, e->head, before);
	p = put_context(e, p + before, e->sealed + size, inner, user_id, user_name);
	memcpy(p, e->head + after, e->head_len - after);
	ASSERT(p + (e->head_len - after) == e->sealed + size);
	e->messages++;
	end_message(e);
	*ret_head = (struct str){(const char *)e->sealed, size};
	return 0;
}

int
envelope_end(struct envelope *e)
{
	CHECK_MAGIC(e, MAGIC);
	if (e->state == FAILED)
		return e->err;
	if (e->state == DECIDED && e->left == 0)
		return 0;
	if (e->state != PREFIX || e->have_prefix > 0)
		return malformed(e, "the request ended within a message");
	if (e->messages == 0)
		return malformed(e, "the request has no message");
	return 0;
}
