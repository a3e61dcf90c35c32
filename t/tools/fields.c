/*
 * For t/tools/manuals: the fields of an audit record, one line each, as member and help with a tab
 * between.
 */
#include <stdio.h>
#include "shm/audit.h"

int
main(void)
{
#define AUDIT_PRINT(tag, name, member, kind, bytes, help) printf("%s\t%s\n", member, help);
	AUDIT_FIELDS(AUDIT_PRINT)
	return 0;
}
