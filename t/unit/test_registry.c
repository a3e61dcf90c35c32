/* The registry: made equal to the configuration, ids that stay, slots, snapshots, drains. */
#include "shm/registry.h"
#include "shm/segment.h"
#include "t/unit/scratch.h"

static struct db *db;

static void
start(void)
{
	const char *words;

	scratch_make();
	cr_assert_eq(db_open(scratch, true, DB_READERS, &db, &words), 0);
}

static void
stop(void)
{
	db_close(&db);
	scratch_drop();
}

TestSuite(registry, .init = start, .fini = stop, .timeout = 60);

#define DRIVER(name_, address_)                                           \
	{                                                                 \
		.name = STR(name_), .address = STR(address_), .weight = 1 \
	}

/* "a/one" and "a/two" in cluster a, "b/one" in the shared cluster b. */
static struct registry_driver drivers_a[] = {DRIVER("one", "h1:1"), DRIVER("two", "h2:1")};
static struct registry_driver drivers_b[] = {DRIVER("one", "h3:1")};
static struct str teams_b[] = {{"t1", 2}, {"t2", 2}};
static struct str hosts_a[] = {{"a.example", 9}};
static struct registry_cluster wanted[] = {
	{.name = STR("a"),
	 .team = STR("t1"),
	 .env = STR("prod"),
	 .region = STR("r"),
	 .hosts = hosts_a,
	 .hosts_count = 1,
	 .drivers = drivers_a,
	 .drivers_count = 2},
	{.name = STR("b"),
	 .env = STR("dev"),
	 .shared = true,
	 .teams = teams_b,
	 .teams_count = 2,
	 .drivers = drivers_b,
	 .drivers_count = 1},
};

static bool
reconcile(const struct registry_cluster *w, unsigned count)
{
	bool changed;

	cr_assert_eq(db_write_begin(db), 0);
	cr_assert_eq(registry_reconcile(db, w, count, &changed), 0);
	cr_assert_eq(db_commit(db), 0);
	return changed;
}

static struct registry *
load(void)
{
	struct registry *r = NULL;
	const char *words = NULL;
	int err = registry_load(db, 9, &r, &words);

	cr_assert_eq(err, 0, "%s", words);
	return r;
}

/* "a/one=1@0 a/two=2@1! …": ids, slots, ! for draining. */
static const char *
tell(void)
{
	static char text[512];
	struct registry *r = load();
	size_t n = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < r->drivers_count; i++) {
		const struct registry_driver *d = r->by_id[i];

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s/%.*s=%u@%u%s",
				      i > 0 ? " " : "", STR_ARG(d->cluster->name), STR_ARG(d->name),
				      d->id, d->slot, d->draining ? "!" : "");
	}
	registry_unref(&r);
	return text;
}

static int
drain(const char *name, bool on, uint32_t *ret_id)
{
	int err, committed;

	cr_assert_eq(db_write_begin(db), 0);
	err = registry_set_drain(db, str_from(name), on, ret_id);
	committed = db_commit(db);
	cr_assert_eq(committed, 0);
	return err;
}

Test(registry, the_first_configuration_is_entered_whole)
{
	struct registry *r;
	struct registry_cluster *a, *b;

	cr_expect(reconcile(wanted, 2));
	r = load();
	cr_expect_eq(r->generation, 9u);
	cr_assert_eq(r->clusters_count, 2u);
	cr_assert_eq(r->drivers_count, 3u);
	a = registry_cluster(r, STR("a"));
	b = registry_cluster(r, STR("b"));
	cr_assert(a != NULL && b != NULL);
	cr_expect(str_eq(a->team, STR("t1")) && str_eq(a->env, STR("prod")));
	cr_expect(str_eq(a->region, STR("r")) && str_eq(a->origin, STR("config")) && !a->shared);
	cr_assert_eq(a->hosts_count, 1u);
	cr_expect(str_eq(a->hosts[0], STR("a.example")));
	cr_assert_eq(a->drivers_count, 2u);
	cr_expect(str_eq(a->drivers[1].address, STR("h2:1")));
	cr_expect_eq(a->drivers[1].cluster, a);
	cr_expect(b->shared && b->team.n == 0);
	cr_assert_eq(b->teams_count, 2u);
	cr_expect(str_eq(b->teams[1], STR("t2")));
	cr_expect_eq(registry_driver(r, 2), &a->drivers[1]);
	cr_expect_eq(registry_driver(r, 3), &b->drivers[0]);
	cr_expect_null(registry_driver(r, 0));
	cr_expect_null(registry_driver(r, 4));
	cr_expect_null(registry_cluster(r, STR("c")));
	registry_unref(&r);
	cr_expect_str_eq(tell(), "a/one=1@0 a/two=2@1 b/one=3@2");
}

