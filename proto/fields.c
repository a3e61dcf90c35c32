/*
 * Rules about header fields: one table of the names that mean something here. Pure.
 */
#include "lib/names.h"
#include "proto/fields.h"

/* By length, so that a look-up compares only names of its own length. */
static const struct {
	struct str name;
	enum field_name id;
} names[] = {
	{{"te", 2}, FIELD_TE},
	{{"host", 4}, FIELD_HOST},
	{{":path", 5}, FIELD_PATH},
	{{"cookie", 6}, FIELD_COOKIE},
	{{":method", 7}, FIELD_METHOD},
	{{":scheme", 7}, FIELD_SCHEME},
	{{":status", 7}, FIELD_STATUS},
	{{"upgrade", 7}, FIELD_HOP_BY_HOP},
	{{"trailer", 7}, FIELD_HOP_BY_HOP},
	{{":authority", 10}, FIELD_AUTHORITY},
	{{"connection", 10}, FIELD_HOP_BY_HOP},
	{{"keep-alive", 10}, FIELD_HOP_BY_HOP},
	{{"tracestate", 10}, FIELD_TRACESTATE},
	{{"grpc-status", 11}, FIELD_GRPC_STATUS},
	{{"traceparent", 11}, FIELD_TRACEPARENT},
	{{"content-type", 12}, FIELD_CONTENT_TYPE},
	{{"grpc-timeout", 12}, FIELD_GRPC_TIMEOUT},
	{{"grpc-message", 12}, FIELD_GRPC_MESSAGE},
	{{"authorization", 13}, FIELD_AUTHORIZATION},
	{{"grpc-encoding", 13}, FIELD_GRPC_ENCODING},
	{{"authentication", 14}, FIELD_AUTHENTICATION},
	{{"content-length", 14}, FIELD_CONTENT_LENGTH},
	{{"http2-settings", 14}, FIELD_HOP_BY_HOP},
	{{"proxy-connection", 16}, FIELD_HOP_BY_HOP},
	{{"transfer-encoding", 17}, FIELD_HOP_BY_HOP},
	{{"proxy-authenticate", 18}, FIELD_HOP_BY_HOP},
	{{"proxy-authorization", 19}, FIELD_HOP_BY_HOP},
	{{"grpc-status-details-bin", 23}, FIELD_GRPC_STATUS_DETAILS},
	{{"spark-connect-operation-id", 26}, FIELD_OPERATION_ID},
};
#define NAMES (sizeof names / sizeof names[0])

/* One more than where the names of each length begin; 0: none. Checked against the table by its
 * test. */
static const uint8_t first[] = {
	[2] = 1,   [4] = 2,   [5] = 3,	 [6] = 4,   [7] = 5,   [10] = 10, [11] = 14, [12] = 16,
	[13] = 19, [14] = 21, [16] = 24, [17] = 25, [18] = 26, [19] = 27, [23] = 28, [26] = 29,
};

/* Called for every field of every RPC. */
enum field_name
fields_name(struct str name)
{
	if (name.n >= sizeof first || first[name.n] == 0)
		return FIELD_OTHER;
	for (size_t i = first[name.n] - 1u; i < NAMES && names[i].name.n == name.n; i++)
		if (names_same(names[i].name, name))
			return names[i].id;
	return FIELD_OTHER;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool
is_alnum(char c)
{
	return is_digit(c) || is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool
is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

bool
fields_path_ok(struct str path)
{
	size_t segments = 0;

	if (path.n < 2 || path.p[0] != '/' || path.p[path.n - 1] == '/')
		return false;
	for (size_t i = 0; i < path.n; i++) {
		char c = path.p[i], next = i + 1 < path.n ? path.p[i + 1] : '\0';
		if (c <= ' ' || c > '~' || c == '#' || c == '?')
			return false;
		if ((c == '.' || c == '/') && next == c)
			return false;
		segments += c == '/';
	}
	return segments >= 2;
}

/* Splits at the port's colon, which in an IPv6 literal follows the bracket. rest.p == NULL: no
 * port. */
static struct str
cut_port(struct str authority, struct str *rest)
{
	const char *bracket;
	size_t n;

	if (authority.n == 0 || authority.p[0] != '[')
		return str_cut(authority, ':', rest);
	bracket = memchr(authority.p, ']', authority.n);
	n = bracket == NULL ? authority.n : (size_t)(bracket + 1 - authority.p);
	*rest = STR_NONE;
	if (n < authority.n && authority.p[n] == ':')
		*rest = (struct str){authority.p + n + 1, authority.n - n - 1};
	else if (n < authority.n)
		return authority;
	return (struct str){authority.p, n};
}

static bool
is_host(struct str host)
{
	bool literal = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';

	if (literal)
		host = (struct str){host.p + 1, host.n - 2};
	if (host.n == 0 || host.n > 254 || host.p[0] == '.')
		return false;
	for (size_t i = 0; i < host.n; i++) {
		char c = host.p[i], low = (char)(c | 0x20);
		if (literal && !is_digit(c) && !(low >= 'a' && low <= 'f') && !is_one_of(c, ":."))
			return false;
		if (!literal && !is_alnum(c) && !is_one_of(c, "-._~"))
			return false;
	}
	return true;
}

bool
fields_authority_ok(struct str authority)
{
	struct str port, host = cut_port(authority, &port);
	uint64_t number;

	if (!is_host(host))
		return false;
	if (port.p == NULL)
		return true;
	return port.n <= 5 && str_u64(port, 65535, &number) == 0 && number > 0;
}

struct str
fields_authority_host(struct str authority)
{
	struct str port, host = cut_port(authority, &port);

	if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		return (struct str){host.p + 1, host.n - 2};
	if (host.n > 0 && host.p[host.n - 1] == '.')
		host.n--;
	return host;
}

struct str
fields_bearer(struct str value)
{
	static const struct str scheme = {"Bearer ", 7};

	if (value.n <= scheme.n || !str_eq_nocase((struct str){value.p, scheme.n}, scheme))
		return STR_NONE;
	return (struct str){value.p + scheme.n, value.n - scheme.n};
}

bool
fields_token_ok(struct str token)
{
	size_t i = 0;

	while (i < token.n && (is_alnum(token.p[i]) || is_one_of(token.p[i], "-._~+/")))
		i++;
	if (i == 0)
		return false;
	while (i < token.n && token.p[i] == '=')
		i++;
	return i == token.n;
}

bool
fields_forward_request(enum field_name name)
{
	switch (name) {
	case FIELD_OTHER:
	case FIELD_COOKIE:
	case FIELD_TRACESTATE:
	case FIELD_OPERATION_ID:
	case FIELD_GRPC_ENCODING: return true;
	default: return false;
	}
}

bool
fields_forward_response(enum field_name name)
{
	switch (name) {
	case FIELD_OTHER:
	case FIELD_TRACEPARENT:
	case FIELD_TRACESTATE:
	case FIELD_OPERATION_ID:
	case FIELD_CONTENT_TYPE:
	case FIELD_GRPC_ENCODING:
	case FIELD_GRPC_STATUS:
	case FIELD_GRPC_MESSAGE:
	case FIELD_GRPC_STATUS_DETAILS: return true;
	default: return false;
	}
}
