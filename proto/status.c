/*
 * Answers of the gateway's own: protobuf-c builds the small messages in the arena. Pure.
 *
 * Clients raise ValueError when grpc-message and the message in grpc-status-details-bin differ, so
 * both come from one string, which is first made fit for both (one line of UTF-8, short enough for
 * a client's 8 KiB of header block).
 */
#include "proto/status.h"
#include "lib/panic.h"
#include "proto/base64.h"
#include "proto/gateway.pb-c.h"
#include "proto/uuid.h"
#include "proto/wire.h"

#define MESSAGE_MAX    1024u
#define TYPE_URL(name) "type.googleapis.com/google.rpc." name
#define SQL_STATE      "HY000"

/* Names and words of apache/spark error-conditions.json. */
static const struct {
	const char *class, *words;
} sessions[] = {
	[STATUS_SESSION_CHANGED] = {"INVALID_HANDLE.SESSION_CHANGED",
				    "The existing Spark server driver instance has restarted. "
				    "Please reconnect."},
	[STATUS_SESSION_CLOSED] = {"INVALID_HANDLE.SESSION_CLOSED", "Session was closed."},
	[STATUS_SESSION_NOT_FOUND] = {"INVALID_HANDLE.SESSION_NOT_FOUND", "Session not found."},
};

static bool
is_session(enum status_detail d)
{
	return d == STATUS_SESSION_CHANGED || d == STATUS_SESSION_CLOSED ||
	       d == STATUS_SESSION_NOT_FOUND;
}

static struct str
packed(struct arena *a, const ProtobufCMessage *m)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	uint8_t *p = arena_alloc(a, n + 1);

	if (p == NULL)
		return STR_NONE;
	protobuf_c_message_pack(m, p);
	return (struct str){(char *)p, n};
}

static char *
cstr(struct arena *a, const char *z)
{
	return arena_copy(a, z, strlen(z));
}

