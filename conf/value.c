/*
 * Values by type: what is accepted, and in which words the rest is refused.
 */
#include "conf/url.h"
#include "conf/value.h"
#include "lib/panic.h"

#define NAME_MAX_BYTES 63
#define TEXT_MAX_BYTES 255
#define PATH_MAX_BYTES 4095

static const char name_chars[] =
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
static const char token_chars[] =
	"abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~"; /* RFC 9110 5.6.2 */

static bool
only(struct str s, const char *chars)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\0' || strchr(chars, s.p[i]) == NULL)
			return false;
	return true;
}

static bool
has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

bool
value_is_name(struct str s)
{
	return s.n >= 1 && s.n <= NAME_MAX_BYTES && only(s, name_chars);
}

static struct str
lower(struct arena *arena, struct str s)
{
	char *copy = arena_copy(arena, s.p, s.n);

	if (copy == NULL)
		return STR_NONE;
	for (size_t i = 0; i < s.n; i++)
		if (copy[i] >= 'A' && copy[i] <= 'Z')
			copy[i] = (char)(copy[i] - 'A' + 'a');
	return (struct str){copy, s.n};
}

static void
fail(struct loading *l, const struct yaml_node *node, const char *key, const char *wanted)
{
	loading_fail_at(l, node, key, "'%s' is not %s", yaml_shown(l->conf->arena, node->text),
			wanted);
}

static void
fail_bounds(struct loading *l, const struct schema_row *row, const struct yaml_node *node,
	    const char *key)
{
	char bounds[80];

	loading_fail_at(l, node, key, "%s is out of bounds, must be %s%s%s",
			yaml_shown(l->conf->arena, node->text),
			schema_bounds_text(row, bounds, sizeof(bounds)), row->unit ? " " : "",
			row->unit ? row->unit : "");
}

static void
set_number(struct loading *l, const struct schema_row *row, const struct yaml_node *node,
	   const char *key, void *field)
{
	uint64_t value = 0;
	int err;

	if (row->type == SCHEMA_DURATION)
		err = str_duration_ms(node->text, &value);
	else if (row->type == SCHEMA_SIZE)
		err = str_size(node->text, &value);
	else
		err = str_u64(node->text, UINT32_MAX, &value);
	if (err == E_SYNTAX && row->type == SCHEMA_DURATION)
		fail(l, node, key, "a duration: write a number with ms, s, m, h or d, such as 30s");
	else if (err == E_SYNTAX && row->type == SCHEMA_SIZE)
		fail(l, node, key, "a size: write a number of bytes, or with KiB, MiB, GiB");
	else if (err == E_SYNTAX)
		fail(l, node, key, row->words != NULL ? "a number or 'auto'" : "a number");
	else if (err != 0 || value < row->min || value > row->max)
		fail_bounds(l, row, node, key);
	else if (row->type == SCHEMA_U32)
		*(uint32_t *)field = (uint32_t)value;
	else
		*(uint64_t *)field = value;
}

static void
set_enum(struct loading *l, const struct schema_row *row, const struct yaml_node *node,
	 const char *key, void *field)
{
	int value = schema_word(row->words, node->text);

	if (value >= 0)
		*(unsigned *)field = (unsigned)value;
	else
		loading_fail_at(l, node, key, "'%s' is not known here; accepted: %s",
				yaml_shown(l->conf->arena, node->text), row->words);
}

static void
set_bool(struct loading *l, const struct yaml_node *node, const char *key, bool *field)
{
	int value = schema_word("false true", node->text);

	if (value >= 0)
		*field = value == 1;
	else
		fail(l, node, key, "true or false");
}

static void
set_address(struct loading *l, const struct yaml_node *node, const char *key,
	    struct sock_addr *field)
{
	struct sock_addr address;

	if (sock_addr_parse(node->text, &address) != 0)
		fail(l, node, key,
		     "an address and port such as \"127.0.0.1:15002\" or \"[::1]:15002\"");
	else if (address.port == 0)
		loading_fail_at(l, node, key, "the port must be 1 to 65535");
	else
		*field = address;
}

/* A name, or an address as sock_addr_parse() takes it. */
static bool
is_hostport(struct str s)
{
	struct sock_addr address;
	struct str host;
	uint16_t port;

	if (sock_addr_parse(s, &address) == 0)
		return address.port != 0;
	return s.p[0] != '[' && sock_split_host_port(s, &host, &port) == 0 && port != 0 &&
	       url_is_host(host);
}

