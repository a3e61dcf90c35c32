/*
 * The page of metrics over HTTP.
 */
#include "controller/metrics_route.h"

#include <microhttpd.h>
#include "controller/certificates.h"
#include "controller/exposition.h"
#include "controller/keysets.h"
#include "controller/metrics.h"
#include "controller/rollout_routes.h"
#include "controller/ship.h"
#include "controller/signer.h"
#include "lib/log.h"
#include "policy/rollout.h"

/* The answer frees its bytes. */
static void
answer(struct admin_request *q, struct buf *page, const char *encoding)
{
	struct admin_bytes bytes = {
		.p = page->p, .n = page->len, .type = EXPOSITION_TYPE, .encoding = encoding};

	page->p = NULL;
	buf_free(page);
	admin_answer_bytes(q, MHD_HTTP_OK, &bytes);
}

static void
answer_gzip(struct admin_request *q, struct buf *page)
{
	struct buf small;

	buf_init(&small, METRICS_PAGE_MAX);
	if (metrics_gzip(buf_str(page), &small) == 0) {
		buf_free(page);
		answer(q, &small, "gzip");
	} else {
		buf_free(&small);
		answer(q, page, NULL);
	}
}

static int
make_page(struct office *o, struct str without, struct buf *page)
{
	int live = ROLLOUT_CONFIGURED, err;
	json_t *providers = json_array();
	struct ship_numbers shipping;
	struct scrape_from from = {.conf = o->conf,
				   .view = o->view,
				   .certificates = o->certificates,
				   .providers = providers};

	if (rollout_routes_live(o->view, &live) != 0)
		live = ROLLOUT_CONFIGURED;
	if (ship_numbers(o->ship, &shipping))
		from.shipping = &shipping;
	from.rollout = rollout_percent(o->conf, live);
	keysets_show(o->keysets, providers);
	signer_show(o->signer, providers);
	err = metrics_page(&from, without, page);
	json_decref(providers);
	return err;
}

void
metrics_route_show(struct office *o, struct admin_request *q)
{
	struct buf page;
	int err;

	buf_init(&page, METRICS_PAGE_MAX);
	err = make_page(o, admin_value(q, "without"), &page);
	if (err != 0) {
		buf_free(&page);
		log_error(NULL, "no page of metrics: %s", err_text(err));
		admin_refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory for the page");
	} else if (admin_accepts_gzip(q)) {
		answer_gzip(q, &page);
	} else {
		answer(q, &page, NULL);
	}
}
