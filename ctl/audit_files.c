/*
 * A look into state_dir/audit.
 */
#include "ctl/audit_files.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "shm/chain.h"

struct found {
	uint64_t seq;
	char name[CHAIN_NAME_MAX];
};

static int
compare(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

static int
find(DIR *dir, struct found **ret, unsigned *ret_count)
{
	unsigned size = 0;

	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		struct found f, *bigger;

		if (chain_file_seq(e->d_name, &f.seq) != 0)
			continue;
		str_copy(f.name, sizeof(f.name), str_from(e->d_name));
		if (*ret_count == size) {
			size = size > 0 ? 2 * size : 64;
			bigger = reallocarray(*ret, size, sizeof(f));
			if (bigger == NULL)
				return E_NOMEM;
			*ret = bigger;
		}
		(*ret)[(*ret_count)++] = f;
	}
	if (*ret_count > 0)
		qsort(*ret, *ret_count, sizeof(**ret), compare);
	return 0;
}

static int
fill(const char *state_dir, const struct found *found, unsigned count, struct audit_files *ret)
{
	ret->paths = calloc(count + 1, sizeof(*ret->paths));
	if (ret->paths == NULL)
		return E_NOMEM;
	for (unsigned i = 0; i < count; i++)
		snprintf(ret->paths[i], PATH_MAX, "%s/" CHAIN_FOLDER "/%s", state_dir,
			 found[i].name);
	ret->count = count;
	snprintf(ret->paths[count], PATH_MAX, "%s/" CHAIN_FOLDER "/" CHAIN_FILE, state_dir);
	if (access(ret->paths[count], F_OK) == 0)
		ret->count++;
	return 0;
}

int
audit_files_list(const char *state_dir, struct audit_files *ret)
{
	char path[PATH_MAX];
	struct found *found = NULL;
	unsigned count = 0;
	DIR *dir;
	int err;

	*ret = (struct audit_files){.count = 0};
	snprintf(path, sizeof(path), "%s/" CHAIN_FOLDER, state_dir);
	dir = opendir(path);
	if (dir == NULL)
		return E_IO;
	err = find(dir, &found, &count);
	closedir(dir);
	if (err == 0)
		err = fill(state_dir, found, count, ret);
	free(found);
	return err;
}

void
audit_files_free(struct audit_files *f)
{
	free(f->paths);
	*f = (struct audit_files){.count = 0};
}

bool
audit_files_is_live(const char *path)
{
	char copy[PATH_MAX];

	str_copy(copy, sizeof(copy), str_from(path));
	return strcmp(basename(copy), CHAIN_FILE) == 0;
}
