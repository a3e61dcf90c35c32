/*
 * Audit files on their way out, in the controller: files come in from the disk, objects go to the
 * store, names to the keeper.
 */
#include "controller/ship.h"

#include <stdlib.h>
#include <unistd.h>
#include "controller/backoff.h"
#include "controller/sealed.h"
#include "controller/store.h"
#include "lib/clock.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "shm/counters.h"

#define SHIP_MAGIC 0x73686970u
#define LOOK_MS	   2000u

enum state { SHIP_IDLE, SHIP_SENDING, SHIP_TELLING };

struct ship {
	unsigned magic;
	const struct conf *conf;
	struct loop *loop;
	struct asks *asks;
	struct counters_slot *counters;
	struct store *store; /* NULL: nothing is shipped */
	enum state state;
	bool stopped;
	struct loop_timer timer;
	struct sealed waiting;
	char name[CHAIN_NAME_MAX], object[SEALED_OBJECT];
	uint64_t shipped, success_ms, tried_ms; /* wall clock; 0: never */
	unsigned failures;			/* in a row */
	char error[320];
};

static void look(void *arg);

static void
wait_for(struct ship *s, uint64_t ms)
{
	s->state = SHIP_IDLE;
	if (!s->stopped)
		loop_timer_start(s->loop, &s->timer, ms, 0, look, s);
}

static void
fail(struct ship *s, const char *words)
{
	struct hash_key any;

	hash_key_random(&any);
	str_copy(s->error, sizeof(s->error), str_from(words));
	counters_add(s->counters, COUNTER_ship_failures, 1);
	if (s->failures++ == 0)
		log_warn(NULL, "audit: %s cannot be shipped: %s; files wait", s->name, words);
	else
		log_debug(NULL, "audit: %s cannot be shipped: %s", s->name, words);
	wait_for(s, backoff_retry_ms(s->failures, any.k0));
}

static void
on_told(void *arg, int err, const struct keeper_done *answer)
{
	struct ship *s = arg;
	char words[96];

	CHECK_MAGIC(s, SHIP_MAGIC);
	if (err == 0)
		err = answer->result;
	if (err != 0 && err != E_NOT_FOUND) {
		snprintf(words, sizeof(words), "the keeper did not write it down: %s",
			 err_text(err));
		fail(s, words);
		return;
	}
	if (s->failures > 0)
		log_info(NULL, "audit: files are shipped again");
	log_debug(NULL, "audit: shipped %s as %s", s->name, s->object);
	s->failures = 0;
	s->shipped++;
	counters_add(s->counters, COUNTER_ship_files, 1);
	s->success_ms = clock_wall_ms();
	wait_for(s, 0);
}

static void
on_sent(void *arg, int err, const char *words)
{
	struct ship *s = arg;
	struct keeper_shipped message = {.head.type = KEEPER_SHIPPED};

	CHECK_MAGIC(s, SHIP_MAGIC);
	if (err != 0) {
		fail(s, words);
		return;
	}
	s->state = SHIP_TELLING;
	str_copy(message.name, sizeof(message.name), str_from(s->name));
	if (asks_send(s->asks, &message, sizeof(message), on_told, s) != 0)
		fail(s, "the keeper cannot be asked");
}

static void
send_first(struct ship *s)
{
	int fd = -1, err;

	s->tried_ms = clock_wall_ms();
	str_copy(s->name, sizeof(s->name), str_from(s->waiting.first));
	err = sealed_open(s->conf->state_dir.p, s->name, &fd);
	if (err == 0)
		err = sealed_object(fd, s->name, s->conf->audit.ship.prefix, s->object);
	if (err == 0) {
		s->state = SHIP_SENDING;
		store_put(s->store, fd, s->object);
		return;
	}
	if (fd >= 0)
		close(fd);
	fail(s, err == E_SYNTAX ? "its name is none of ours" : "it cannot be read");
}

static void
look(void *arg)
{
	struct ship *s = arg;
	struct sealed found;
	int err;

	CHECK_MAGIC(s, SHIP_MAGIC);
	ASSERT(s->state == SHIP_IDLE);
	err = sealed_look(s->conf->state_dir.p, &found);
	if (err == 0)
		s->waiting = found;
	if (err != 0) { /* as many wait as before */
		str_copy(s->name, sizeof(s->name), STR("a file"));
		fail(s, "the folder cannot be read");
	} else if (s->waiting.count == 0) {
		wait_for(s, LOOK_MS);
	} else {
		send_first(s);
	}
}

struct ship *
ship_new(const struct conf *conf, struct loop *loop, struct asks *asks,
	 struct counters_slot *counters)
{
	struct ship *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->magic = SHIP_MAGIC;
	s->conf = conf;
	s->loop = loop;
	s->asks = asks;
	s->counters = counters;
	if (!conf->audit.has_ship)
		return s;
	s->store = store_new(&conf->audit.ship, loop, on_sent, s);
	if (s->store == NULL)
		ship_free(&s);
	return s;
}

void
ship_start(struct ship *s)
{
	CHECK_MAGIC(s, SHIP_MAGIC);
	if (s->store != NULL)
		wait_for(s, 0);
}

void
ship_stop(struct ship *s)
{
	CHECK_MAGIC(s, SHIP_MAGIC);
	s->stopped = true;
	loop_timer_stop(&s->timer);
	if (s->store != NULL)
		store_end(s->store);
}

void
ship_free(struct ship **ret)
{
	struct ship *s = *ret;

	if (s == NULL)
		return;
	CHECK_MAGIC(s, SHIP_MAGIC);
	*ret = NULL;
	loop_timer_stop(&s->timer);
	store_free(&s->store);
	s->magic = 0;
	free(s);
}

bool
ship_numbers(const struct ship *s, struct ship_numbers *ret)
{
	CHECK_MAGIC(s, SHIP_MAGIC);
	if (s->store == NULL)
		return false;
	*ret = (struct ship_numbers){
		.pending = s->waiting.count,
		.pending_bytes = s->waiting.bytes,
		.success_ms = s->success_ms != 0 ? s->success_ms : s->waiting.listed_ms,
	};
	return true;
}

json_t *
ship_show(const struct ship *s)
{
	struct ship_numbers n;
	json_t *row;

	CHECK_MAGIC(s, SHIP_MAGIC);
	if (!ship_numbers(s, &n))
		return json_null();
	row = json_pack("{s:I, s:I, s:I, s:I, s:I, s:i}", "pending", (json_int_t)n.pending,
			"pending_bytes", (json_int_t)n.pending_bytes, "shipped",
			(json_int_t)s->shipped, "success_ms", (json_int_t)n.success_ms, "tried_ms",
			(json_int_t)s->tried_ms, "failures", (int)s->failures);
	json_object_set_new(row, "error", s->failures > 0 ? json_string(s->error) : json_null());
	return row;
}
