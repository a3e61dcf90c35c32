/*
 * The status page: one HTML file, built into the program (etc/status/index.html), and what a
 * browser may do with it.
 */
#pragma once

const char *site_page(void);
/* Content-Security-Policy: the page's own script and style sheet by their digests, questions to
 * where it came from, nothing else. Made once; NULL: the library has no SHA-256. */
const char *site_policy(void);
