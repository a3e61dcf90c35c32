/*
 * Settings as rows of text.
 */
#include "lib/panic.h"
#include "shm/settings.h"

#define ROLLOUT	    STR("rollout")
#define PERCENT_MAX 100

int
settings_rollout(struct db *db, int *ret)
{
	struct str value;
	uint64_t percent;
	int err = db_get(db, DB_SETTINGS, ROLLOUT, &value);

	if (err == E_NOT_FOUND) {
		*ret = SETTINGS_UNSET;
		return 0;
	}
	if (err != 0)
		return err;
	if (str_u64(value, PERCENT_MAX, &percent) != 0)
		return E_SYNTAX;
	*ret = (int)percent;
	return 0;
}

void
settings_put_rollout(struct db *db, int percent)
{
	char text[16];

	ASSERT(percent >= SETTINGS_UNSET && percent <= PERCENT_MAX);
	if (percent == SETTINGS_UNSET) {
		db_del(db, DB_SETTINGS, ROLLOUT);
		return;
	}
	snprintf(text, sizeof(text), "%d", percent);
	db_put(db, DB_SETTINGS, ROLLOUT, str_from(text));
}
