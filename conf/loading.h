/*
 * One loading under way: the configuration being filled, the errors found, and where each value
 * stood in the file, so that the checks, which look at structs, can name line, column and key.
 */
#pragma once
#include "conf/types.h"
#include "conf/schema.h"
#include "lib/yaml.h"

struct loading_place;
struct secret_reader;

struct loading {
	struct conf *conf;
	struct conf_error *errors;
	struct loading_place *places;
	const struct secret_reader *reader;
};

/* Remembers: the value of `row` in the block whose struct is `base` came from `node`. index: in a
 * list, else -1. `key` is the full key ("clusters[0].team") and lives in the arena. row NULL: the
 * whole file, base the struct conf. */
void loading_place(struct loading *, const void *base, const struct schema_row *row, int index,
		   const struct yaml_node *node, const char *key);
/* An error about the value itself. */
void loading_fail_at(struct loading *, const struct yaml_node *, const char *key, const char *fmt,
		     ...) __attribute__((format(printf, 4, 5)));
/* An error about the key `path` (of the schema) in the block `base`; where it is absent, the place
 * of the block is named. */
void loading_fail(struct loading *, const void *base, const char *path, int index, const char *fmt,
		  ...) __attribute__((format(printf, 5, 6)));
/* Its line; 0 when it is absent, or when no further error would be kept. */
unsigned loading_line(const struct loading *, const void *base, const char *path, int index);
/* Its line, or that of the block where it is absent. */
unsigned loading_line_near(const struct loading *, const void *base, const char *path, int index);
