/*
 * The walk: tags are gathered, lengths counted down, messages that lead on are opened, all else is
 * passed over. Pure.
 */
#include "proto/plan_walk.h"
#include "lib/panic.h"
#include "proto/wire.h"

void
plan_walk_init(struct plan_walk *w, struct arena *arena, struct plan_kit *kit, enum plan_node root,
	       uint64_t total)
{
	w->arena = arena;
	w->kit = kit;
	w->depth = 1;
	w->stack[0] = (struct plan_frame){.left = total, .node = root};
}

void
plan_walk_clear(struct plan_walk *w)
{
	EVP_MD_CTX_free(w->sql.digest);
	w->sql.digest = NULL;
}

/* ---- the SQL text ---- */

static void
sql_forget(struct plan_walk *w)
{
	w->sql.whole = false;
	w->sql.kept = 0;
	w->sql.length = 0;
}

static void
sql_begin(struct plan_walk *w, uint64_t length)
{
	struct plan_sql *s = &w->sql;
	size_t want = length < w->kit->sql_bytes ? (size_t)length : w->kit->sql_bytes;

	sql_forget(w);
	s->length = length;
	if (want > s->cap) { /* again in one message: nobody's habit, so not in small steps */
		size_t cap = s->cap == 0 ? want : PLAN_SQL_MAX;
		char *p = arena_alloc(w->arena, cap);
		if (p != NULL) {
			s->text = p;
			s->cap = cap;
		}
	}
	if (s->digest == NULL)
		s->digest = EVP_MD_CTX_new();
	if (s->digest != NULL && EVP_DigestInit_ex(s->digest, w->kit->sha256, NULL) != 1) {
		EVP_MD_CTX_free(s->digest);
		s->digest = NULL;
	}
}

static void
sql_bytes(struct plan_walk *w, const uint8_t *p, size_t n)
{
	struct plan_sql *s = &w->sql;
	size_t most = s->cap < w->kit->sql_bytes ? s->cap : w->kit->sql_bytes;
	size_t take = most - s->kept < n ? most - s->kept : n;

	if (take > 0)
		memcpy(s->text + s->kept, p, take);
	s->kept += take;
	if (s->digest != NULL)
		EVP_DigestUpdate(s->digest, p, n);
}

/* A character that the cut went through is left away. */
static void
sql_end(struct plan_walk *w)
{
	struct plan_sql *s = &w->sql;

	s->whole = s->digest != NULL && EVP_DigestFinal_ex(s->digest, s->sha256, NULL) == 1;
	if (s->kept == s->length)
		return;
	for (size_t back = 1; back <= 3 && back <= s->kept; back++) {
		uint8_t c = (uint8_t)s->text[s->kept - back];

		if ((c & 0xc0) == 0x80)
			continue;
		if (c >= 0xc0 && back < (c >= 0xf0 ? 4u : c >= 0xe0 ? 3u : 2u))
			s->kept -= back;
		return;
	}
}

/* ---- what leads where ---- */

static const char *const commands[] = {
	NULL,
	"register_function",
	"write_operation",
	"create_dataframe_view",
	"write_operation_v2",
	"sql_command",
	"write_stream_operation_start",
	"streaming_query_command",
	"get_resources_command",
	"streaming_query_manager_command",
	"register_table_function",
	"streaming_query_listener_bus_command",
	"register_data_source",
	"create_resource_profile_command",
	"checkpoint_command",
	"remove_cached_remote_relation_command",
	"merge_into_table_command",
	"ml_command",
	"execute_external_command",
	"pipeline_command",
};
static const char *const analyses[] = {
	[4] = "schema",
	[5] = "explain",
	[6] = "tree_string",
	[7] = "is_local",
	[8] = "is_streaming",
	[9] = "input_files",
	[10] = "spark_version",
	[11] = "ddl_parse",
	[12] = "same_semantics",
	[13] = "semantic_hash",
	[14] = "persist",
	[15] = "unpersist",
	[16] = "get_storage_level",
	[18] = "json_to_ddl",
};
#define N(a) (sizeof(a) / sizeof((a)[0]))

static enum plan_node
in_analyze(uint32_t number)
{
	if ((number >= 4 && number <= 9) || number == 12 || number == 13)
		return NODE_HOLDS_PLAN;
	return number >= 14 && number <= 16 ? NODE_INPUT : NODE_NONE;
}

