/*
 * The page of metrics: rows of the table in, bytes out.
 */
#include "controller/metrics.h"

#include <zlib.h>
#include "controller/metrics_table.h"
#include "controller/scrape.h"

#define GZIP_WINDOW (15 + 16) /* the largest, with gzip's head and tail */
#define GZIP_MEMORY 8
#define GZIP_LEVEL  1

static const struct source {
	const char *name, *type, *help;
	void (*write)(struct scrape *, unsigned what);
	unsigned what;
} sources[] = {
#define METRICS_SOURCE(name_, type_, labels_, source_, what_, help_) \
	{#name_, #type_, help_, scrape_##source_, what_},
	METRICS_TABLE(METRICS_SOURCE)
#undef METRICS_SOURCE
};

static bool
is_left_out(struct str without, const char *name)
{
	while (without.p != NULL)
		if (str_eq(str_cut(without, ',', &without), str_from(name)))
			return true;
	return false;
}

int
metrics_page(const struct scrape_from *from, struct str without, struct buf *out)
{
	struct scrape scrape;
	int err = scrape_begin(&scrape, from, out);

	if (err != 0)
		return err;
	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
		const struct source *s = &sources[i];

		if (is_left_out(without, s->name))
			continue;
		exposition_family(&scrape.x, s->name, s->type, s->help);
		s->write(&scrape, s->what);
	}
	scrape_end(&scrape);
	return buf_failed(out) ? E_LIMIT : 0;
}

int
metrics_gzip(struct str page, struct buf *out)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)page.p, .avail_in = (uInt)page.n};
	size_t bound;
	int rc;

	if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return E_NOMEM;
	bound = deflateBound(&z, page.n);
	z.next_out = buf_room(out, bound);
	z.avail_out = (uInt)bound;
	rc = z.next_out != NULL ? deflate(&z, Z_FINISH) : Z_MEM_ERROR;
	if (rc == Z_STREAM_END)
		buf_grew(out, z.total_out);
	deflateEnd(&z);
	return rc == Z_STREAM_END ? 0 : E_NOMEM;
}
