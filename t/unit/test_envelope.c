/*
 * proto/envelope against the plain reference of t/fuzz/envelope_ref.h: every stream is fed whole,
 * split in two everywhere, and byte by byte.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include "t/fuzz/envelope_ref.h"

#define S  "00112233-4455-6677-8899-aabbccddeeff"
#define S2 "ffffffff-4455-6677-8899-aabbccddeeff"
#define F1 "\x0a\x24" S /* field 1 */
#define ALICE      \
	"\x0a\x05" \
	"alice" /* user_id, inside field 2 */
#define BOB        \
	"\x0a\x03" \
	"bob"
#define NAME       \
	"\x12\x01" \
	"n"
#define F2 "\x12\x07" ALICE
#define PLAN       \
	"\x1a\x04" \
	"plan" /* field 3 */
#define TYPE       \
	"\x22\x02" \
	"py" /* field 4 */
#define EXT            \
	"\xba\x3e\x03" \
	"ext" /* field 999 */

#define L(literal)                           \
	{                                    \
		literal, sizeof(literal) - 1 \
	}
#define N(rows) (sizeof(rows) / sizeof(rows)[0])

TestSuite(envelope, .timeout = 120);

static size_t
always(void *ctx)
{
	return *(size_t *)ctx;
}

/* First a piece of *ctx bytes, then the rest. */
static size_t
split(void *ctx)
{
	size_t k = *(size_t *)ctx;

	*(size_t *)ctx = SIZE_MAX;
	return k;
}

static struct ref_run
feed(struct str in, size_t (*next)(void *), size_t arg, struct buf *out)
{
	buf_init(out, 256u << 20);
	return ref_run((const uint8_t *)in.p, in.n, STR("verified"), STR("Ann"), next, &arg, out);
}

static void
same(struct str in, size_t (*next)(void *), size_t arg, const struct ref_run *want,
     const struct buf *bytes)
{
	struct buf out;
	struct ref_run got = feed(in, next, arg, &out);

	cr_assert_eq(got.accepted, want->accepted, "at %zu: %s, whole: %s", arg,
		     got.why ? got.why : "ok", want->why ? want->why : "ok");
	cr_assert_eq(got.code, want->code, "at %zu", arg);
	cr_assert(got.accepted || got.why == want->why, "at %zu: %s, whole: %s", arg, got.why,
		  want->why);
	if (got.accepted)
		cr_assert_eq(got.whole, want->whole, "at %zu", arg);
	if (got.accepted)
		cr_assert(str_eq(buf_str(&out), buf_str(bytes)), "at %zu: other bytes", arg);
	buf_free(&out);
}

/* Compares with the reference; then every `step`th split with the unsplit run. */
static struct ref_run
compare(struct str in, size_t step)
{
	struct buf want, out;
	struct ref_run run = feed(in, always, SIZE_MAX, &out);
	bool good;

	buf_init(&want, 256u << 20);
	good = ref_stream((const uint8_t *)in.p, in.n, STR("verified"), STR("Ann"), &want);
	cr_expect_eq(run.accepted, good, "%s", run.why ? run.why : "accepted");
	if (good)
		cr_expect(str_eq(buf_str(&out), buf_str(&want)), "other bytes than the reference");
	for (size_t k = 1; k < in.n; k += step)
		same(in, split, k, &run, &out);
	same(in, always, 1, &run, &out);
	same(in, always, 7, &run, &out);
	buf_free(&want);
	buf_free(&out);
	return run;
}

static void
add_message(struct buf *b, struct str body)
{
	uint8_t prefix[GRPC_PREFIX];

	grpc_prefix_put(prefix, (uint32_t)body.n);
	buf_add(b, prefix, sizeof prefix);
	buf_add_str(b, body);
}

/* Field `number` with n bytes of filling; more than one byte of tag and length. */
static void
add_filling(struct buf *b, uint32_t number, size_t n)
{
	uint8_t head[WIRE_HEAD_MAX],
		*end = wire_put_varint(head, head + sizeof head, number << 3 | WIRE_LEN);

	end = wire_put_varint(end, head + sizeof head, n);
	buf_add(b, head, (size_t)(end - head));
	memset(buf_room(b, n), 0x12, n);
	buf_grew(b, n);
}