static enum plan_node
in_command(uint32_t number)
{
	switch (number) {
	case 2:
	case 3:
	case 4:
	case 6:
	case 14: return NODE_INPUT;
	case 16: return NODE_SOURCE;
	case 5: return NODE_SQL_COMMAND;
	default: return NODE_NONE;
	}
}

/* Relations whose one input, or left one, is field 1; and with_relations (41), whose root is. */
static enum plan_node
in_relation(uint32_t number)
{
	const uint64_t with_input = 1ull << 3 | 1ull << 4 | 1ull << 5 | 1ull << 6 | 1ull << 7 |
				    1ull << 8 | 1ull << 9 | (0x3full << 12 & ~(1ull << 15)) |
				    0x7ull << 18 | 0x7ull << 21 | 0x3full << 24 | 1ull << 33 |
				    1ull << 35 | 1ull << 41 | 1ull << 42;

	if (number == 10)
		return NODE_SQL;
	return number < 64 && (with_input >> number & 1) ? NODE_INPUT : NODE_NONE;
}

static enum plan_node
in_plan(uint32_t number)
{
	switch (number) {
	case 1: return NODE_RELATION;
	case 2: return NODE_COMMAND;
	case 3: return NODE_COMPRESSED;
	default: return NODE_NONE;
	}
}

static enum plan_node
child_of(const struct plan_frame *f, uint32_t number)
{
	switch (f->node) {
	case NODE_EXECUTE:
		return number == 3 ? NODE_PLAN : number == 6 ? NODE_OPERATION_TEXT : NODE_NONE;
	case NODE_OF_OPERATION: return number == 3 ? NODE_OPERATION_TEXT : NODE_NONE;
	case NODE_ANALYZE: return in_analyze(number);
	case NODE_HOLDS_PLAN: return number == 1 ? NODE_PLAN : NODE_NONE;
	case NODE_PLAN: return in_plan(number);
	case NODE_COMMAND: return in_command(number);
	case NODE_SQL_COMMAND: /* servers take `input` (6) if there is one */
		if (number == 1)
			return f->last == 6 ? NODE_NONE : NODE_SQL_TEXT;
		return number == 6 ? NODE_RELATION : NODE_NONE;
	case NODE_RELATION: return in_relation(number);
	case NODE_INPUT: return number == 1 ? NODE_RELATION : NODE_NONE;
	case NODE_SOURCE: return number == 2 ? NODE_RELATION : NODE_NONE;
	case NODE_SQL: return number == 1 ? NODE_SQL_TEXT : NODE_NONE;
	case NODE_COMPRESSED: return number == 1 ? NODE_DATA : NODE_NONE;
	default: return NODE_NONE;
	}
}

/* A member of which only one can be there: it makes void what another one said. */
static bool
is_member(const struct plan_frame *f, uint32_t number)
{
	switch (f->node) {
	case NODE_ANALYZE: return number >= 4 && number != 17;
	case NODE_PLAN: return number <= 3;
	case NODE_COMMAND: return true;
	case NODE_SQL_COMMAND: return number == 6;
	case NODE_RELATION: return number != 1;
	case NODE_EXECUTE: return number == 3;
	case NODE_HOLDS_PLAN:
	case NODE_INPUT: return number == 1;
	case NODE_SOURCE: return number == 2;
	case NODE_SQL: return false;
	default: return false;
	}
}

static void
note_member(struct plan_walk *w, const struct plan_frame *f, uint32_t number)
{
	static const char *const kinds[] = {NULL, "relation", "command", "compressed"};

	if (f->last != number)
		sql_forget(w);
	switch (f->node) {
	case NODE_PLAN:
		if (w->stack[0].node == NODE_EXECUTE && f->last != number)
			w->command = NULL;
		w->kind = kinds[number];
		break;
	case NODE_COMMAND:
		if (w->stack[0].node == NODE_ANALYZE)
			break;
		w->command = number < N(commands) ? commands[number]
			     : number == 999	  ? "extension"
						  : "unknown";
		break;
	case NODE_ANALYZE:
		w->command = number < N(analyses) && analyses[number] != NULL ? analyses[number]
									      : "unknown";
		w->kind = in_analyze(number) == NODE_INPUT ? "relation" : NULL;
		break;
	default: break;
	}
}

/* ---- the walk ---- */

static void
leaf_begin(struct plan_walk *w, enum plan_node node, uint64_t length)
{
	w->leaf = node;
	w->leaf_left = length;
	if (node == NODE_SQL_TEXT)
		sql_begin(w, length);
	else if (node == NODE_OPERATION_TEXT)
		w->operation_len = 0;
	else if (node == NODE_DATA)
		w->data->begin(w);
}

