/*
 * Functions that do not compile here: included before every source file (Makefile.am).
 * The system headers that declare them come first, so that only our own uses are refused.
 */
#pragma once
#ifndef _GNU_SOURCE /* here, because no header may come before it: accept4, pipe2, memrchr ... */
#define _GNU_SOURCE 1
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <unistd.h>

#pragma GCC poison strcpy strcat strncpy strncat stpcpy sprintf vsprintf gets strtok
#pragma GCC poison gmtime localtime ctime asctime atoi atol atoll atof
#pragma GCC poison tmpnam tempnam mktemp inet_ntoa inet_addr gethostbyname
