/*
 * For t/tools/manuals. Without an argument: the table of keys, one line each, as path, type,
 * default, bounds, help and the types of block that alone have it, with tabs between. With a file:
 * the keys that stand in it, as paths of the table.
 */
#include <stdio.h>
#include "conf/schema.h"
#include "lib/buf.h"
#include "lib/yaml.h"

#define TEXT_MAX ((size_t)1 << 20)

static void
print_table(void)
{
	char bounds[80];

	for (size_t i = 0; i < schema_count; i++) {
		const struct schema_row *r = &schema_rows[i];

		printf("%s\t%s\t%s\t%s\t%s\t%s\n", r->path, schema_type_text(r),
		       r->fallback != NULL ? r->fallback : "",
		       schema_bounds_text(r, bounds, sizeof(bounds)), r->help,
		       r->types != NULL ? r->types : "");
	}
}

static void
print_keys(struct arena *arena, const struct yaml_node *block, const char *path)
{
	for (const struct yaml_node *n = block->items; n != NULL; n = n->next) {
		const char *key = n->key.p != NULL ? arena_printf(arena, "%s%s%s", path,
								  *path ? "." : "", n->key.p)
						   : arena_printf(arena, "%s[]", path);

		if (n->key.p != NULL)
			printf("%s\n", key);
		print_keys(arena, n, key);
	}
}

static int
print_file(FILE *file)
{
	struct arena *arena = arena_new(4096, 16u << 20);
	struct yaml_error *errors = NULL;
	struct yaml_node *root = NULL;
	struct buf text;
	uint8_t *room;
	int err;

	buf_init(&text, TEXT_MAX);
	room = buf_room(&text, TEXT_MAX - 1);
	buf_grew(&text, fread(room, 1, TEXT_MAX - 1, file));
	err = yaml_parse(arena, buf_str(&text), &root, &errors);
	for (; errors != NULL; errors = errors->next)
		fprintf(stderr, "%u:%u: %s\n", errors->line, errors->column, errors->words);
	if (err == 0 && root != NULL)
		print_keys(arena, root, "");
	buf_free(&text);
	arena_free(&arena);
	return err == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
	FILE *file;
	int status;

	if (argc == 1) {
		print_table();
		return 0;
	}
	file = fopen(argv[1], "re");
	if (file == NULL) {
		perror(argv[1]);
		return 1;
	}
	status = print_file(file);
	fclose(file);
	return status;
}
