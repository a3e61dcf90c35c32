/*
 * The page of metrics: the numbers of the whole gateway in Prometheus' text format.
 *
 * Its size has a bound that no client moves: labels have configured names only, and a series is
 * printed once it has counted something. With all 256 pairs of team and environment, 13 methods and
 * 1024 drivers it is below METRICS_PAGE_MAX (below 2 MiB as it is sent, with gzip); an ordinary
 * gateway's is 50 to 500 KiB. Costs milliseconds; nothing is kept between two scrapes.
 */
#pragma once
#include "controller/scrape.h"

#define METRICS_PAGE_MAX ((size_t)48 << 20)

/* without: names of metrics to leave out, with commas between, or STR_NONE. E_NOMEM; E_LIMIT (page
 * too large). */
int metrics_page(const struct scrape_from *, struct str without, struct buf *out) MUST_CHECK;
/* The same bytes for "Content-Encoding: gzip". E_NOMEM. */
int metrics_gzip(struct str page, struct buf *out) MUST_CHECK;
