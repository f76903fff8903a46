/* SPDX-License-Identifier: Apache-2.0
 * tests/fixture.h: what every test program begins with, and where fixtures are found. Tests run from the repository's root. */
#ifndef PARE_TESTS_FIXTURE_H
#define PARE_TESTS_FIXTURE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The folder of larger fixtures: PARE_FIXTURES, else ../shared where it exists, else NULL. */
static inline const char *fixtures(void)
{
    const char *p = getenv("PARE_FIXTURES");

    if (p == NULL || *p == '\0') p = "../shared";
    return access(p, R_OK) == 0 ? p : NULL;
}

/* fixture(buf, "goldens/x") gives the path of a fixture file, or NULL when it is absent. */
static inline const char *fixture(char buf[1024], const char *name)
{
    const char *dir = fixtures();

    if (dir == NULL) return NULL;
    snprintf(buf, 1024, "%s/%s", dir, name);
    return access(buf, R_OK) == 0 ? buf : NULL;
}

/* Ends the running test as skipped, visibly, when a fixture is absent. */
#define NEED_FIXTURE(path)                                                                                             \
    do {                                                                                                               \
        if ((path) == NULL) {                                                                                          \
            print_message("fixture absent, set PARE_FIXTURES\n");                                                      \
            skip();                                                                                                    \
        }                                                                                                              \
    } while (0)

#endif