Test(envelope, accepts_and_rewrites)
{
	static const struct {
		struct str in, want;
	} rows[] = {
		{L(F1 F2 PLAN TYPE), L(F1 "\x12\x0f"
					  "\x0a\x08"
					  "verified"
					  "\x12\x03"
					  "Ann" PLAN TYPE)},
		{L(F2 F1 PLAN), L("\x12\x0f"
				  "\x0a\x08"
				  "verified"
				  "\x12\x03"
				  "Ann" F1 PLAN)},
		{L(F1 PLAN), L(F1 "\x12\x0f"
				  "\x0a\x08"
				  "verified"
				  "\x12\x03"
				  "Ann" PLAN)},
		{L(F1), L(F1 "\x12\x0f"
			     "\x0a\x08"
			     "verified"
			     "\x12\x03"
			     "Ann")},
		{L(F1 "\x12\x00" PLAN), L(F1 "\x12\x0f"
					     "\x0a\x08"
					     "verified"
					     "\x12\x03"
					     "Ann" PLAN)},
		{L(PLAN F1 TYPE F2), L(PLAN F1 TYPE "\x12\x0f"
						    "\x0a\x08"
						    "verified"
						    "\x12\x03"
						    "Ann")},
		/* extensions and unknown fields stay, behind the ids */
		{L(F1 "\x12\x10" EXT ALICE NAME PLAN), L(F1 "\x12\x15"
							    "\x0a\x08"
							    "verified"
							    "\x12\x03"
							    "Ann" EXT PLAN)},
		{L(F1 "\x12\x0e" EXT "\x18\x01" EXT PLAN), L(F1 "\x12\x1d"
								"\x0a\x08"
								"verified"
								"\x12\x03"
								"Ann" EXT "\x18\x01" EXT PLAN)},
		/* field 1 and 2 in other spellings of their tags */
		{L("\x8a\x00\x24" S "\x92\x80\x80\x80\x00\x07" ALICE), L("\x8a\x00\x24" S "\x12\x0f"
									 "\x0a\x08"
									 "verified"
									 "\x12\x03"
									 "Ann")},
		/* every wire type around them */
		{L("\x18\x96\x01" F1 "\x21"
		   "12345678" F2 "\x2d"
		   "1234"
		   "\x32\x00"),
		 L("\x18\x96\x01" F1 "\x21"
		   "12345678"
		   "\x12\x0f"
		   "\x0a\x08"
		   "verified"
		   "\x12\x03"
		   "Ann"
		   "\x2d"
		   "1234"
		   "\x32\x00")},
	};

	for (size_t i = 0; i < N(rows); i++) {
		struct buf in, out, want;
		buf_init(&in, 1 << 20);
		buf_init(&want, 1 << 20);
		add_message(&in, rows[i].in);
		add_message(&want, rows[i].want);
		struct ref_run run = feed(buf_str(&in), always, SIZE_MAX, &out);
		cr_expect(run.accepted, "row %zu: %s", i, run.why);
		cr_expect(str_eq(buf_str(&out), buf_str(&want)), "row %zu", i);
		cr_expect(run.whole && run.messages == 1, "row %zu", i);
		compare(buf_str(&in), 1);
		buf_free(&in);
		buf_free(&out);
		buf_free(&want);
	}
}

