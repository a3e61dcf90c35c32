/*
 * One line per event on one stream (standard error or a file), as text or as JSON.
 *
 *	2026-11-22T10:11:12.345Z info worker=2 gen=1 client=7 refused: token expired
 *
 * The object logs: callers pass a context "rpc=12 user=alice" made from the object, then constant
 * words. Control bytes are escaped. Lines are cut at 2 KiB. A write that fails or would block is
 * counted, never waited for. Floors lib/ proto/ h2/ shm/ use nothing above debug.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/err.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* path NULL or "stderr": standard error. Opened with O_APPEND|O_CREAT 0640; E_IO with errno. */
int log_open(const char *path, enum log_level, enum log_format) MUST_CHECK;
int log_reopen(void);		   /* SIGUSR1; on failure the old file stays */
int log_adopt(int fd);		   /* from whoever could open it: becomes ours in place of the old */
bool log_is_file(void);
void log_ident(const char *ident); /* "worker=2 gen=1", copied (63 bytes); stands in every line */
bool log_wants(enum log_level);
uint64_t log_lost(void); /* lines that could not be written */
int log_fd(void);	 /* for exec'ed children and obituaries */

/* ctx may be NULL; else "key=value key=value". */
void log_write(enum log_level, const char *ctx, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_debug(ctx, ...)                                           \
	do {                                                          \
		if (log_wants(LOG_LEVEL_DEBUG))                       \
			log_write(LOG_LEVEL_DEBUG, ctx, __VA_ARGS__); \
	} while (0)
#define log_info(ctx, ...)  log_write(LOG_LEVEL_INFO, ctx, __VA_ARGS__)
#define log_warn(ctx, ...)  log_write(LOG_LEVEL_WARN, ctx, __VA_ARGS__)
#define log_error(ctx, ...) log_write(LOG_LEVEL_ERROR, ctx, __VA_ARGS__)
