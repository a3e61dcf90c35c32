/*
 * Clusters and their drivers as the registry tells them. Plain data; whoever made them owns them (a
 * snapshot, or the configuration's reader).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/str.h"

struct registry_driver {
	uint32_t id;
	uint32_t slot;	    /* < SEGMENT_DRIVERS */
	struct str name;    /* unique in its cluster; default: the address */
	struct str address; /* "host:port" as configured */
	uint32_t weight;    /* 1 to 1000 */
	bool draining;	    /* wanted by an administrator */
	struct registry_cluster *cluster;
};

struct registry_cluster {
	struct str name, team, env, region, origin; /* team empty for shared ones */
	bool shared;
	struct str *teams; /* of a shared cluster */
	unsigned teams_count;
	struct str *hosts;
	unsigned hosts_count;
	struct registry_driver *drivers;
	unsigned drivers_count;
};