/* A copy that every reader takes the same way: valid UTF-8, no NUL, cut between characters. */
static struct str
tidy(struct arena *a, struct str s)
{
	bool good = str_is_utf8(s);
	size_t n = s.n;
	char *p;

	if (n > MESSAGE_MAX) {
		n = MESSAGE_MAX;
		while (good && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
			n--;
	}
	p = arena_copy(a, s.p == NULL ? "" : s.p, n);
	if (p == NULL)
		return STR_NONE;
	for (size_t i = 0; !good && i < n; i++) {
		if (p[i] == '\0' || (unsigned char)p[i] >= 0x80)
			p[i] = '?';
	}
	return (struct str){p, n};
}

/* Session ids have been checked long before; what still is none cannot break out of the JSON text
 * here. */
static char *
tidy_handle(struct arena *a, struct str handle)
{
	char *p;

	if (handle.n >= UUID_TEXT)
		handle.n = UUID_TEXT - 1;
	p = arena_copy(a, handle.p == NULL ? "" : handle.p, handle.n);
	for (size_t i = 0; p != NULL && i < handle.n; i++) {
		if (p[i] < ' ' || p[i] > '~' || p[i] == '"' || p[i] == '\\')
			p[i] = '?';
	}
	return p;
}

static struct str
make_message(const struct status *s, struct arena *a)
{
	char *handle;

	if (s->message.p != NULL || !is_session(s->detail))
		return tidy(a, s->message);
	handle = tidy_handle(a, s->handle);
	if (handle == NULL)
		return STR_NONE;
	return str_from(arena_printf(a, "[%s] The handle %s is invalid. %s SQLSTATE: " SQL_STATE,
				     sessions[s->detail].class, handle, sessions[s->detail].words));
}

/* ErrorInfo as the server sends it; without errorId, for which clients would ask the driver. */
static struct str
error_info(const struct status *s, struct arena *a)
{
	static const char classes[] =
		"[\"org.apache.spark.SparkSQLException\",\"java.sql.SQLException\","
		"\"java.lang.Exception\",\"java.lang.Throwable\"]";
	char *handle = tidy_handle(a, s->handle);
	Gateway__ErrorInfo__MetadataEntry entries[4], *list[4];
	Gateway__ErrorInfo info = GATEWAY__ERROR_INFO__INIT;
	const char *const pairs[4][2] = {
		{"classes", classes},
		{"errorClass", sessions[s->detail].class},
		{"messageParameters", arena_printf(a, "{\"handle\":\"%s\"}", handle ? handle : "")},
		{"sqlState", SQL_STATE},
	};

	if (arena_failed(a))
		return STR_NONE;
	for (size_t i = 0; i < 4; i++) {
		entries[i] = (Gateway__ErrorInfo__MetadataEntry)
			GATEWAY__ERROR_INFO__METADATA_ENTRY__INIT;
		entries[i].key = cstr(a, pairs[i][0]);
		entries[i].value = cstr(a, pairs[i][1]);
		list[i] = &entries[i];
	}
	info.reason = cstr(a, "org.apache.spark.SparkSQLException");
	info.domain = cstr(a, "org.apache.spark");
	info.n_metadata = 4;
	info.metadata = list;
	return arena_failed(a) ? STR_NONE : packed(a, &info.base);
}

static struct str
retry_info(uint32_t ms, struct arena *a)
{
	Gateway__Duration delay = GATEWAY__DURATION__INIT;
	Gateway__RetryInfo info = GATEWAY__RETRY_INFO__INIT;

	delay.seconds = ms / 1000;
	delay.nanos = (int32_t)(ms % 1000) * 1000000;
	info.retry_delay = &delay;
	return packed(a, &info.base);
}

static struct str
make_details(const struct status *s, char *message, struct arena *a)
{
	bool retry = s->detail == STATUS_RETRY;
	struct str value = retry ? retry_info(s->retry_ms, a) : error_info(s, a);
	Gateway__Status status = GATEWAY__STATUS__INIT;
	Gateway__Any any = GATEWAY__ANY__INIT, *list[1] = {&any};

	if (value.p == NULL)
		return STR_NONE;
	any.type_url = cstr(a, retry ? TYPE_URL("RetryInfo") : TYPE_URL("ErrorInfo"));
	any.value.data = arena_copy(a, value.p, value.n);
	any.value.len = value.n;
	status.code = (int32_t)s->code;
	status.message = message;
	status.n_details = 1;
	status.details = list;
	return arena_failed(a) ? STR_NONE : base64_encode(a, packed(a, &status.base));
}

int
status_encode(const struct status *s, struct arena *a, struct status_fields *ret)
{
	struct status_fields f = {.details = STR_NONE};
	struct str message = make_message(s, a);

	ASSERT(s->code < GRPC_CODES);
	if (message.p == NULL)
		return E_NOMEM;
	f.code = str_from(arena_printf(a, "%u", (unsigned)s->code));
	f.message = grpc_percent_encode(a, message);
	if (s->detail != STATUS_PLAIN)
		f.details = make_details(s, arena_copy(a, message.p, message.n), a);
	if (arena_failed(a))
		return E_NOMEM;
	*ret = f;
	return 0;
}

int
status_empty_answer(enum method_id id, struct str session_id, struct arena *a,
		    struct str *ret_frame)
{
	Gateway__FetchErrorDetailsResponse fetch = GATEWAY__FETCH_ERROR_DETAILS_RESPONSE__INIT;
	Gateway__ReleaseSessionResponse release = GATEWAY__RELEASE_SESSION_RESPONSE__INIT;
	const ProtobufCMessage *m = id == METHOD_RELEASE_SESSION ? &release.base : &fetch.base;
	char *session = arena_copy(a, session_id.p == NULL ? "" : session_id.p, session_id.n);
	size_t n;
	uint8_t *p;

	ASSERT(methods_get(id)->unbound == UNBOUND_EMPTY);
	fetch.session_id = release.session_id = session;
	if (session == NULL)
		return E_NOMEM;
	n = protobuf_c_message_get_packed_size(m);
	p = arena_alloc(a, GRPC_PREFIX + n);
	if (p == NULL)
		return E_NOMEM;
	grpc_prefix_put(p, (uint32_t)n);
	protobuf_c_message_pack(m, p + GRPC_PREFIX);
	*ret_frame = (struct str){(char *)p, GRPC_PREFIX + n};
	return 0;
}

int
status_cloned_session(struct str message, struct str *ret_session_id)
{
	enum { NEW_SESSION_ID = 3 };
	struct wire_cursor c = {(const uint8_t *)message.p, (const uint8_t *)message.p + message.n};
	struct str found = STR_NONE;
	struct wire_field f;
	uint8_t id[16];
	int r;

	while ((r = wire_next(&c, &f)) == 1) {
		if (f.number == NEW_SESSION_ID && f.type == WIRE_LEN)
			found = f.bytes;
	}
	if (r < 0)
		return E_SYNTAX;
	if (found.p == NULL)
		return E_NOT_FOUND;
	if (uuid_parse(found, id) < 0)
		return E_SYNTAX;
	*ret_session_id = found;
	return 0;
}
