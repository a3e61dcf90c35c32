/* proto/status: what is sent is decoded again, by the wire scanner, and must agree with itself. */
#include <criterion/criterion.h>
#include <signal.h>
#include "proto/status.h"
#include "proto/wire.h"

#define ID "00112233-4455-6677-8899-aabbccddeeff"
#define HANDLE(class, words) \
	"[INVALID_HANDLE." class "] The handle " ID " is invalid. " words " SQLSTATE: HY000"

static struct arena *arena;

static void
open_arena(void)
{
	arena = arena_new(4096, 1 << 20);
}

static void
close_arena(void)
{
	arena_free(&arena);
}

TestSuite(status, .init = open_arena, .fini = close_arena);

static struct str
unbase64(struct str s)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t *out = arena_alloc(arena, s.n + 1);
	size_t n = 0, bits = 0;
	uint32_t hold = 0;

	for (size_t i = 0; i < s.n; i++) {
		const char *at = memchr(digits, s.p[i], 64);
		cr_assert_not_null(at, "'%c' is not base64", s.p[i]);
		hold = hold << 6 | (uint32_t)(at - digits);
		bits += 6;
		if (bits >= 8)
			out[n++] = (uint8_t)(hold >> (bits -= 8));
	}
	cr_expect_neq(s.n % 4, 1);
	return (struct str){(char *)out, n};
}

static struct str
unpercent(struct str s)
{
	char *out = arena_alloc(arena, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char hex[3] = "";
		if (s.p[i] != '%') {
			out[n++] = s.p[i];
			continue;
		}
		cr_assert(i + 2 < s.n);
		memcpy(hex, s.p + i + 1, 2);
		out[n++] = (char)strtol(hex, NULL, 16);
		i += 2;
	}
	return (struct str){out, n};
}

/* The last field of that number. */
static struct wire_field
field(struct str message, uint32_t number)
{
	struct wire_cursor c = {(const uint8_t *)message.p, (const uint8_t *)message.p + message.n};
	struct wire_field f, found = {.bytes = STR_NONE};
	int r;

	while ((r = wire_next(&c, &f)) == 1) {
		if (f.number == number)
			found = f;
	}
	cr_assert_eq(r, 0);
	return found;
}

static struct str
metadata(struct str info, const char *key)
{
	struct wire_cursor c = {(const uint8_t *)info.p, (const uint8_t *)info.p + info.n};
	struct wire_field f;

	while (wire_next(&c, &f) == 1) {
		if (f.number == 3 && str_eq(field(f.bytes, 1).bytes, str_from(key)))
			return field(f.bytes, 2).bytes;
	}
	return STR_NONE;
}

/* Encodes, checks that the three fields agree, returns the detail's type and value. */
static struct str
encode(const struct status *s, struct status_fields *f, struct str *ret_type)
{
	struct str status, any;
	unsigned code;

	cr_assert_eq(status_encode(s, arena, f), 0);
	cr_assert_eq(grpc_status_parse(f->code, &code), 0);
	cr_expect_eq(code, s->code);
	if (f->details.p == NULL)
		return STR_NONE;
	status = unbase64(f->details);
	cr_expect_eq(field(status, 1).value, code);
	cr_expect(str_eq(field(status, 2).bytes, unpercent(f->message)), "the messages agree");
	any = field(status, 3).bytes;
	*ret_type = field(any, 1).bytes;
	return field(any, 2).bytes;
}

