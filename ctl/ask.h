/*
 * A question of sparkgwctl to the gateway, and its refusals: what the commands have in common.
 */
#pragma once
#include <jansson.h>
#include "ctl/options.h"
#include "lib/buf.h"

/* Also the exit statuses. */
enum ask_result { ASK_DONE, ASK_REFUSED, ASK_USAGE, ASK_NOBODY };

enum ask_print { ASK_PRINT, ASK_KEEP }; /* with --json: print and be done, or also hand out */

/*
 * One exchange; body NULL: GET, else POST. *ret_json is set only when DONE; with --json the answer
 * has been printed and *ret_json is NULL, unless it is to be kept. The words of a refusal go to
 * standard error.
 */
enum ask_result ask(const struct wish *, const char *path, const char *body, enum ask_print,
		    json_t **ret_json);
/* POST of an object, whose reference is taken over; NULL: the arguments are not UTF-8. */
enum ask_result ask_post(const struct wish *, const char *path, json_t *object, json_t **ret_json);
/* GET, and the answer printed by `show` when it is for people. */
enum ask_result ask_show(const struct wish *, const char *path, void (*show)(const json_t *));

/* "?key=value" or "&key=value", escaped; nothing for NULL. */
void ask_parameter(struct buf *path, const char *key, const char *value);
/* "sparkgwctl: words" on standard error. */
enum ask_result ask_usage(const char *words);
