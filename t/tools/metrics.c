/*
 * For t/tools/manuals: the table of metrics, one line each, as name, type, labels and help, with
 * tabs between.
 */
#include <stdio.h>
#include "controller/metrics_table.h"

#define PRINT(name, type, labels, source, what, help) {#name, #type, labels, help},

static const struct {
	const char *name, *type, *labels, *help;
} rows[] = {METRICS_TABLE(PRINT)};

int
main(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		printf("%s\t%s\t%s\t%s\n", rows[i].name, rows[i].type, rows[i].labels,
		       rows[i].help);
	return 0;
}