/* Relative ones start in the folder of the configuration file. */
static void
set_path(struct loading *l, const struct schema_row *row, const struct yaml_node *node,
	 const char *key, struct str *field)
{
	struct str text = node->text, folder = l->conf->path;
	char *path;

	if (row->words != NULL && schema_word(row->words, text) >= 0) {
		*field = arena_str(l->conf->arena, text);
		return;
	}
	if (text.n > PATH_MAX_BYTES || has_control(text)) {
		fail(l, node, key, "a path");
		return;
	}
	if (text.p[0] == '/') {
		*field = arena_str(l->conf->arena, text);
		return;
	}
	while (folder.n > 0 && folder.p[folder.n - 1] != '/')
		folder.n--;
	path = arena_printf(l->conf->arena, "%.*s%s", STR_ARG(folder), text.p);
	*field = str_from(path);
}

static void
set_host(struct loading *l, enum schema_type type, const struct yaml_node *node, const char *key,
	 struct str *field)
{
	struct str host = lower(l->conf->arena, node->text), bare = host;

	if (type == SCHEMA_PATTERN && str_starts(bare, STR("*.")))
		bare = (struct str){bare.p + 2, bare.n - 2};
	if (url_is_host(bare))
		*field = host;
	else if (type == SCHEMA_PATTERN)
		fail(l, node, key, "a host name, nor \"*.\" and a host name");
	else
		fail(l, node, key, "a host name");
}

static void
set_header(struct loading *l, const struct yaml_node *node, const char *key, struct str *field)
{
	struct str name = lower(l->conf->arena, node->text);

	if (name.n > NAME_MAX_BYTES || !only(name, token_chars))
		fail(l, node, key, "a header name (at most 63 of a-z 0-9 - _ . and the like)");
	else if (!str_eq(name, node->text))
		loading_fail_at(l, node, key, "header names are written in lower case here: '%s'",
				name.p);
	else
		*field = name;
}

static void
set_url(struct loading *l, const struct yaml_node *node, const char *key, struct str *field)
{
	const char *wrong = url_wrong(node->text);

	if (wrong != NULL)
		loading_fail_at(l, node, key, "%s", wrong);
	else
		*field = arena_str(l->conf->arena, node->text);
}

static void
set_str(struct loading *l, enum schema_type type, const struct yaml_node *node, const char *key,
	struct str *field)
{
	struct str s = node->text;

	if (type == SCHEMA_NAME && !value_is_name(s))
		fail(l, node, key, "a name: 1 to 63 letters, digits, '.', '_' or '-'");
	else if (type == SCHEMA_TEXT && (s.n > TEXT_MAX_BYTES || has_control(s)))
		fail(l, node, key, "a text of 1 to 255 bytes without control characters");
	else if (type == SCHEMA_HOSTPORT && !is_hostport(s))
		fail(l, node, key, "host:port with a port of 1 to 65535");
	else
		*field = arena_str(l->conf->arena, s);
}

void
value_set(struct loading *l, const struct schema_row *row, enum schema_type type,
	  const struct yaml_node *node, const char *key, void *field)
{
	if (node->kind != YAML_SCALAR) {
		loading_fail_at(l, node, key, "must be a single value (%s), not a %s",
				schema_type_text(row), node->kind == YAML_LIST ? "list" : "block");
		return;
	}
	if (node->text.n == 0) {
		loading_fail_at(l, node, key, "has no value");
		return;
	}
	switch (type) {
	case SCHEMA_U32:
		if (row->words != NULL && schema_word(row->words, node->text) >= 0) {
			*(uint32_t *)field = 0; /* settled by the loader */
			return;
		}
		/* fall through */
	case SCHEMA_DURATION:
	case SCHEMA_SIZE: set_number(l, row, node, key, field); return;
	case SCHEMA_BOOL: set_bool(l, node, key, field); return;
	case SCHEMA_ENUM: set_enum(l, row, node, key, field); return;
	case SCHEMA_ADDRESS: set_address(l, node, key, field); return;
	case SCHEMA_PATH: set_path(l, row, node, key, field); return;
	case SCHEMA_HOST:
	case SCHEMA_PATTERN: set_host(l, type, node, key, field); return;
	case SCHEMA_HEADER: set_header(l, node, key, field); return;
	case SCHEMA_URL: set_url(l, node, key, field); return;
	case SCHEMA_NAME:
	case SCHEMA_TEXT:
	case SCHEMA_HOSTPORT: set_str(l, type, node, key, field); return;
	case SCHEMA_MAP:
	case SCHEMA_LIST:
	case SCHEMA_STRS: break;
	}
	ASSERT(!"blocks and lists are filled by the tree walk");
}
