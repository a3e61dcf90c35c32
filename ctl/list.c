/*
 * Pages of sparkgwctl: one answer after the other comes in, until one names no next.
 */
#include "ctl/list.h"

#define PATH_SIZE 8192

enum ask_result
list_print(const struct wish *w, const char *path, enum show_list list)
{
	enum ask_result result;
	const char *after = NULL;
	json_t *page = NULL;
	struct show show;
	struct buf full;

	buf_init(&full, PATH_SIZE);
	show_begin(&show, list);
	do {
		buf_clear(&full);
		buf_add_str(&full, str_from(path));
		ask_parameter(&full, "after", after);
		json_decref(page); /* `after` pointed into it */
		result = ask(w, buf_cstr(&full), NULL, ASK_KEEP, &page);
		if (result != ASK_DONE)
			break;
		if (!w->json)
			show_rows(&show, page);
		after = json_string_value(json_object_get(page, "next"));
	} while (after != NULL);
	json_decref(page);
	show_end(&show);
	buf_free(&full);
	return result;
}
