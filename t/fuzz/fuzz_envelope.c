/*
 * proto/envelope against the plain reference, in two shapes of input: an even first byte says that
 * the rest is the stream; an odd one that it is a script from which well-formed pieces, large
 * fields too, are put together.
 *
 * Always: what one takes the other takes; what comes out is the same, byte for byte; how the stream
 * was split changes nothing; and the output is one that a second gateway would pass unchanged but
 * for the ids.
 */
#include "t/fuzz/envelope_ref.h"
#include "lib/panic.h"

#define SESSION	   "00112233-4455-6677-8899-aabbccddeeff"
#define STREAM_MAX (300u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static size_t
all(void *ctx)
{
	return SIZE_MAX;
}

static size_t
one(void *ctx)
{
	return 1;
}

/* Pieces from 1 byte to 64 KiB, from a seed. */
static size_t
some(void *ctx)
{
	uint32_t *x = ctx;

	*x = *x * 1664525u + 1013904223u;
	return ((*x >> 16) & 0xffff) >> (*x >> 12 & 15) | 1;
}

struct script {
	const uint8_t *p, *end;
};

static unsigned
byte(struct script *s)
{
	return s->p < s->end ? *s->p++ : 0;
}

static struct str
bytes(struct script *s, size_t n)
{
	struct str b = {(const char *)s->p, n};

	if (n > (size_t)(s->end - s->p))
		b.n = (size_t)(s->end - s->p);
	s->p += b.n;
	return b;
}

/* A field of up to 128 KiB, its length often next to the 64 KiB border. */
static void
filling(struct script *s, struct buf *body)
{
	static const uint32_t bases[] = {0, 4000, 65400, 65536 - 50, 100000};
	uint8_t head[WIRE_HEAD_MAX], *end;
	unsigned kind = byte(s);
	size_t n = bases[kind % 5] + byte(s);
	uint8_t *room;

	end = wire_put_varint(head, head + sizeof head, (3 + kind / 5 % 16) << 3 | WIRE_LEN);
	end = wire_put_varint(end, head + sizeof head, n);
	buf_add(body, head, (size_t)(end - head));
	room = buf_room(body, n);
	if (room != NULL) {
		memset(room, 0x0a, n);
		buf_grew(body, n);
	}
}

static void
message(struct script *s, struct buf *out)
{
	struct buf body;
	uint8_t prefix[GRPC_PREFIX];

	buf_init(&body, STREAM_MAX);
	for (unsigned op = 1; op != 0 && s->p < s->end;) {
		op = byte(s) % 8;
		switch (op) {
		case 1: ref_put_len(&body, 1, STR(SESSION)); break;
		case 2: ref_put_len(&body, 2, bytes(s, byte(s))); break;
		case 3:
			ref_put_len(&body, 2,
				    STR("\x0a\x05"
					"alice"
					"\xba\x3e\x01x"));
			break;
		case 4: filling(s, &body); break;
		case 5: buf_add_str(&body, bytes(s, byte(s) % 32)); break;
		case 6: ref_put_len(&body, 3 + byte(s), bytes(s, byte(s))); break;
		case 7: buf_add_str(&body, STR("\x18\x96\x01")); break;
		}
	}
	grpc_prefix_put(prefix, (uint32_t)body.len);
	buf_add(out, prefix, sizeof prefix);
	buf_add_str(out, buf_str(&body));
	buf_free(&body);
}

/* Accepted streams, once rewritten, are accepted again; only user_context's ids may have moved. */
static void
check_again(const struct buf *first)
{
	struct buf again;
	struct ref_run run;

	buf_init(&again, 4 * STREAM_MAX);
	run = ref_run(first->p, first->len, STR("verified"), STR("Ann"), all, NULL, &again);
	if (run.accepted)
		ASSERT(str_eq(buf_str(first), buf_str(&again)));
	else /* a context or a session that our longer ids have pushed over the border */
		ASSERT(first->len > ENVELOPE_HEAD_MAX);
	buf_free(&again);
}

static void
check(const uint8_t *p, size_t n, uint32_t seed)
{
	struct str user = STR("verified"), name = STR("Ann");
	/* byte by byte only what is short: it costs a block of memory each */
	size_t (*const splits[])(void *) = {all, n < 2048 ? one : some, some, some};
	struct ref_run first = {0};
	struct buf want, out[4];
	bool good;

	buf_init(&want, 4 * STREAM_MAX);
	good = ref_stream(p, n, user, name, &want);
	for (size_t i = 0; i < 4; i++) {
		struct ref_run run;
		buf_init(&out[i], 4 * STREAM_MAX);
		run = ref_run(p, n, user, name, splits[i], &seed, &out[i]);
		if (i == 0)
			first = run;
		ASSERT(run.accepted == good);
		ASSERT(run.accepted || (run.code == first.code && run.why == first.why));
		ASSERT(!run.accepted || str_eq(buf_str(&out[i]), buf_str(&want)));
		ASSERT(run.memory < (160u << 10));
		buf_free(&out[i]);
	}
	if (good)
		check_again(&want);
	buf_free(&want);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct script s = {p + 2, p + n};
	struct buf in;

	if (n < 2)
		return 0;
	if (p[0] % 2 == 0) {
		check(p + 2, n - 2, p[1]);
		return 0;
	}
	buf_init(&in, STREAM_MAX);
	while (s.p < s.end && in.len < STREAM_MAX / 2)
		message(&s, &in);
	if (!buf_failed(&in))
		check(in.p, in.len, p[1]);
	buf_free(&in);
	return 0;
}
