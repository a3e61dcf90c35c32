/*
 * Clusters as the registry tells them: whom they serve, and which of them a host name means. Pure.
 */
#pragma once
#include "shm/registry.h"

bool clusters_serves(const struct registry_cluster *, struct str team);
/* `pattern`: a host name, or "*.example.com", where the star is one label. A final dot of the host
 * counts for nothing. */
bool clusters_host_matches(struct str pattern, struct str host);
/* The cluster that lists the host; an exact name before one with a star. NULL: nobody does. */
struct registry_cluster *clusters_by_host(const struct registry *, struct str host);
