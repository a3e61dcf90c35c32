/*
 * The batch: what a line begins and ends with.
 */
#include "keeper/audit_batch.h"
#include "keeper/audit_folder.h"
#include "keeper/audit_line.h"
#include "lib/clock.h"
#include "lib/panic.h"

int
audit_batch_init(struct audit_batch *b, struct str gateway)
{
	*b = (struct audit_batch){.gateway = gateway, .next_seq = 1, .chain = chain_new()};
	buf_init(&b->bytes, AUDIT_BATCH_MAX);
	return b->chain != NULL ? 0 : E_NOMEM;
}

void
audit_batch_free(struct audit_batch *b)
{
	chain_free(&b->chain);
	buf_free(&b->bytes);
}

void
audit_batch_begin(struct audit_batch *b)
{
	b->before.next_seq = b->next_seq;
	b->before.first_seq = b->first_seq;
	b->before.first_ms = b->first_ms;
	b->before.last_ms = b->last_ms;
	memcpy(b->before.chain, chain_value(b->chain), CHAIN_HEX + 1);
	buf_clear(&b->bytes);
	b->lines = 0;
}

void
audit_batch_undo(struct audit_batch *b)
{
	b->next_seq = b->before.next_seq;
	b->first_seq = b->before.first_seq;
	b->first_ms = b->before.first_ms;
	b->last_ms = b->before.last_ms;
	chain_set(b->chain, b->before.chain);
	buf_clear(&b->bytes);
	b->lines = 0;
}

struct buf *
audit_batch_line(struct audit_batch *b, const char *kind, uint64_t wall_ms)
{
	b->line_at = b->bytes.len;
	b->line_ms = wall_ms;
	buf_add_byte(&b->bytes, '{');
	audit_line_number(&b->bytes, "seq", b->next_seq);
	audit_line_time(&b->bytes, "time", wall_ms);
	audit_line_text(&b->bytes, "gateway", b->gateway);
	audit_line_text(&b->bytes, "kind", str_from(kind));
	return &b->bytes;
}

bool
audit_batch_end_line(struct audit_batch *b)
{
	uint8_t *tail = buf_room(&b->bytes, CHAIN_TAIL);

	if (tail == NULL) {
		b->bytes.len = b->line_at;
		b->bytes.failed = false;
		return false;
	}
	chain_add(b->chain, (char *)b->bytes.p + b->line_at, b->bytes.len - b->line_at,
		  (char *)tail);
	buf_grew(&b->bytes, CHAIN_TAIL);
	if (b->first_seq == 0) {
		b->first_seq = b->next_seq;
		b->first_ms = b->line_ms;
	}
	b->last_ms = b->line_ms;
	b->next_seq++;
	b->lines++;
	return true;
}

void
audit_batch_seal(struct audit_batch *b, const uint8_t key[CHAIN_KEY],
		 char ret_seal[CHAIN_SEAL_HEX + 1])
{
	char first[AUDIT_STAMP], last[AUDIT_STAMP], tail[CHAIN_SEAL_TAIL];
	struct chain_line line;

	buf_clear(&b->bytes);
	buf_printf(&b->bytes,
		   "{\"records\":%llu,\"first_seq\":%llu,\"last_seq\":%llu,\"first\":\"%s\","
		   "\"last\":\"%s\",\"chain\":\"%s\"",
		   (unsigned long long)(b->next_seq - b->first_seq),
		   (unsigned long long)b->first_seq, (unsigned long long)(b->next_seq - 1),
		   clock_stamp(b->first_ms, first, sizeof(first)),
		   clock_stamp(b->last_ms, last, sizeof(last)), chain_value(b->chain));
	chain_seal(key, (char *)b->bytes.p, b->bytes.len, tail);
	buf_add(&b->bytes, tail, sizeof(tail));
	ASSERT(!buf_failed(&b->bytes) && chain_parse(buf_str(&b->bytes), &line) == 0);
	str_copy(ret_seal, CHAIN_SEAL_HEX + 1, line.value);
}