Test(envelope, refuses)
{
	static const struct {
		struct str in;
		const char *why;
	} rows[] = {
		{L(""), "session_id is missing"},
		{L(F2 PLAN), "session_id is missing"},
		{L(PLAN), "session_id is missing"},
		{L("\x0a\x00" F2), "session_id is not a UUID"},
		{L("\x0a\x03"
		   "abc" F2),
		 "session_id is not a UUID"},
		{L("\x0a\x24"
		   "00112233-4455-6677-8899-aabbccddeefg" F2),
		 "session_id is not a UUID"},
		{L("\x0a\x24"
		   "00112233-4455-6677-8899-aabbccddee\0f" F2),
		 "session_id is not a UUID"},
		{L("\x0a\x25" S "0" F2), "session_id is not a UUID"},
		{L("\x08\x01" F2), "session_id has the wrong wire type"},
		{L("\x0d"
		   "1234" F1 F2),
		 "session_id has the wrong wire type"},
		{L(F1 "\x10\x01"), "user_context has the wrong wire type"},
		{L(F1 "\x11"
		      "12345678"),
		 "user_context has the wrong wire type"},
		/* requests put together to be read in two ways */
		{L(F1 F2 PLAN "\x0a\x24" S2), "session_id is given twice"},
		{L(F1 F2 PLAN F1), "session_id is given twice"},
		{L(F1 F1 F2 PLAN), "session_id is given twice"},
		{L(F1 F2 PLAN "\x12\x05" BOB), "user_context is given twice"},
		{L(F1 F2 F2 PLAN), "user_context is given twice"},
		{L(F1 F2 "\x12\x00" PLAN), "user_context is given twice"},
		{L(F1 F2 PLAN "\x92\x80\x00\x05" BOB), "user_context is given twice"},
		{L(F1 F2 PLAN "\x10\x01"), "user_context has the wrong wire type"},
		{L(F1 F2 PLAN "\x92\x80\x80\x80\x10\x05" BOB), "malformed request message"},
		{L(F1 F2 PLAN "\x92\x80\x80\x80\x80\x00\x05" BOB), "malformed request message"},
		{L(F1 F2 "\x1b\x1c"), "malformed request message"}, /* a group */
		{L(F1 F2 "\x1b"
			 "\x12\x05" BOB "\x1c"),
		 "malformed request message"},
		{L(F1 F2 "\x02\x00"), "malformed request message"},
		{L(F1 F2 "\x1e"), "malformed request message"},
		{L(F1 F2 "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
		 "malformed request message"},
		{L(F1 F2 "\x1a\x05"
			 "plan"),
		 "a field outruns its message"},
		{L(F1 F2 "\x1a"), "a field outruns its message"},
		{L(F1 F2 "\x18\x80"), "a field outruns its message"},
		{L(F1 F2 "\x1d"
			 "123"),
		 "a field outruns its message"},
		{L(F1 "\x12\x08" ALICE), "a field outruns its message"},
		{L("\x0a\x24"
		   "00112233-4455-6677"),
		 "a field outruns its message"},
		{L(F1 F2 "\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		 "a field outruns its message"},
		{L(F1 F2 "\x1a\x84\x80\x80\x80\x10"
			 "plan"),
		 "a field outruns its message"}, /* 4 to 32 bits */
		/* inside user_context */
		{L(F1 "\x12\x06" ALICE),
		 "a field outruns its message"}, /* 'e' is a tag of type 5 */
		{L(F1 "\x12\x02\x0a\x05" PLAN), "malformed user_context"},
		{L(F1 "\x12\x01\x0a" PLAN), "malformed user_context"},
		{L(F1 "\x12\x02\x08\x01" PLAN), "malformed user_context"},
		{L(F1 "\x12\x02\x10\x01" PLAN), "malformed user_context"},
		{L(F1 "\x12\x02\x1b\x1c" PLAN), "malformed user_context"},
		{L(F1 "\x12\x03\x0a\x01\xff" PLAN), "user_id or user_name is not UTF-8 text"},
		{L(F1 "\x12\x05\x0a\x03"
		      "a\0b" PLAN),
		 "user_id or user_name is not UTF-8 text"},
		{L(F1 "\x12\x05\x12\x03"
		      "a\0b" PLAN),
		 "user_id or user_name is not UTF-8 text"},
		{L(F1 "\x12\x05\x0a\x03\xed\xa0\x80" PLAN),
		 "user_id or user_name is not UTF-8 text"},
	};

	for (size_t i = 0; i < N(rows); i++) {
		struct buf in, out;
		buf_init(&in, 1 << 20);
		add_message(&in, rows[i].in);
		struct ref_run run = feed(buf_str(&in), always, SIZE_MAX, &out);
		cr_expect(!run.accepted, "row %zu", i);
		cr_expect_eq(run.code, GRPC_INVALID_ARGUMENT, "row %zu", i);
		cr_expect_str_eq(run.why ? run.why : "", rows[i].why, "row %zu: %s", i, run.why);
		cr_expect_eq(out.len, 0, "row %zu: nothing goes out of a small bad message", i);
		compare(buf_str(&in), 1);
		buf_free(&in);
		buf_free(&out);
	}
}

Test(envelope, refuses_at_the_prefix)
{
	static const struct {
		struct str in;
		int code;
		const char *why;
	} rows[] = {
		{L("\1\0\0\0\x26" F1), GRPC_UNIMPLEMENTED, "message compression is not supported"},
		{L("\2\0\0\0\x26" F1), GRPC_INVALID_ARGUMENT, "malformed gRPC message prefix"},
		{L("\xff\0\0\0\x26" F1), GRPC_INVALID_ARGUMENT, "malformed gRPC message prefix"},
		{L("\0\x08\0\0\1"), GRPC_RESOURCE_EXHAUSTED, "the message is larger than 128 MiB"},
		{L("\0\xff\xff\xff\xff"), GRPC_RESOURCE_EXHAUSTED,
		 "the message is larger than 128 MiB"},
		{L("\0\x08\0\0\0"), GRPC_INVALID_ARGUMENT, "the request ended within a message"},
		{L("\0\0\0\0\0"), GRPC_INVALID_ARGUMENT, "session_id is missing"},
		{L("\0\0\0\0"), GRPC_INVALID_ARGUMENT, "the request ended within a message"},
		{L(""), GRPC_INVALID_ARGUMENT, "the request has no message"},
		{L("\0\0\0\0\x26" F1 "\0"), GRPC_INVALID_ARGUMENT,
		 "the request ended within a message"},
		{L("\0\0\0\0\x27" F1), GRPC_INVALID_ARGUMENT, "the request ended within a message"},
		{L("\0\0\0\0\x26" F1 "\1\0\0\0\x26" F1), GRPC_UNIMPLEMENTED,
		 "message compression is not supported"},
	};

	for (size_t i = 0; i < N(rows); i++) {
		struct ref_run run = compare(rows[i].in, 1);
		cr_expect(!run.accepted, "row %zu", i);
		cr_expect_eq(run.code, rows[i].code, "row %zu", i);
		cr_expect_str_eq(run.why ? run.why : "", rows[i].why, "row %zu", i);
	}
}

Test(envelope, tells_what_the_client_wrote)
{
	static const struct {
		struct str in;
		const char *user, *name; /* NULL: absent */
	} rows[] = {
		{L(F1 F2), "alice", NULL},
		{L(F1 "\x12\x0a" ALICE NAME), "alice", "n"},
		{L(F1 "\x12\x03" NAME), NULL, "n"},
		{L(F1 "\x12\x02\x0a\x00"), "", NULL},
		{L(F1 "\x12\x00"), NULL, NULL},
		{L(F1), NULL, NULL},
		{L(F1 "\x12\x0c" ALICE BOB), "bob", NULL}, /* the last one, as for the driver */
		{L(F1 "\x12\x06" NAME "\x12\x01"
		      "m"),
		 NULL, "m"},
	};

	for (size_t i = 0; i < N(rows); i++) {
		struct arena *a = arena_new(1024, 1 << 20);
		struct envelope e;
		struct buf in;
		struct str pass, head;
		size_t used = 0;
		buf_init(&in, 1 << 20);
		add_message(&in, rows[i].in);
		envelope_init(&e, a);
		cr_assert_eq(envelope_feed(&e, in.p, in.len, &used, &pass), ENVELOPE_HEAD,
			     "row %zu", i);
		cr_expect_eq(used, in.len);
		cr_expect(str_eq(e.session_id, STR(S)));
		cr_expect_eq(e.user_id.p == NULL, rows[i].user == NULL, "row %zu", i);
		cr_expect_eq(e.user_name.p == NULL, rows[i].name == NULL, "row %zu", i);
		cr_expect(str_eq(e.user_id, str_from(rows[i].user)), "row %zu", i);
		cr_expect(str_eq(e.user_name, str_from(rows[i].name)), "row %zu", i);
		cr_expect(e.whole && str_eq(e.body_start, rows[i].in), "row %zu", i);
		cr_expect_eq(envelope_end(&e), 0, "complete, if not yet sealed");
		cr_expect_eq(e.messages, 0);
		cr_assert_eq(envelope_seal(&e, STR("v"), STR_NONE, &head), 0);
		cr_expect_eq(e.messages, 1);
		buf_free(&in);
		arena_free(&a);
	}
}

Test(envelope, id_lengths)
{
	for (unsigned field = 1; field <= 2; field++) {
		for (size_t n = 255; n <= 257; n++) {
			struct buf ctx, body, in;
			char id[300];
			memset(id, 'u', sizeof id);
			buf_init(&ctx, 1 << 20);
			buf_init(&body, 1 << 20);
			buf_init(&in, 1 << 20);
			ref_put_len(&ctx, field, (struct str){id, n});
			buf_add_str(&body, STR(F1));
			ref_put_len(&body, 2, buf_str(&ctx));
			add_message(&in, buf_str(&body));
			struct ref_run run = compare(buf_str(&in), 1);
			cr_expect_eq(run.accepted, n <= 256);
			buf_free(&ctx);
			buf_free(&body);
			buf_free(&in);
		}
	}
}

Test(envelope, seal_refuses_long_names)
{
	static const struct {
		size_t user, name;
		int want;
	} rows[] = {{256, 256, 0}, {257, 0, E_LIMIT}, {1, 257, E_LIMIT}, {1, 0, 0}};
	static char id[300];

	memset(id, 'u', sizeof id);
	for (size_t i = 0; i < N(rows); i++) {
		struct arena *a = arena_new(1024, 1 << 20);
		struct envelope e;
		struct str pass, head = STR_NONE;
		size_t used;
		envelope_init(&e, a);
		cr_assert_eq(
			envelope_feed(&e, (const uint8_t *)"\0\0\0\0\x26" F1, 43, &used, &pass),
			ENVELOPE_HEAD);
		cr_expect_eq(envelope_seal(&e, (struct str){id, rows[i].user},
					   (struct str){id, rows[i].name}, &head),
			     rows[i].want);
		cr_expect_eq(head.p != NULL, rows[i].want == 0);
		arena_free(&a);
	}
}

Test(envelope, feeding_before_the_seal_is_our_bug, .signal = SIGABRT)
{
	struct arena *a = arena_new(1024, 1 << 20);
	struct envelope e;
	struct str pass;
	size_t used;

	envelope_init(&e, a);
	if (envelope_feed(&e, (const uint8_t *)"\0\0\0\0\x26" F1, 43, &used, &pass) ==
	    ENVELOPE_HEAD)
		(void)!envelope_feed(&e, (const uint8_t *)"", 1, &used, &pass);
}

Test(envelope, errors_are_sticky)
{
	struct arena *a = arena_new(1024, 1 << 20);
	struct envelope e;
	struct str pass;
	size_t used = 77;

	envelope_init(&e, a);
	cr_expect_eq(envelope_feed(&e, (const uint8_t *)"\1\0\0\0\1", 5, &used, &pass), E_SYNTAX);
	cr_expect_eq(used, 77, "untouched");
	cr_expect_eq(envelope_feed(&e, (const uint8_t *)"\0\0\0\0\x26" F1, 43, &used, &pass),
		     E_SYNTAX);
	cr_expect_eq(envelope_end(&e), E_SYNTAX);
	cr_expect_eq(e.code, GRPC_UNIMPLEMENTED);
	arena_free(&a);
}

/* Sizes about the 4 KiB and 64 KiB borders; where field 2 stands, and whether there is one. */
Test(envelope, borders)
{
	enum { AFTER_SESSION, AT_END, NOWHERE, BEFORE_SESSION, SHAPES };
	static const size_t sizes[] = {
		4040,  4041,  4042,  4043,  4085,  4090,  4096,	 4097,	5000,  65480, 65481, 65482,
		65483, 65484, 65485, 65486, 65487, 65488, 65489, 65490, 65491, 65492, 65493, 65494,
		65495, 65496, 65500, 65520, 65530, 65534, 65535, 65536, 65537, 65560, 70000};

	for (size_t i = 0; i < N(sizes); i++) {
		for (int shape = 0; shape < SHAPES; shape++) {
			struct buf body, in;
			buf_init(&body, 1 << 20);
			buf_init(&in, 1 << 20);
			buf_add_str(&body, shape == BEFORE_SESSION ? STR(F2 F1) : STR(F1));
			if (shape == AFTER_SESSION)
				buf_add_str(&body, STR(F2));
			add_filling(&body, 3, sizes[i]);
			if (shape == AT_END)
				buf_add_str(&body, STR(F2));
			buf_add_str(&body, STR(TYPE));
			add_message(&in, buf_str(&body));
			struct ref_run run = compare(buf_str(&in), sizes[i] / 150);
			size_t end = 38 + 4 + sizes[i] + 9;
			cr_expect_eq(run.accepted, shape != AT_END || end <= 65536, "%zu %d",
				     sizes[i], shape);
			cr_expect_lt(run.memory, 160 * 1024);
			buf_free(&body);
			buf_free(&in);
		}
	}
}

/* Filling in pieces, so that every kind of byte (tag, length, content, varint) falls on the 64 KiB
 * border. */
Test(envelope, every_byte_on_the_64_kib_border)
{
	for (size_t shift = 0; shift < 40; shift++) {
		for (int late = 0; late < 3; late++) {
			struct buf body, in;
			buf_init(&body, 1 << 20);
			buf_init(&in, 1 << 20);
			buf_add_str(&body, STR(F1));
			add_filling(&body, 3, 65536 - 38 - 4 - shift);
			buf_add_str(&body, STR("\xba\x3e\x03"
					       "ext"
					       "\x18\x96\x81\x01"
					       "\x21"
					       "12345678"));
			buf_add_str(&body, STR("\x22\x00"
					       "\x2d"
					       "1234"
					       "\x98\x80\x80\x00\x80\x80\x01"));
			if (late == 1)
				buf_add_str(&body, STR(F2));
			if (late == 2)
				buf_add_str(&body, STR(F1));
			add_message(&in, buf_str(&body));
			struct ref_run run = compare(buf_str(&in), 997);
			cr_expect_eq(run.accepted, late == 0, "shift %zu: %s", shift, run.why);
			for (size_t at = 65500; at < in.len; at++) {
				struct buf out;
				struct ref_run whole = feed(buf_str(&in), always, SIZE_MAX, &out);
				same(buf_str(&in), split, at, &whole, &out);
				buf_free(&out);
			}
			buf_free(&body);
			buf_free(&in);
		}
	}
}

Test(envelope, context_of_nearly_64_kib)
{
	for (size_t n = 65536 - 38 - 4 - 4 - 2; n <= 65536 - 38 - 4 - 4 + 2; n++) {
		struct buf ctx, body, in;
		buf_init(&ctx, 1 << 20);
		buf_init(&body, 1 << 20);
		buf_init(&in, 1 << 20);
		add_filling(&ctx, 3, n);
		buf_add_str(&body, STR(F1));
		ref_put_len(&body, 2, buf_str(&ctx));
		size_t head = body.len;
		buf_add_str(&body, STR(PLAN));
		add_message(&in, buf_str(&body));
		struct ref_run run = compare(buf_str(&in), 499);
		cr_expect_eq(run.accepted, head <= 65536, "%zu", n);
		cr_expect_lt(run.memory, 160 * 1024);
		buf_free(&ctx);
		buf_free(&body);
		buf_free(&in);
	}
}

/* After the head has gone out, late faults must be caught before the message is complete. */
Test(envelope, late_faults_never_complete_the_message)
{
	static const struct str late[] = {L(F1),
					  L("\x12\x05" BOB),
					  L("\x12\x00"),
					  L("\x92\x80\x80\x80\x00\x00"),
					  L("\x10\x01"),
					  L("\x08\x01"),
					  L("\x1a"),
					  L("\x1a\x05"
					    "plan"),
					  L("\x18\x80"),
					  L("\x1d"
					    "123"),
					  L("\x9a\x80"),
					  L("\x1b"),
					  L("\x02")};

	for (size_t i = 0; i < N(late); i++) {
		struct buf body, in, out;
		buf_init(&body, 1 << 20);
		buf_init(&in, 1 << 20);
		buf_add_str(&body, STR(F1 F2));
		add_filling(&body, 3, 100000);
		buf_add_str(&body, late[i]);
		add_message(&in, buf_str(&body));
		for (size_t chunk = 1; chunk < in.len; chunk = chunk * 3 + 1) {
			struct ref_run run = feed(buf_str(&in), always, chunk, &out);
			cr_expect(!run.accepted && run.code == GRPC_INVALID_ARGUMENT, "row %zu", i);
			cr_expect_lt(out.len, in.len + 11, "row %zu: 11 bytes are what our ids add",
				     i);
			cr_expect_eq(run.messages > 0, out.len > 0);
			buf_free(&out);
		}
		compare(buf_str(&in), 977);
		buf_free(&body);
		buf_free(&in);
	}
}

Test(envelope, later_messages)
{
	static const struct {
		struct str first, second;
		const char *why; /* NULL: accepted */
	} rows[] = {
		{L(F1 F2), L(F1 F2), NULL},
		{L(F1 F2), L(F1), NULL},
		{L(F1 F2), L(F1 "\x12\x00" PLAN), NULL},
		{L(F1 F2), L(F1 "\x12\x02\x0a\x00" PLAN), NULL},
		{L(F1), L(F1), NULL},
		{L(F1 F2), L("\x0a\x24" S2 F2), "session_id differs from the first message's"},
		{L(F1 F2),
		 L("\x0a\x24"
		   "00112233-4455-6677-8899-AABBCCDDEEFF" F2),
		 "session_id differs from the first message's"},
		{L(F1 F2), L(F1 "\x12\x05" BOB), "user_id differs from the first message's"},
		{L(F1), L(F1 F2), "user_id differs from the first message's"},
		{L(F1 "\x12\x00"), L(F1 F2), "user_id differs from the first message's"},
		{L(F1 F2), L(F2), "session_id is missing"},
		{L(F1 F2), L(""), "session_id is missing"},
		{L(F1 F2), L(F1 F1), "session_id is given twice"},
	};

	for (size_t i = 0; i < N(rows); i++) {
		struct buf in;
		buf_init(&in, 1 << 20);
		add_message(&in, rows[i].first);
		add_message(&in, rows[i].first);
		add_message(&in, rows[i].second);
		struct ref_run run = compare(buf_str(&in), 1);
		cr_expect_eq(run.accepted, rows[i].why == NULL, "row %zu", i);
		cr_expect_str_eq(run.why ? run.why : "", rows[i].why ? rows[i].why : "", "row %zu",
				 i);
		cr_expect_eq(run.messages, rows[i].why == NULL ? 3 : 2, "row %zu", i);
		buf_free(&in);
	}
}

Test(envelope, upload_of_many_messages_uses_its_memory_again)
{
	struct buf body, in, out;
	static const size_t chunks[] = {SIZE_MAX, 16384, 16413, 65536, 1000};

	buf_init(&body, 1 << 20);
	buf_init(&in, 64u << 20);
	buf_add_str(&body, STR(F1 F2));
	add_filling(&body, 5, 32 << 10);
	for (unsigned i = 0; i < 500; i++)
		add_message(&in, buf_str(&body));
	for (size_t i = 0; i < N(chunks); i++) {
		struct ref_run run = feed(buf_str(&in), always, chunks[i], &out);
		cr_expect(run.accepted, "%s", run.why);
		cr_expect_eq(run.messages, 500);
		cr_expect_eq(out.len, in.len + 500 * 8, "eight bytes more of user_context each");
		cr_expect_leq(run.memory, run.first + 8192, "chunks of %zu", chunks[i]);
		buf_free(&out);
	}
	buf_free(&body);
	buf_free(&in);
}

Test(envelope, a_message_of_128_mib_is_not_kept)
{
	static uint8_t chunk[1 << 16];
	const uint32_t total = GRPC_MESSAGE_MAX;
	struct arena *a = arena_new(1024, 1 << 20);
	struct envelope e;
	struct buf in;
	struct str pass, head;
	size_t used = 0, out = 0, left;
	uint8_t prefix[GRPC_PREFIX];

	grpc_prefix_put(prefix, total);
	buf_init(&in, 1 << 20);
	buf_add(&in, prefix, sizeof prefix);
	buf_add_str(&in, STR(F1 F2));
	uint8_t tag[WIRE_HEAD_MAX],
		*end = wire_put_varint(tag, tag + sizeof tag, 3 << 3 | WIRE_LEN);
	end = wire_put_varint(end, tag + sizeof tag, total - 38 - 9 - 5);
	cr_assert_eq(end - tag, 5);
	buf_add(&in, tag, 5);
	left = total - 38 - 9 - 5;
	envelope_init(&e, a);
	cr_assert_eq(envelope_feed(&e, in.p, in.len, &used, &pass), ENVELOPE_HEAD);
	cr_expect_eq(used, in.len - 5, "no more than fields 1 and 2");
	cr_assert_eq(envelope_seal(&e, STR("v"), STR_NONE, &head), 0);
	out += head.n;
	cr_assert_eq(envelope_feed(&e, in.p + used, in.len - used, &used, &pass), ENVELOPE_PASS);
	out += pass.n;
	while (left > 0) {
		size_t n = left < sizeof chunk ? left : sizeof chunk;
		cr_assert_eq(envelope_feed(&e, chunk, n, &used, &pass), ENVELOPE_PASS);
		cr_assert(used == n && pass.p == (char *)chunk && pass.n == n);
		out += pass.n;
		left -= n;
	}
	cr_expect_eq(envelope_end(&e), 0);
	cr_expect_eq(out, 5 + total - 4, "user_context became four bytes shorter");
	cr_expect_lt(arena_used(a), 4096);
	buf_free(&in);
	arena_free(&a);
}

/* Without a user_context: what may follow the long field decides how much must be kept. */
Test(envelope, a_long_field_that_ends_the_message_is_not_kept)
{
	for (int more = 0; more < 2; more++) {
		struct arena *a = arena_new(1024, 1 << 20);
		struct envelope e;
		struct buf body, in;
		struct str pass;
		size_t used;
		buf_init(&body, 1 << 20);
		buf_init(&in, 1 << 20);
		buf_add_str(&body, STR(F1));
		add_filling(&body, 3, 50000);
		if (more)
			buf_add_str(&body, STR(TYPE));
		add_message(&in, buf_str(&body));
		envelope_init(&e, a);
		cr_assert_eq(envelope_feed(&e, in.p, in.len, &used, &pass), ENVELOPE_HEAD);
		cr_expect_eq(used, more ? 5 + 38 + 4 + 50000 : 5 + 38);
		cr_expect_eq(e.body_start.n, used - 5);
		cr_expect_not(e.whole);
		buf_free(&body);
		buf_free(&in);
		arena_free(&a);
	}
}

Test(envelope, out_of_memory)
{
	struct arena *a = arena_new(256, 1024);
	struct envelope e;
	struct buf body, in;
	struct str pass;
	size_t used;

	buf_init(&body, 1 << 20);
	buf_init(&in, 1 << 20);
	buf_add_str(&body, STR(F1));
	add_filling(&body, 3, 3000);
	add_message(&in, buf_str(&body));
	envelope_init(&e, a);
	cr_expect_eq(envelope_feed(&e, in.p, in.len, &used, &pass), E_NOMEM);
	cr_expect_eq(e.code, GRPC_RESOURCE_EXHAUSTED);
	buf_free(&body);
	buf_free(&in);
	arena_free(&a);
}
