/* SPDX-License-Identifier: Apache-2.0
 * src/base/process.h: running a program and reading what it prints. */
#ifndef PARE_BASE_PROCESS_H
#define PARE_BASE_PROCESS_H

#include <stddef.h>
#include <pare/error.h>

/* Runs argv (argv[0] is a path) with an empty standard input and its errors thrown away; *out gets at most max bytes of its output,
 * zero-terminated (pare_free). PARE_E_IO when it cannot start or does not exit with 0. */
int pare_process_output(const char *const *argv, char **out, size_t *n, size_t max, struct pare_diag *diag);

#endif
