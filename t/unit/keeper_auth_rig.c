/*
 * The rig itself; see keeper_auth_rig.h.
 */
#include <dirent.h>
#include <sys/stat.h>
#include "t/unit/keeper_auth_rig.h"

struct arena *rig_arena;

void
rig_make_auth(void)
{
	rig_make();
	rig_arena = arena_new(4096, (size_t)256 * 1024);
}

void
rig_drop_auth(void)
{
	arena_free(&rig_arena);
	rig_drop();
}

uint64_t
rig_generation(enum segment_what what)
{
	return atomic_load(segment_generation(rig.segment, what));
}

/* ---- messages ---- */

void
rig_put_digest(unsigned n, uint8_t digest[TOKEN_DIGEST])
{
	memset(digest, 0xd1, TOKEN_DIGEST);
	memcpy(digest, &n, sizeof(n));
}

struct keeper_token
rig_token_message(unsigned n, const char *id)
{
	struct keeper_token m = {.head = {KEEPER_TOKEN, sizeof(m), 80},
				 .type = TOKEN_PERSONAL,
				 .envs_count = 2,
				 .expires_ms = clock_wall_ms() + DAY_MS,
				 .user = "alice",
				 .name = "Alice",
				 .team = "fe",
				 .note = "laptop",
				 .envs = {"dev", "prod"}};

	rig_put_digest(n, m.digest);
	str_copy(m.id, sizeof(m.id), str_from(id));
	return m;
}

struct keeper_done
rig_make_token(unsigned n, const char *id)
{
	struct keeper_token m = rig_token_message(n, id);

	return rig_ask(&m.head);
}

struct keeper_token_revoke
rig_revoke_message(const char *id)
{
	struct keeper_token_revoke m = {.head = {KEEPER_TOKEN_REVOKE, sizeof(m), 81}};

	str_copy(m.id, sizeof(m.id), str_from(id));
	return m;
}

struct keeper_done
rig_revoke_token(const char *id)
{
	struct keeper_token_revoke m = rig_revoke_message(id);

	return rig_ask(&m.head);
}

struct keeper_public_key
rig_key_message(const char *provider, uint64_t set, unsigned i)
{
	struct keeper_public_key m = {.head = {KEEPER_KEY, sizeof(m), 82},
				      .set = set,
				      .index = i,
				      .algs = 1u << i,
				      .kid_len = 2,
				      .der_len = KEYS_DER_MAX};

	str_copy(m.provider, sizeof(m.provider), str_from(provider));
	m.kid[0] = (uint8_t)set;
	m.kid[1] = (uint8_t)i;
	memset(m.der, (int)(set * 16 + i), sizeof(m.der));
	return m;
}

int
rig_put_key(const char *provider, uint64_t set, unsigned i)
{
	struct keeper_public_key m = rig_key_message(provider, set, i);

	return rig_ask(&m.head).result;
}

int
rig_complete(const char *provider, uint64_t set, unsigned count)
{
	struct keeper_keys m = {.head = {KEEPER_KEYS, sizeof(m), 83},
				.set = set,
				.fetched_ms = set * 1000,
				.count = count};

	str_copy(m.provider, sizeof(m.provider), str_from(provider));
	memset(m.source, (int)set, sizeof(m.source));
	return rig_ask(&m.head).result;
}

int
rig_set_rollout(int percent)
{
	struct keeper_rollout m = {.head = {KEEPER_ROLLOUT, sizeof(m), 84}, .percent = percent};

	return rig_ask(&m.head).result;
}

struct keeper_secret
rig_secret_message(const char *name, const char *text)
{
	struct keeper_secret m = {.head = {KEEPER_SECRET, sizeof(m), 85},
				  .len = (uint32_t)strlen(text)};

	str_copy(m.name, sizeof(m.name), str_from(name));
	memcpy(m.bytes, text, m.len);
	return m;
}

int
rig_write_secret(const char *name, const char *text)
{
	struct keeper_secret m = rig_secret_message(name, text);

	return rig_ask(&m.head).result;
}

const char *
rig_told(int worker, unsigned *ret_n)
{
	static _Alignas(16) char buf[MSG_MAX];
	const struct keeper_revoked *m = (const void *)buf;

	while (poll(&(struct pollfd){rig.workers[worker], POLLIN, 0}, 1, 500) == 1) {
		cr_assert_eq(msg_recv(rig.workers[worker], buf, sizeof(buf)), 0);
		if (m->head.type != KEEPER_REVOKED)
			continue;
		cr_assert(MSG_IS(&m->head, keeper_revoked));
		memcpy(ret_n, m->digest, sizeof(*ret_n));
		return m->id;
	}
	return "";
}

/* ---- what is on the disk ---- */

int
rig_look_token(unsigned n, struct token *ret)
{
	struct db *db = rig_db(false);
	uint8_t digest[TOKEN_DIGEST];
	int err;

	rig_put_digest(n, digest);
	cr_assert_eq(db_read_begin(db), 0);
	err = tokens_get(db, digest, rig_arena, ret);
	db_read_end(db);
	db_close(&db);
	return err;
}

uint64_t
rig_current_set(const char *provider, unsigned want_count)
{
	struct db *db = rig_db(false);
	struct keys keys = {0};
	int err;

	cr_assert_eq(db_read_begin(db), 0);
	err = keys_load(db, str_from(provider), rig_arena, &keys);
	db_read_end(db);
	db_close(&db);
	if (err == E_NOT_FOUND)
		return 0;
	cr_assert_eq(err, 0);
	cr_expect_eq(keys.count, want_count);
	cr_expect(keys.fetched_ms == keys.set * 1000 && keys.source[5] == keys.set);
	for (unsigned i = 0; i < keys.count; i++) {
		struct keeper_public_key want = rig_key_message(provider, keys.set, i);

		cr_expect_eq(keys.list[i].algs, want.algs);
		cr_expect(str_eq(keys.list[i].kid, (struct str){(char *)want.kid, 2}));
		cr_expect(str_eq(keys.list[i].der, (struct str){(char *)want.der, KEYS_DER_MAX}));
	}
	return keys.set;
}

int
rig_rollout(void)
{
	struct db *db = rig_db(false);
	int percent = -2;

	cr_assert_eq(db_read_begin(db), 0);
	cr_expect_eq(settings_rollout(db, &percent), 0);
	db_read_end(db);
	db_close(&db);
	return percent;
}

const char *
rig_read_secret(const char *name)
{
	static char text[KEEPER_SECRET_MAX + 1];
	char path[48];
	struct stat st;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "keys/%.40s", name);
	fd = open(scratch_path(path), O_RDONLY | O_NOFOLLOW);
	if (fd < 0)
		return "";
	cr_assert_eq(fstat(fd, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600u);
	n = read(fd, text, sizeof(text) - 1);
	cr_assert_geq(n, 0);
	text[n] = '\0';
	close(fd);
	return text;
}

unsigned
rig_files_in_folder(void)
{
	DIR *dir = opendir(scratch_path("keys"));
	unsigned n = 0;

	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(dir);
	return n;
}
