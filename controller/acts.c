/*
 * Acts, in the controller: a message goes to the keeper, its outcome to the log and to who asked.
 */
#include "controller/acts.h"

#include <microhttpd.h>
#include <stdlib.h>
#include "controller/record.h"
#include "lib/log.h"

static void
refuse(struct act *act, int err)
{
	struct admin_request *q = act->request;

	if (err == E_NOT_FOUND && act->nobody != NULL)
		admin_refuse(q, MHD_HTTP_NOT_FOUND, act->nobody);
	else if (err == E_EXISTS && act->twin != NULL)
		admin_refuse(q, MHD_HTTP_CONFLICT, act->twin);
	else if (err == E_TIMEOUT || err == E_CLOSED)
		admin_refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "the keeper does not answer");
	else
		admin_refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "the keeper cannot commit");
}

void
acts_finish(struct act *act, int err, uint32_t count)
{
	struct admin_request *q = act->request;

	if (err == 0)
		log_info(admin_peer(q), "%s: done", act->what);
	else
		log_warn(admin_peer(q), "%s: refused: %s", act->what, err_text(err));
	record_act(act->asks, act->what, admin_peer(q), err != 0 ? err_text(err) : NULL);
	if (err != 0)
		refuse(act, err);
	else if (act->answer != NULL)
		admin_answer_secret(q, MHD_HTTP_OK, act->answer);
	else
		admin_answer(q, MHD_HTTP_OK, json_pack("{s:I}", act->counted, (json_int_t)count));
	if (err != 0 && act->answer != NULL) {
		explicit_bzero(act->answer, strlen(act->answer));
		free(act->answer);
	}
	act->answer = NULL;
}

static void
got_outcome(void *arg, int err, const struct keeper_done *answer)
{
	struct act *act = arg;

	acts_finish(act, err != 0 ? err : answer->result, err != 0 ? 0 : answer->count);
	free(act);
}

void
acts_ask(struct asks *asks, const struct act *act, const void *message, size_t size)
{
	struct act *copy = malloc(sizeof(*copy)), failed = *act;
	int err = E_NOMEM;

	failed.asks = asks;
	if (copy != NULL) {
		*copy = failed;
		err = asks_send(asks, message, size, got_outcome, copy);
		if (err == 0)
			return;
	}
	free(copy);
	acts_finish(&failed, err, 0);
}

json_t *
acts_body(struct admin_request *q)
{
	struct str body = admin_body(q);
	json_t *json = body.n > 0 ? json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, NULL) : NULL;

	if (json_is_object(json))
		return json;
	json_decref(json);
	admin_refuse(q, MHD_HTTP_BAD_REQUEST, "the body is not a JSON object");
	return NULL;
}