Test(registry, the_same_configuration_changes_nothing)
{
	cr_expect(reconcile(wanted, 2));
	cr_expect_not(reconcile(wanted, 2));
	cr_expect_not(reconcile(wanted, 2));
}

Test(registry, who_stays_keeps_id_slot_and_drain)
{
	struct registry_driver more[] = {DRIVER("new", "h9:1"), DRIVER("two", "h2:1"),
					 DRIVER("newer", "h8:1")};
	struct registry_cluster changed[] = {wanted[0], wanted[1]};
	uint32_t id = 0;

	cr_expect(reconcile(wanted, 2));
	cr_expect_eq(drain("two", true, &id), 0);
	cr_expect_eq(id, 2u);
	changed[0].drivers = more;
	changed[0].drivers_count = 3;
	changed[0].env = STR("staging");
	cr_expect(reconcile(changed, 2));
	/* 0, the slot of a/one, is given again last */
	cr_expect_str_eq(tell(), "a/two=2@1! b/one=3@2 a/new=4@3 a/newer=5@4");
	more[1].weight = 5;
	cr_expect(reconcile(changed, 2), "a weight is a change");
	cr_expect_str_eq(tell(), "a/two=2@1! b/one=3@2 a/new=4@3 a/newer=5@4");
	cr_expect(reconcile(wanted, 2));
	cr_expect_str_eq(tell(), "a/two=2@1! b/one=3@2 a/one=6@0", "ids are never used again");
}

Test(registry, another_address_is_another_driver)
{
	struct registry_driver moved[] = {DRIVER("one", "h1:2"), DRIVER("two", "h2:1")};
	struct registry_cluster changed[] = {wanted[0], wanted[1]};
	uint32_t id;

	cr_expect(reconcile(wanted, 2));
	cr_expect_eq(drain("a/one", true, &id), 0);
	changed[0].drivers = moved;
	cr_expect(reconcile(changed, 2));
	cr_expect_str_eq(tell(), "a/two=2@1 b/one=3@2 a/one=4@3!",
			 "a wish stays with the name, the id does not");
}

Test(registry, clusters_go_with_their_drivers_and_others_stay)
{
	cr_expect(reconcile(wanted, 2));
	cr_assert_eq(db_write_begin(db), 0);
	db_put(db, DB_REGISTRY, STR("cluster/p"), STR("{\"origin\":\"api\"}"));
	db_put(db, DB_REGISTRY, STR("driver/70"),
	       STR("{\"origin\":\"api\",\"cluster\":\"p\",\"name\":\"x\",\"address\":\"h:1\","
		   "\"weight\":1,\"slot\":3,\"wanted\":\"active\"}"));
	cr_assert_eq(db_commit(db), 0);
	cr_expect(reconcile(wanted + 1, 1));
	cr_expect_str_eq(tell(), "b/one=3@2 p/x=70@3");
	cr_expect(reconcile(NULL, 0));
	cr_expect_str_eq(tell(), "p/x=70@3");
	cr_expect(reconcile(wanted, 2));
	cr_expect_str_eq(tell(), "a/one=4@0 a/two=5@1 b/one=6@2 p/x=70@3", "3 is taken");
}

