/*
 * proto/grpc, timeout, uuid, methods and status: whatever the bytes, nothing breaks, and what is
 * written is read back.
 */
#include "lib/panic.h"
#include "proto/grpc.h"
#include "proto/methods.h"
#include "proto/status.h"
#include "proto/timeout.h"
#include "proto/uuid.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check_counter(const uint8_t *p, size_t n)
{
	struct grpc_counter whole = {0}, split = {0};
	size_t at = n > 0 ? p[0] % n : 0;
	uint64_t messages = 0;
	size_t left = n;

	grpc_count(&whole, p, n);
	grpc_count(&split, p, at);
	grpc_count(&split, p + at, n - at);
	ASSERT(whole.messages == split.messages && whole.left == split.left &&
	       whole.have == split.have);
	while (left >= GRPC_PREFIX) {
		const uint8_t *q = p + n - left;
		uint32_t length =
			(uint32_t)q[1] << 24 | (uint32_t)q[2] << 16 | (uint32_t)q[3] << 8 | q[4];
		messages++;
		left -= GRPC_PREFIX;
		if (length >= left) {
			ASSERT(grpc_count_at_boundary(&whole) == (length == left));
			left = 0;
			break;
		}
		left -= length;
	}
	ASSERT(whole.messages == messages);
}

static void
check_prefix(const uint8_t *p, size_t n)
{
	struct grpc_prefix prefix;
	uint8_t back[GRPC_PREFIX];

	if (n < GRPC_PREFIX || grpc_prefix_get(p, &prefix) < 0)
		return;
	grpc_prefix_put(back, prefix.length);
	ASSERT(memcmp(p + 1, back + 1, 4) == 0 && prefix.compressed == p[0]);
}

static void
check_percent(struct str s, struct arena *a)
{
	struct str out = grpc_percent_encode(a, s);
	size_t k = 0;

	for (size_t i = 0; i < out.n; i++, k++) {
		unsigned c = (unsigned char)out.p[i];
		ASSERT(c >= 0x20 && c <= 0x7e);
		if (c == '%') {
			char hex[3] = {out.p[i + 1], out.p[i + 2], '\0'};
			c = (unsigned)strtoul(hex, NULL, 16);
			i += 2;
		}
		ASSERT(k < s.n && c == (unsigned char)s.p[k]);
	}
	ASSERT(k == s.n && out.p[out.n] == '\0');
}

static void
check_small(struct str s)
{
	uint64_t ns;
	unsigned code;
	uint8_t id[16], again[16];
	char text[UUID_TEXT], timeout[12];
	const struct method *m;

	if (timeout_parse(s, &ns) == 0) {
		uint64_t back;
		size_t k = timeout_put(ns, timeout, sizeof timeout);
		ASSERT(timeout_parse((struct str){timeout, k}, &back) == 0);
		ASSERT(back <= ns && (back > 0 || ns == 0));
	}
	if (grpc_status_parse(s, &code) == 0)
		ASSERT(code <= 99 && grpc_code_name(code) != NULL);
	if (uuid_parse(s, id) == 0) {
		ASSERT(uuid_parse(str_from(uuid_text(id, text)), again) == 0);
		ASSERT(memcmp(id, again, sizeof id) == 0 && str_eq_nocase(s, str_from(text)));
	}
	if (methods_find(s, &m) == 0)
		ASSERT(methods_get(m->id) == m);
	(void)grpc_is_content_type(s);
}

static void
check_status(struct str s, struct arena *a)
{
	struct status st = {.code = GRPC_INTERNAL, .message = s, .handle = s};
	struct status_fields f;
	struct str cloned;

	for (int detail = STATUS_PLAIN; detail <= STATUS_SESSION_NOT_FOUND; detail++) {
		st.detail = (enum status_detail)detail;
		st.message = detail == STATUS_SESSION_CLOSED ? STR_NONE : s;
		ASSERT(status_encode(&st, a, &f) == 0);
		ASSERT(f.message.n + f.details.n < (8u << 10));
		ASSERT((f.details.p == NULL) == (detail == STATUS_PLAIN));
	}
	if (status_cloned_session(s, &cloned) == 0)
		ASSERT(cloned.n == UUID_TEXT - 1 && cloned.p >= s.p &&
		       cloned.p + cloned.n <= s.p + s.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct str s = {(const char *)p, n};
	struct arena *a = arena_new(4096, 16u << 20);

	check_counter(p, n);
	check_prefix(p, n);
	check_percent(s, a);
	check_small(s);
	check_status(s, a);
	arena_free(&a);
	return 0;
}
