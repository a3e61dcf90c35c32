/*
 * The rig itself; see envelope_rig.h.
 */
#include <criterion/criterion.h>
#include "t/unit/envelope_rig.h"

size_t
rig_always(void *ctx)
{
	return *(size_t *)ctx;
}

size_t
rig_split(void *ctx)
{
	size_t k = *(size_t *)ctx;

	*(size_t *)ctx = SIZE_MAX;
	return k;
}

struct ref_run
rig_feed(struct str in, size_t (*next)(void *), size_t arg, struct buf *out)
{
	buf_init(out, 256u << 20);
	return ref_run((const uint8_t *)in.p, in.n, STR("verified"), STR("Ann"), next, &arg, out);
}

void
rig_same(struct str in, size_t (*next)(void *), size_t arg, const struct ref_run *want,
	 const struct buf *bytes)
{
	struct buf out;
	struct ref_run got = rig_feed(in, next, arg, &out);

	cr_assert_eq(got.accepted, want->accepted, "at %zu: %s, whole: %s", arg,
		     got.why ? got.why : "ok", want->why ? want->why : "ok");
	cr_assert_eq(got.code, want->code, "at %zu", arg);
	cr_assert(got.accepted || got.why == want->why, "at %zu: %s, whole: %s", arg, got.why,
		  want->why);
	if (got.accepted)
		cr_assert_eq(got.whole, want->whole, "at %zu", arg);
	if (got.accepted)
		cr_assert(str_eq(buf_str(&out), buf_str(bytes)), "at %zu: other bytes", arg);
	buf_free(&out);
}

struct ref_run
rig_compare(struct str in, size_t step)
{
	struct buf want, out;
	struct ref_run run = rig_feed(in, rig_always, SIZE_MAX, &out);
	bool good;

	buf_init(&want, 256u << 20);
	good = ref_stream((const uint8_t *)in.p, in.n, STR("verified"), STR("Ann"), &want);
	cr_expect_eq(run.accepted, good, "%s", run.why ? run.why : "accepted");
	if (good)
		cr_expect(str_eq(buf_str(&out), buf_str(&want)), "other bytes than the reference");
	for (size_t k = 1; k < in.n; k += step)
		rig_same(in, rig_split, k, &run, &out);
	rig_same(in, rig_always, 1, &run, &out);
	rig_same(in, rig_always, 7, &run, &out);
	buf_free(&want);
	buf_free(&out);
	return run;
}

void
rig_add_message(struct buf *b, struct str body)
{
	uint8_t prefix[GRPC_PREFIX];

	grpc_prefix_put(prefix, (uint32_t)body.n);
	buf_add(b, prefix, sizeof prefix);
	buf_add_str(b, body);
}

void
rig_add_filling(struct buf *b, uint32_t number, size_t n)
{
	uint8_t head[WIRE_HEAD_MAX],
		*end = wire_put_varint(head, head + sizeof head, number << 3 | WIRE_LEN);

	end = wire_put_varint(end, head + sizeof head, n);
	buf_add(b, head, (size_t)(end - head));
	memset(buf_room(b, n), 0x12, n);
	buf_grew(b, n);
}
