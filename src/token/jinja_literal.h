/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_literal.h: numbers and strings as they are written in templates. */
#ifndef PARE_TOKEN_JINJA_LITERAL_H
#define PARE_TOKEN_JINJA_LITERAL_H

#include "token/jinja_value.h"

/* Bytes of the number at s[at], 0 if none; *out is INT or FLOAT. An integer beyond 64 bits sets J->err. */
size_t pare_jinja_number(struct pare_jinja *J, const char *s, size_t n, size_t at, struct pare_jv *out);
/* The text between the quotes with its escapes resolved. */
struct pare_jstr *pare_jinja_unescape(struct pare_jinja *J, const char *s, size_t n);

/* Python's int(text, base) and float(text): surrounding white space, underscores between digits. False: not a number. */
enum pare_jparse { PARE_JPARSE_OK, PARE_JPARSE_BAD, PARE_JPARSE_RANGE };
enum pare_jparse pare_jinja_parse_int(const struct pare_jstr *s, int base, int64_t *out);
bool             pare_jinja_parse_float(const struct pare_jstr *s, double *out);

#endif
