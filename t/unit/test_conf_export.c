/*
 * The blocks of what leaves for other services: audit.ship and tracing.
 */
#include <criterion/criterion.h>
#include "t/unit/conf_rig.h"

#define SHIP                                                                              \
	BASE "audit:\n  ship:\n    endpoint: \"https://s3.example.com\"\n    bucket: b\n" \
	     "    access_key_file: ship.id\n    secret_key_file: ship.secret\n"

TestSuite(export, .fini = rig_teardown);

Test(export, ship_and_tracing)
{
	rig_print_and_load(SHIP "tracing: {endpoint: \"http://127.0.0.1:4318\", sample: 10}\n");
	cr_expect(conf->audit.has_ship);
	EXPECT_STR(conf->audit.ship.endpoint, "https://s3.example.com");
	EXPECT_STR(conf->audit.ship.prefix, "audit");
	EXPECT_STR(conf->audit.ship.region, "us-east-1");
	EXPECT_STR(conf->audit.ship.secret_key_file, "/t/ship.secret");
	cr_expect(conf->audit.has_tracing);
	cr_expect_eq(conf->audit.tracing.sample, 10);
	rig_teardown();
	rig_print_and_load(BASE);
	cr_expect(!conf->audit.has_ship && !conf->audit.has_tracing);
}

Test(export, refuses)
{
	static const char *const prefixes[] = {"/a", "a/", "a//b", "../a", "a b", "a/.b", "a?b"};
	char text[512], wanted[256];

	for (size_t i = 0; i < N(prefixes); i++) {
		snprintf(text, sizeof(text), SHIP "    prefix: \"%s\"\n", prefixes[i]);
		snprintf(wanted, sizeof(wanted),
			 "9:13: audit.ship.prefix: must be names of A-Z a-z 0-9 . _ - = with "
			 "single slashes between, none beginning with a dot\n");
		rig_refuses(text, wanted);
		rig_teardown();
	}
	rig_refuses(SHIP "  max_bytes: 6GiB\n",
		    "9:14: audit.max_bytes: at most 5GiB where files are shipped: a store takes no "
		    "larger ones\n");
	rig_teardown();
	rig_refuses(
		SHIP "    ca: company-ca.crt\n  enabled: false\n",
		"5:15: audit.ship.endpoint: there is nothing to ship with audit.enabled: false\n");
	rig_teardown();
	rig_refuses(BASE "tracing: {endpoint: \"http://10.0.0.1:4318\"}\n",
		    "3:21: tracing.endpoint: would go in clear text to another host: https:// is "
		    "needed\n");
	rig_teardown();
	rig_refuses(BASE "tracing: {endpoint: \"https://a/?b=c\"}\n",
		    "3:21: tracing.endpoint: must have no query\n");
}
