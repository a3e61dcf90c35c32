/*
 * proto/fields: what the rules let through cannot hurt whoever writes it into a header block, a log
 * or a URL.
 */
#include "lib/panic.h"
#include "proto/fields.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static bool
has(struct str s, const char *set)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\0' || strchr(set, s.p[i]) != NULL)
			return true;
	}
	return false;
}

static bool
inside(struct str part, struct str of)
{
	return part.p >= of.p && part.p + part.n <= of.p + of.n;
}

static void
check_authority(struct str s)
{
	struct str host = fields_authority_host(s);

	if (s.n > 0)
		ASSERT(inside(host, s));
	if (!fields_authority_ok(s))
		return;
	ASSERT(host.n > 0 && !has(s, "\r\n @/\\?#%,"));
	ASSERT(s.p[0] == '[' || !has(host, ":[]"));
	ASSERT(s.n <= 254 + 6);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct str s = {(const char *)p, n}, token = fields_bearer(s);
	enum field_name name = fields_name(s);

	if (name != FIELD_OTHER)
		ASSERT(n > 0 && !has(s, "\r\n \t\"(),/;<=>?@[]{}ABCXYZ"));
	if (fields_path_ok(s))
		ASSERT(s.p[0] == '/' && n >= 4 && !has(s, "\r\n #?\t\x7f"));
	check_authority(s);
	if (token.p != NULL)
		ASSERT(inside(token, s) && token.n == n - 7);
	if (fields_token_ok(token))
		ASSERT(token.n > 0 && !has(token, "\r\n \t,\"\x7f"));
	if (name == FIELD_HOP_BY_HOP || name == FIELD_AUTHORIZATION)
		ASSERT(!fields_forward_request(name) && !fields_forward_response(name));
	return 0;
}