Test(status, plain)
{
	static const struct {
		enum grpc_code code;
		const char *message, *want;
	} rows[] = {
		{GRPC_UNAUTHENTICATED, "token expired", "token expired"},
		{GRPC_OK, "", ""},
		{GRPC_PERMISSION_DENIED, "100 %\n", "100 %25%0A"},
		{GRPC_INVALID_ARGUMENT, "na\xc3\xafve", "na%C3%AFve"},
		{GRPC_INVALID_ARGUMENT, "bad \xff\xc3", "bad ??"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct status s = {.code = rows[i].code, .message = str_from(rows[i].message)};
		struct status_fields f;
		struct str type;
		encode(&s, &f, &type);
		cr_expect_str_eq(f.message.p, rows[i].want);
		cr_expect_null(f.details.p);
	}
}

Test(status, retry)
{
	static const struct {
		uint32_t ms;
		uint64_t seconds, nanos;
	} rows[] = {{0, 0, 0},		 {1, 0, 1000000},
		    {999, 0, 999000000}, {1500, 1, 500000000},
		    {60000, 60, 0},	 {UINT32_MAX, 4294967, 295000000}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct status s = {.code = GRPC_UNAVAILABLE,
				   .detail = STATUS_RETRY,
				   .message = STR("no healthy driver"),
				   .retry_ms = rows[i].ms};
		struct status_fields f;
		struct str type, delay = field(encode(&s, &f, &type), 1).bytes;
		cr_expect(str_eq(type, STR("type.googleapis.com/google.rpc.RetryInfo")));
		cr_assert_not_null(delay.p, "a delay is there even when it is 0");
		cr_expect_eq(field(delay, 1).value, rows[i].seconds);
		cr_expect_eq(field(delay, 2).value, rows[i].nanos);
		cr_expect_str_eq(f.code.p, "14");
	}
}

Test(status, known_bytes)
{
	struct status s = {.code = GRPC_UNAVAILABLE,
			   .detail = STATUS_RETRY,
			   .message = STR("x"),
			   .retry_ms = 1500};
	struct status_fields f;

	cr_assert_eq(status_encode(&s, arena, &f), 0);
	/* as protoc --encode writes it */
	cr_expect_str_eq(f.details.p, "CA4SAXgaNgoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLl"
				      "JldHJ5SW5mbxIKCggIARCAyrXuAQ");
}

Test(status, sessions)
{
	static const struct {
		enum status_detail detail;
		const char *class, *message;
	} rows[] = {
		{STATUS_SESSION_CHANGED, "INVALID_HANDLE.SESSION_CHANGED",
		 HANDLE("SESSION_CHANGED",
			"The existing Spark server driver instance has restarted. "
			"Please reconnect.")},
		{STATUS_SESSION_CLOSED, "INVALID_HANDLE.SESSION_CLOSED",
		 HANDLE("SESSION_CLOSED", "Session was closed.")},
		{STATUS_SESSION_NOT_FOUND, "INVALID_HANDLE.SESSION_NOT_FOUND",
		 HANDLE("SESSION_NOT_FOUND", "Session not found.")},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct status s = {
			.code = GRPC_INTERNAL, .detail = rows[i].detail, .handle = STR(ID)};
		struct status_fields f;
		struct str type, info = encode(&s, &f, &type);
		cr_expect_str_eq(f.code.p, "13");
		cr_expect_str_eq(f.message.p, rows[i].message);
		cr_expect(str_eq(type, STR("type.googleapis.com/google.rpc.ErrorInfo")));
		cr_expect(str_eq(field(info, 1).bytes, STR("org.apache.spark.SparkSQLException")));
		cr_expect(str_eq(field(info, 2).bytes, STR("org.apache.spark")));
		cr_expect(str_eq(metadata(info, "errorClass"), str_from(rows[i].class)));
		cr_expect(str_eq(metadata(info, "sqlState"), STR("HY000")));
		cr_expect(str_eq(metadata(info, "messageParameters"),
				 STR("{\"handle\":\"" ID "\"}")));
		cr_expect(str_eq(
			metadata(info, "classes"),
			STR("[\"org.apache.spark.SparkSQLException\",\"java.sql.SQLException\","
			    "\"java.lang.Exception\",\"java.lang.Throwable\"]")));
		cr_expect_null(metadata(info, "errorId").p, "clients would ask the driver for it");
	}
}

Test(status, session_with_words_of_our_own)
{
	struct status s = {
		.code = GRPC_INTERNAL,
		.detail = STATUS_SESSION_CLOSED,
		.handle = STR(ID),
		.message = STR("[INVALID_HANDLE.SESSION_CLOSED] ended by an administrator")};
	struct status_fields f;
	struct str type;

	encode(&s, &f, &type);
	cr_expect_str_eq(f.message.p, "[INVALID_HANDLE.SESSION_CLOSED] ended by an administrator");
}

Test(status, handle_cannot_break_out)
{
	struct status s = {.code = GRPC_INTERNAL,
			   .detail = STATUS_SESSION_CLOSED,
			   .handle = STR("\",\"x\":\"\\\n\xff")};
	struct status_fields f;
	struct str type, info = encode(&s, &f, &type);

	cr_expect(str_eq(metadata(info, "messageParameters"), STR("{\"handle\":\"?,?x?:????\"}")));
}

Test(status, long_messages_are_cut_between_characters)
{
	char text[3000];
	struct status s = {.code = GRPC_UNAVAILABLE, .detail = STATUS_RETRY};
	struct status_fields f;
	struct str type;

	for (size_t shift = 0; shift < 4; shift++) {
		memset(text, 'a', sizeof text);
		for (size_t i = shift; i + 3 <= sizeof text; i += 3)
			memcpy(text + i, "\xe2\x82\xac", 3);
		memset(text + sizeof text - 3, 'z', 3);
		s.message = (struct str){text, sizeof text};
		encode(&s, &f, &type);
		struct str got = unpercent(f.message);
		cr_expect(got.n <= 1024 && got.n > 1020 && str_is_utf8(got), "shift %zu", shift);
		cr_expect_lt(f.message.n + f.details.n, 6 * 1024, "fits a client's header block");
	}
}

Test(status, nul_is_replaced)
{
	struct status s = {
		.code = GRPC_UNAVAILABLE, .detail = STATUS_RETRY, .message = {"a\0b\xc3\xa4", 5}};
	struct status_fields f;
	struct str type;

	encode(&s, &f, &type);
	cr_expect_str_eq(f.message.p, "a?b??");
}

Test(status, base64_of_every_length_agrees)
{
	for (size_t n = 0; n < 64; n++) {
		static const char text[65] =
			"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
		struct status s = {.code = GRPC_UNAVAILABLE,
				   .detail = STATUS_RETRY,
				   .message = {text, n},
				   .retry_ms = 7};
		struct status_fields f;
		struct str type;
		encode(&s, &f, &type);
	}
}

Test(status, out_of_memory_at_every_allocation)
{
	struct status s = {
		.code = GRPC_INTERNAL, .detail = STATUS_SESSION_CHANGED, .handle = STR(ID)};
	size_t failures = 0;

	for (size_t ceiling = 256; ceiling < 16384; ceiling += 64) {
		struct arena *small = arena_new(256, ceiling);
		struct status_fields f = {.code = STR_NONE};
		int r = small != NULL ? status_encode(&s, small, &f) : E_NOMEM;
		cr_expect(r == 0 || r == E_NOMEM);
		cr_expect_eq(f.code.p == NULL, r != 0, "untouched on failure");
		failures += r != 0;
		arena_free(&small);
	}
	cr_expect(failures > 0 && failures < 200);
}

Test(status, empty_answers)
{
	static const struct {
		enum method_id id;
		uint32_t session_field;
	} rows[] = {{METHOD_FETCH_ERROR_DETAILS, 4}, {METHOD_RELEASE_SESSION, 1}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str frame;
		struct grpc_prefix prefix;
		cr_assert_eq(status_empty_answer(rows[i].id, STR(ID), arena, &frame), 0);
		cr_assert_eq(grpc_prefix_get((const uint8_t *)frame.p, &prefix), 0);
		cr_assert_eq(prefix.length, frame.n - 5);
		struct str body = {frame.p + 5, frame.n - 5};
		cr_expect_eq(body.n, 38, "nothing but the session");
		cr_expect(str_eq(field(body, rows[i].session_field).bytes, STR(ID)));
		cr_assert_eq(status_empty_answer(rows[i].id, STR_NONE, arena, &frame), 0);
		cr_expect(str_eq(frame, (struct str){"\0\0\0\0\0", 5}));
	}
}

Test(status, empty_answer_of_others, .signal = SIGABRT)
{
	struct str frame;

	cr_assert_eq(status_empty_answer(METHOD_CONFIG, STR(ID), arena, &frame), 0);
}

Test(status, cloned_session)
{
	static const char other[] = "ffffffff-4455-6677-8899-aabbccddeeff";
	static const struct {
		const char *in;
		int err;
		const char *want;
	} rows[] = {
		{"\x0a\x24" ID "\x12\x01s\x1a\x24"
		 "ffffffff-4455-6677-8899-aabbccddeeff"
		 "\x22\x01t",
		 0, other},
		{"\x1a\x24" ID "\x1a\x24"
		 "ffffffff-4455-6677-8899-aabbccddeeff",
		 0, other},
		{"\x0a\x24" ID, E_NOT_FOUND, NULL},
		{"", E_NOT_FOUND, NULL},
		{"\x18\x01", E_NOT_FOUND, NULL},
		{"\x1a\x03"
		 "abc",
		 E_SYNTAX, NULL},
		{"\x1a\x25" ID, E_SYNTAX, NULL},
		{"\x1b", E_SYNTAX, NULL},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str got = STR_NONE;
		cr_expect_eq(status_cloned_session(str_from(rows[i].in), &got), rows[i].err,
			     "row %zu", i);
		cr_expect(str_eq(got, str_from(rows[i].want)), "row %zu", i);
	}
}