static void
leaf_bytes(struct plan_walk *w, const uint8_t *p, size_t n)
{
	if (w->leaf == NODE_SQL_TEXT) {
		sql_bytes(w, p, n);
	} else if (w->leaf == NODE_DATA) {
		w->data->bytes(w, p, n);
	} else if (w->leaf == NODE_OPERATION_TEXT) {
		size_t room = sizeof(w->operation) - w->operation_len;
		size_t take = n < room ? n : room;

		memcpy(w->operation + w->operation_len, p, take);
		w->operation_len = (uint8_t)(w->operation_len + take);
	}
}

static void
leaf_end(struct plan_walk *w)
{
	enum plan_node node = w->leaf;

	w->leaf = NODE_NONE;
	if (node == NODE_SQL_TEXT)
		sql_end(w);
	else if (node == NODE_DATA)
		w->data->end(w);
}

/* The message that begins here goes on where the same one, given before, had come to. */
static void
push(struct plan_walk *w, enum plan_node node, uint64_t length, bool merged)
{
	struct plan_frame *f = &w->stack[w->depth++];

	f->last = merged && f->node == node ? f->last : 0;
	f->node = node;
	f->left = length;
}

static void
take_number(struct plan_walk *w, const struct plan_frame *f, const struct wire_head *h)
{
	if (f->node != NODE_COMPRESSED || h->type != WIRE_VARINT)
		return;
	if (h->number == 2)
		w->op_type = h->value;
	else if (h->number == 3)
		w->codec = h->value;
}

static void
take_head(struct plan_walk *w, struct plan_frame *f, const struct wire_head *h)
{
	enum plan_node child = h->type == WIRE_LEN ? child_of(f, h->number) : NODE_NONE;
	bool merged = f->last == h->number;

	if (h->type == WIRE_LEN && is_member(f, h->number)) {
		note_member(w, f, h->number);
		f->last = h->number;
	}
	if ((child == NODE_SQL_TEXT && !w->kit->sql) || (child == NODE_DATA && w->data == NULL))
		child = NODE_NONE;
	if (child == NODE_NONE || child >= NODE_OPERATION_TEXT || w->depth == PLAN_DEPTH) {
		leaf_begin(w, child >= NODE_OPERATION_TEXT ? child : NODE_NONE, h->length);
		if (h->length == 0)
			leaf_end(w);
		take_number(w, f, h);
	} else {
		push(w, child, h->length, merged);
	}
}

/* The beginning of a field. Bytes used; what is not whole is kept. */
static size_t
feed_tag(struct plan_walk *w, const uint8_t *p, size_t n)
{
	struct plan_frame *f = &w->stack[w->depth - 1];
	struct wire_head h;
	size_t most = n < f->left ? n : (size_t)f->left, used = most;
	int r;

	if (w->tag_len > 0) { /* the rest of one, byte by byte */
		w->tag[w->tag_len++] = *p;
		used = 1;
		r = wire_head(w->tag, w->tag_len, &h);
	} else {
		r = wire_head(p, most, &h);
	}
	if (r > 0 && w->tag_len == 0)
		used = (size_t)r;
	if (r == 0 && w->tag_len == 0) {
		memcpy(w->tag, p, most);
		w->tag_len = (uint8_t)most;
	}
	f->left -= used;
	if (r < 0 || (r == 0 && f->left == 0) || (r > 0 && h.length > f->left)) {
		w->broken = true;
		return used;
	}
	if (r > 0) {
		w->tag_len = 0;
		f->left -= h.length;
		take_head(w, f, &h);
	}
	return used;
}

void
plan_walk_feed(struct plan_walk *w, const uint8_t *p, size_t n)
{
	while (!w->broken) {
		while (w->depth > 0 && w->stack[w->depth - 1].left == 0 && w->leaf_left == 0)
			w->depth--;
		if (n == 0 || w->depth == 0)
			return;
		size_t used;
		if (w->leaf_left > 0) {
			used = w->leaf_left < n ? (size_t)w->leaf_left : n;
			leaf_bytes(w, p, used);
			w->leaf_left -= used;
			if (w->leaf_left == 0)
				leaf_end(w);
		} else {
			used = feed_tag(w, p, n);
		}
		p += used;
		n -= used;
	}
}