Test(registry, drivers_are_named_alone_or_with_their_cluster)
{
	static const struct {
		const char *name;
		int want;
		uint32_t id;
	} cases[] = {
		{"two", 0, 2},
		{"a/two", 0, 2},
		{"a/one", 0, 1},
		{"b/one", 0, 3},
		{"one", E_EXISTS, 0},
		{"b/two", E_NOT_FOUND, 0},
		{"a", E_NOT_FOUND, 0},
		{"", E_NOT_FOUND, 0},
		{"/one", E_NOT_FOUND, 0},
		{"a/one/one", E_NOT_FOUND, 0},
		{"tw", E_NOT_FOUND, 0},
	};

	cr_expect(reconcile(wanted, 2));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t id = 0;

		cr_expect_eq(drain(cases[i].name, true, &id), cases[i].want, "%s", cases[i].name);
		cr_expect_eq(id, cases[i].id, "%s", cases[i].name);
	}
	cr_expect_str_eq(tell(), "a/one=1@0! a/two=2@1! b/one=3@2!");
	for (size_t i = 0; i < 3; i++) {
		uint32_t id;

		cr_expect_eq(drain(i == 0 ? "a/one" : i == 1 ? "two" : "b/one", false, &id), 0);
	}
	cr_expect_str_eq(tell(), "a/one=1@0 a/two=2@1 b/one=3@2");
}

Test(registry, there_are_no_more_slots_than_slots)
{
	static struct registry_driver many[SEGMENT_DRIVERS + 1];
	static char names[SEGMENT_DRIVERS + 1][8];
	struct registry_cluster c = {.name = STR("c"), .drivers = many};
	bool changed;

	for (unsigned i = 0; i <= SEGMENT_DRIVERS; i++) {
		snprintf(names[i], sizeof(names[i]), "d%u", i);
		many[i] = (struct registry_driver){
			.name = str_from(names[i]), .address = STR("h:1"), .weight = 1};
	}
	c.drivers_count = SEGMENT_DRIVERS + 1;
	cr_assert_eq(db_write_begin(db), 0);
	cr_expect_eq(registry_reconcile(db, &c, 1, &changed), E_FULL);
	db_abort(db);
	c.drivers_count = SEGMENT_DRIVERS;
	cr_expect(reconcile(&c, 1));
	c.drivers = many + 1; /* one goes, one comes: its slot is all there is */
	cr_expect(reconcile(&c, 1));
	cr_expect_not(reconcile(&c, 1));
}

Test(registry, snapshots_outlive_the_next_one)
{
	struct registry *old, *held;

	cr_expect(reconcile(wanted, 2));
	old = load();
	held = registry_ref(old);
	registry_unref(&old);
	cr_expect_null(old);
	cr_expect(reconcile(wanted + 1, 1));
	cr_expect(str_eq(registry_driver(held, 1)->address, STR("h1:1")));
	registry_unref(&held);
	registry_unref(&held);
}

Test(registry, a_bad_row_is_named)
{
	static const struct {
		const char *key, *value, *word;
	} cases[] = {
		{"driver/9", "{", "driver/9"},
		{"driver/0", "{}", "driver/0"},
		{"driver/x", "{}", "driver/x"},
		{"driver/9", "{\"cluster\":\"a\",\"name\":\"n\",\"address\":\"h:1\",\"weight\":1}",
		 "driver/9"},
		{"driver/9",
		 "{\"cluster\":\"zz\",\"name\":\"n\",\"address\":\"h:1\",\"weight\":1,\"slot\":8}",
		 "not there"},
		{"cluster/q", "[]", "cluster/q"},
	};

	cr_expect(reconcile(wanted, 2));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct registry *r = NULL;
		const char *words = "";

		cr_assert_eq(db_write_begin(db), 0);
		db_put(db, DB_REGISTRY, str_from(cases[i].key), str_from(cases[i].value));
		cr_assert_eq(db_commit(db), 0);
		cr_expect_eq(registry_load(db, 1, &r, &words), E_SYNTAX, "case %zu", i);
		cr_expect_neq(strstr(words, cases[i].word), NULL, "case %zu: %s", i, words);
		cr_expect_null(r);
		cr_assert_eq(db_write_begin(db), 0);
		db_del(db, DB_REGISTRY, str_from(cases[i].key));
		cr_assert_eq(db_commit(db), 0);
	}
}

Test(registry, names_that_are_not_utf8_are_refused)
{
	struct registry_cluster bad = {.name = STR("c"), .team = STR("\xff\xfe")};
	bool changed;

	cr_assert_eq(db_write_begin(db), 0);
	cr_expect_eq(registry_reconcile(db, &bad, 1, &changed), E_SYNTAX);
	db_abort(db);
}
