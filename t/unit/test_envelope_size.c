/*
 * proto/envelope by size: messages about the borders of 4 and 64 KiB, faults that come when the
 * head has gone out, and how little is kept of long ones.
 */
#include <criterion/criterion.h>
#include "t/unit/envelope_rig.h"

TestSuite(envelope_size, .timeout = 120);

/* Sizes about the 4 KiB and 64 KiB borders; where field 2 stands, and whether there is one. */
Test(envelope_size, borders)
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
			rig_add_filling(&body, 3, sizes[i]);
			if (shape == AT_END)
				buf_add_str(&body, STR(F2));
			buf_add_str(&body, STR(TYPE));
			rig_add_message(&in, buf_str(&body));
			struct ref_run run = rig_compare(buf_str(&in), sizes[i] / 150);
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
Test(envelope_size, every_byte_on_the_64_kib_border)
{
	for (size_t shift = 0; shift < 40; shift++) {
		for (int late = 0; late < 3; late++) {
			struct buf body, in;
			buf_init(&body, 1 << 20);
			buf_init(&in, 1 << 20);
			buf_add_str(&body, STR(F1));
			rig_add_filling(&body, 3, 65536 - 38 - 4 - shift);
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
			rig_add_message(&in, buf_str(&body));
			struct ref_run run = rig_compare(buf_str(&in), 997);
			cr_expect_eq(run.accepted, late == 0, "shift %zu: %s", shift, run.why);
			for (size_t at = 65500; at < in.len; at++) {
				struct buf out;
				struct ref_run whole =
					rig_feed(buf_str(&in), rig_always, SIZE_MAX, &out);
				rig_same(buf_str(&in), rig_split, at, &whole, &out);
				buf_free(&out);
			}
			buf_free(&body);
			buf_free(&in);
		}
	}
}

Test(envelope_size, context_of_nearly_64_kib)
{
	for (size_t n = 65536 - 38 - 4 - 4 - 2; n <= 65536 - 38 - 4 - 4 + 2; n++) {
		struct buf ctx, body, in;
		buf_init(&ctx, 1 << 20);
		buf_init(&body, 1 << 20);
		buf_init(&in, 1 << 20);
		rig_add_filling(&ctx, 3, n);
		buf_add_str(&body, STR(F1));
		ref_put_len(&body, 2, buf_str(&ctx));
		size_t head = body.len;
		buf_add_str(&body, STR(PLAN));
		rig_add_message(&in, buf_str(&body));
		struct ref_run run = rig_compare(buf_str(&in), 499);
		cr_expect_eq(run.accepted, head <= 65536, "%zu", n);
		cr_expect_lt(run.memory, 160 * 1024);
		buf_free(&ctx);
		buf_free(&body);
		buf_free(&in);
	}
}

/* After the head has gone out, late faults must be caught before the message is complete. */
Test(envelope_size, late_faults_never_complete_the_message)
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
		rig_add_filling(&body, 3, 100000);
		buf_add_str(&body, late[i]);
		rig_add_message(&in, buf_str(&body));
		for (size_t chunk = 1; chunk < in.len; chunk = chunk * 3 + 1) {
			struct ref_run run = rig_feed(buf_str(&in), rig_always, chunk, &out);
			cr_expect(!run.accepted && run.code == GRPC_INVALID_ARGUMENT, "row %zu", i);
			cr_expect_lt(out.len, in.len + 11, "row %zu: 11 bytes are what our ids add",
				     i);
			cr_expect_eq(run.messages > 0, out.len > 0);
			buf_free(&out);
		}
		rig_compare(buf_str(&in), 977);
		buf_free(&body);
		buf_free(&in);
	}
}

Test(envelope_size, upload_of_many_messages_uses_its_memory_again)
{
	struct buf body, in, out;
	static const size_t chunks[] = {SIZE_MAX, 16384, 16413, 65536, 1000};

	buf_init(&body, 1 << 20);
	buf_init(&in, 64u << 20);
	buf_add_str(&body, STR(F1 F2));
	rig_add_filling(&body, 5, 32 << 10);
	for (unsigned i = 0; i < 500; i++)
		rig_add_message(&in, buf_str(&body));
	for (size_t i = 0; i < N(chunks); i++) {
		struct ref_run run = rig_feed(buf_str(&in), rig_always, chunks[i], &out);
		cr_expect(run.accepted, "%s", run.why);
		cr_expect_eq(run.messages, 500);
		cr_expect_eq(out.len, in.len + 500 * 8, "eight bytes more of user_context each");
		cr_expect_leq(run.memory, run.first + 8192, "chunks of %zu", chunks[i]);
		buf_free(&out);
	}
	buf_free(&body);
	buf_free(&in);
}

Test(envelope_size, a_message_of_128_mib_is_not_kept)
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
Test(envelope_size, a_long_field_that_ends_the_message_is_not_kept)
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
		rig_add_filling(&body, 3, 50000);
		if (more)
			buf_add_str(&body, STR(TYPE));
		rig_add_message(&in, buf_str(&body));
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

Test(envelope_size, out_of_memory)
{
	struct arena *a = arena_new(256, 1024);
	struct envelope e;
	struct buf body, in;
	struct str pass;
	size_t used;

	buf_init(&body, 1 << 20);
	buf_init(&in, 1 << 20);
	buf_add_str(&body, STR(F1));
	rig_add_filling(&body, 3, 3000);
	rig_add_message(&in, buf_str(&body));
	envelope_init(&e, a);
	cr_expect_eq(envelope_feed(&e, in.p, in.len, &used, &pass), E_NOMEM);
	cr_expect_eq(e.code, GRPC_RESOURCE_EXHAUSTED);
	buf_free(&body);
	buf_free(&in);
	arena_free(&a);
}
