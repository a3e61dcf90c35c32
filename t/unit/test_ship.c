/*
 * What leaves the audit folder: files that wait, their objects' names, gzip, lines as they are
 * added, spans.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "controller/gzip.h"
#include "controller/otlp.h"
#include "controller/sealed.h"
#include "controller/tail.h"
#include "keeper/audit_folder.h"
#include "keeper/audit_shipped.h"
#include "lib/clock.h"
#include "t/unit/scratch.h"

#define CHAIN ",\"chain\":\"00000000000000000000000000000000\"}\n"
#define HEX64 "0000000000000000000000000000000000000000000000000000000000000000"
#define FIRST "{\"seq\":7,\"time\":\"2026-11-22T10:59:59.999Z\",\"gateway\":\"g/1\"" CHAIN
#define SEAL                                                                            \
	"{\"records\":1,\"first_seq\":7,\"last_seq\":7,\"first\":\"a\",\"last\":\"b\"," \
	"\"chain\":\"00000000000000000000000000000000\",\"seal\":\"" HEX64 "\"}\n"
#define NAME(seq) "audit-20261122T105959Z-00000000000" seq ".log"
#define OBJECT	  "p/date=2026-11-22/hour=10/"

static void
put(const char *name, const char *text)
{
	char path[PATH_MAX + 64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/audit/%s", scratch, name);
	f = fopen(path, "a");
	cr_assert_not_null(f);
	cr_assert_geq(fputs(text, f), 0);
	fclose(f);
}

static void
setup(void)
{
	int folder;

	scratch_make();
	cr_assert_eq(audit_folder_open(scratch, &folder), 0);
	close(folder);
}

TestSuite(ship, .init = setup, .fini = scratch_drop);

static void
expect_waiting(unsigned count, const char *first)
{
	struct sealed s;

	cr_assert_eq(sealed_look(scratch, &s), 0);
	cr_expect_eq(s.count, count, "%u", s.count);
	cr_expect_str_eq(s.first, first);
}

Test(ship, oldest_first_until_written_down)
{
	expect_waiting(0, "");
	put(NAME("9"), "x");
	put(NAME("7"), FIRST SEAL);
	put("audit.log", "x");
	put("other", "x");
	expect_waiting(2, NAME("7"));
	cr_expect_eq(audit_shipped_add(scratch, NAME("7")), 0);
	cr_expect_eq(audit_shipped_add(scratch, NAME("7")), 0);
	expect_waiting(1, NAME("9"));
	cr_expect_eq(audit_shipped_add(scratch, NAME("8")), E_NOT_FOUND);
	cr_expect_eq(audit_shipped_add(scratch, "other"), E_DENIED);
	cr_expect_eq(audit_shipped_add(scratch, "audit-/../x-000000000007.log"), E_DENIED);
	cr_expect_eq(audit_shipped_add(scratch, NAME("9")), 0);
	expect_waiting(0, "");
}

Test(ship, when_the_last_one_went_outlives_who_saw_it)
{
	uint64_t before_ms = clock_wall_ms();
	struct sealed s;

	put(NAME("7"), "x");
	cr_assert_eq(sealed_look(scratch, &s), 0);
	cr_expect_eq(s.listed_ms, 0u, "none went yet");
	cr_expect_eq(audit_shipped_add(scratch, NAME("7")), 0);
	cr_assert_eq(sealed_look(scratch, &s), 0);
	cr_expect(s.listed_ms + 1000 > before_ms && s.listed_ms <= clock_wall_ms() + 1000);
}

Test(ship, files_stay_until_they_are_shipped)
{
	uint64_t later_ms = clock_wall_ms() + 3600 * 1000;
	int folder;

	put(NAME("7"), "x");
	put(NAME("8"), "x");
	put(NAME("9"), "x");
	cr_expect_eq(audit_shipped_add(scratch, NAME("8")), 0);
	cr_assert_eq(audit_folder_open(scratch, &folder), 0);
	cr_expect_eq(audit_folder_remove(folder, later_ms, true), 1u);
	expect_waiting(2, NAME("7"));
	cr_expect_eq(audit_folder_remove(folder, later_ms, false), 1u);
	expect_waiting(1, NAME("9"));
	close(folder);
}

Test(ship, objects)
{
	static const struct {
		const char *text, *object;
	} cases[] = {
		{FIRST SEAL, OBJECT "g-1-7-7.ndjson.gz"},
		{FIRST, OBJECT "damaged-7.ndjson.gz"},
		{"", OBJECT "damaged-7.ndjson.gz"},
		{SEAL, OBJECT "damaged-7.ndjson.gz"},
		{FIRST "{\"records\":1", OBJECT "damaged-7.ndjson.gz"},
	};
	char object[SEALED_OBJECT], path[PATH_MAX + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/audit/" NAME("7"), scratch);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		put(NAME("7"), cases[i].text);
		cr_assert_eq(sealed_open(scratch, NAME("7"), &fd), 0);
		cr_expect_eq(sealed_object(fd, NAME("7"), STR("p"), object), 0);
		cr_expect_str_eq(object, cases[i].object);
		close(fd);
		cr_assert_eq(unlink(path), 0);
	}
}

static size_t
compress_file(uint8_t *out, size_t size, size_t piece)
{
	size_t n = 0, got = 1;
	struct gzip *g;
	int fd, err;

	cr_assert_eq(sealed_open(scratch, "data", &fd), 0);
	g = gzip_new(fd);
	while (got > 0) {
		err = gzip_read(g, out + n, piece < size - n ? piece : size - n, 1000, &got);
		cr_assert(err == 0 || err == E_AGAIN);
		n += got;
		got = err == E_AGAIN ? 1 : got;
	}
	gzip_free(&g);
	close(fd);
	return n;
}

Test(ship, gzip_is_the_same_each_time)
{
	static uint8_t one[1 << 20], two[1 << 20], back[1 << 20];
	char line[64];
	z_stream z = {.next_in = one, .next_out = back, .avail_out = sizeof(back)};
	size_t n;

	for (unsigned i = 0; i < 9000; i++) {
		snprintf(line, sizeof(line), "%u %u\n", i, i * 2654435761u);
		put("data", line);
	}
	n = compress_file(one, sizeof(one), 65536);
	cr_expect_eq(compress_file(two, sizeof(two), 777), n);
	cr_expect_eq(memcmp(one, two, n), 0);
	z.avail_in = (unsigned)n;
	cr_assert_eq(inflateInit2(&z, 31), Z_OK);
	cr_expect_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
	cr_expect_eq(memcmp(back, "0 0\n1 2654435761\n", 17), 0);
	inflateEnd(&z);
}

static void
expect_lines(struct tail *t, const char *wanted)
{
	char text[64] = "";
	struct str line;
	bool more = true;

	for (int i = 0; i < 8; i++)
		while (tail_next(t, &line, &more) == 0)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.*s;",
				 STR_ARG(line));
	cr_expect_str_eq(text, wanted);
}

Test(ship, tail_follows_over_a_rotation)
{
	char from[PATH_MAX + 64], to[PATH_MAX + 64];
	struct tail *t;

	snprintf(from, sizeof(from), "%s/audit/audit.log", scratch);
	snprintf(to, sizeof(to), "%s/audit/" NAME("7"), scratch);
	put("audit.log", "old\n");
	t = tail_new(scratch);
	expect_lines(t, "");
	put("audit.log", "a\nb");
	expect_lines(t, "a;");
	put("audit.log", "c\nd\n");
	cr_assert_eq(rename(from, to), 0);
	put("audit.log", "e\n");
	expect_lines(t, "bc;d;e;");
	tail_free(&t);
}

#define TRACED "{\"trace\":\"0af7651916cd43dd8448eb211c80319c\",\"span\":\"b7ad6b7169203331\""

Test(otlp, what_becomes_a_span)
{
	static const struct {
		const char *line;
		uint32_t sample;
		bool wanted;
	} cases[] = {
		{TRACED "}", 100, true},
		{TRACED "}", 0, false},
		{TRACED ",\"parent\":\"b7ad6b7169203332\"}", 100, false},
		{TRACED ",\"parent\":\"b7ad6b7169203332\",\"sampled\":true}", 0, true},
		{TRACED, 100, false},
		{"{\"trace\":\"0af7\",\"span\":\"b7ad6b7169203331\"}", 100, false},
		{"{\"trace\":7}", 100, false},
		{"{\"trace\":\"0AF7651916cd43dd8448eb211c80319c\"}", 100, false},
		{"[\"trace\":]", 100, false},
		{"", 100, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *span = otlp_span(str_from(cases[i].line), cases[i].sample);

		cr_expect_eq(span != NULL, cases[i].wanted, "%s", cases[i].line);
		json_decref(span);
	}
}
