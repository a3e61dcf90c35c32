/*
 * proto/envelope against the plain reference of t/fuzz/envelope_ref.h: what is accepted and how it
 * is rewritten, what is refused, and in which words. Every stream is fed whole, split in two
 * everywhere, and byte by byte.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include "t/unit/envelope_rig.h"

TestSuite(envelope, .timeout = 120);

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
		rig_add_message(&in, rows[i].in);
		rig_add_message(&want, rows[i].want);
		struct ref_run run = rig_feed(buf_str(&in), rig_always, SIZE_MAX, &out);
		cr_expect(run.accepted, "row %zu: %s", i, run.why);
		cr_expect(str_eq(buf_str(&out), buf_str(&want)), "row %zu", i);
		cr_expect(run.whole && run.messages == 1, "row %zu", i);
		rig_compare(buf_str(&in), 1);
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
		rig_add_message(&in, rows[i].in);
		struct ref_run run = rig_feed(buf_str(&in), rig_always, SIZE_MAX, &out);
		cr_expect(!run.accepted, "row %zu", i);
		cr_expect_eq(run.code, GRPC_INVALID_ARGUMENT, "row %zu", i);
		cr_expect_str_eq(run.why ? run.why : "", rows[i].why, "row %zu: %s", i, run.why);
		cr_expect_eq(out.len, 0, "row %zu: nothing goes out of a small bad message", i);
		rig_compare(buf_str(&in), 1);
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
		struct ref_run run = rig_compare(rows[i].in, 1);
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
		rig_add_message(&in, rows[i].in);
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
			rig_add_message(&in, buf_str(&body));
			struct ref_run run = rig_compare(buf_str(&in), 1);
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
		rig_add_message(&in, rows[i].first);
		rig_add_message(&in, rows[i].first);
		rig_add_message(&in, rows[i].second);
		struct ref_run run = rig_compare(buf_str(&in), 1);
		cr_expect_eq(run.accepted, rows[i].why == NULL, "row %zu", i);
		cr_expect_str_eq(run.why ? run.why : "", rows[i].why ? rows[i].why : "", "row %zu",
				 i);
		cr_expect_eq(run.messages, rows[i].why == NULL ? 3 : 2, "row %zu", i);
		buf_free(&in);
	}
}
