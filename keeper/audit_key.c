/*
 * The key of the seals.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "keeper/audit_key.h"
#include "keeper/keyfile.h"
#include "lib/log.h"

static int
make(const char *state_dir)
{
	uint8_t bytes[CHAIN_KEY];
	int err = getrandom(bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes) ? 0 : E_IO;

	if (err == 0)
		err = keyfile_write(state_dir, CHAIN_KEY_NAME, bytes, sizeof(bytes));
	explicit_bzero(bytes, sizeof(bytes));
	if (err == 0)
		log_info(NULL, "audit: made a key in %s/keys/" CHAIN_KEY_NAME, state_dir);
	else
		log_error(NULL, "audit: %s/keys/" CHAIN_KEY_NAME " cannot be made: %s", state_dir,
			  err_text(err));
	return err;
}

static int
read_key(int fd, uint8_t ret[CHAIN_KEY], const char *path)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return E_IO;
	if ((st.st_mode & S_IRWXO) != 0) {
		log_error(NULL, "audit: %s is open to others; do chmod o= on it", path);
		return E_DENIED;
	}
	if (!S_ISREG(st.st_mode) || st.st_size != CHAIN_KEY ||
	    read(fd, ret, CHAIN_KEY) != CHAIN_KEY) {
		log_error(NULL,
			  "audit: %s is not a file of %d bytes; put back the one that was "
			  "saved, or remove it (seals made so far cannot be checked without it)",
			  path, CHAIN_KEY);
		return E_DENIED;
	}
	return 0;
}

int
audit_key_read(const char *state_dir, uint8_t ret[CHAIN_KEY])
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/keys/" CHAIN_KEY_NAME, state_dir);
	int fd, err;

	if (n < 0 || (size_t)n >= sizeof(path))
		return E_IO;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT) {
		err = make(state_dir);
		if (err != 0)
			return err;
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	}
	if (fd < 0) {
		log_error(NULL, "audit: %s: %s", path, strerror(errno));
		return E_IO;
	}
	err = read_key(fd, ret, path);
	close(fd);
	return err;
}
