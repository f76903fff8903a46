/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_strings.h: operations on strings that both filters and methods offer. Results keep the "safe" mark of s. */
#ifndef PARE_TOKEN_JINJA_STRINGS_H
#define PARE_TOKEN_JINJA_STRINGS_H

#include "token/jinja_call.h"
#include "token/jinja_text.h"

struct pare_jv pare_jstr_sub(struct pare_jinja *J, const struct pare_jstr *s, size_t at, size_t n); /* bytes at..at+n */
struct pare_jv pare_jstr_case(struct pare_jinja *J, const struct pare_jstr *s, enum pare_jcase how);
/* sides: 1 left, 2 right, 3 both. chars NONE or ABSENT: white space. */
struct pare_jv pare_jstr_strip(struct pare_jinja *J, const struct pare_jstr *s, struct pare_jv chars, int sides);
/* count < 0: all */
struct pare_jv pare_jstr_replace(struct pare_jinja *J, const struct pare_jstr *s, const struct pare_jstr *from, const struct pare_jstr *to,
                                 int64_t count);
/* align: '<', '>', '^' as str.ljust, rjust, center do it */
struct pare_jv     pare_jstr_pad(struct pare_jinja *J, const struct pare_jstr *s, int64_t width, const struct pare_jstr *fill, char align);
struct pare_jlist *pare_jstr_lines(struct pare_jinja *J, const struct pare_jstr *s, bool keep_ends);
/* sep NULL: runs of white space; max < 0: all; from_right as rsplit */
struct pare_jlist *pare_jstr_split(struct pare_jinja *J, const struct pare_jstr *s, const struct pare_jstr *sep, int64_t max,
                                   bool from_right);

/* Arguments with a type: the value, or the default when absent; a wrong type sets J->err. */
struct pare_jstr *pare_jarg_str(struct pare_jinja *J, struct pare_jv v, const char *dflt);
int64_t           pare_jarg_int(struct pare_jinja *J, struct pare_jv v, int64_t dflt);
bool              pare_jarg_bool(struct pare_jinja *J, struct pare_jv v, bool dflt);
/* Absent or None. */
bool              pare_jarg_none(struct pare_jv v);

#endif
