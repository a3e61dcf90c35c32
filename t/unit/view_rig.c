/*
 * A gateway that does not run.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "t/unit/view_rig.h"

struct view rig_view;
char rig_dir[64];

void
rig_open(void)
{
	char path[96];

	snprintf(rig_dir, sizeof(rig_dir), "/tmp/sparkgw-view-XXXXXX");
	cr_assert_not_null(mkdtemp(rig_dir));
	snprintf(path, sizeof(path), "%s/segment", rig_dir);
	cr_assert_eq(segment_create(path, &rig_view.segment), 0);
	rig_view.state_dir = rig_dir;
}

void
rig_close(void)
{
	static const char *const names[] = {"segment", "data.mdb", "lock.mdb", "history.json"};
	char path[96];

	view_close(&rig_view);
	segment_detach(&rig_view.segment);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", rig_dir, names[i]);
		unlink(path);
	}
	rmdir(rig_dir);
}

struct procs_row *
rig_enter(unsigned index, enum proc_kind kind, unsigned generation, unsigned restarts)
{
	struct procs_row *row = &segment_procs(rig_view.segment)[index];

	procs_enter(row, kind, 0, generation, restarts);
	procs_set_state(row, PROC_READY);
	return row;
}
