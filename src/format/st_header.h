/* SPDX-License-Identifier: Apache-2.0
 * src/format/st_header.h: a strict scanner for the JSON header of safetensors files. Why not jansson: a header may have 100 MB,
 * a tree of it takes ten times that, and errors here must name the byte. The grammar is two levels of objects holding strings,
 * lists of whole numbers and nothing else, so the scanner has no recursion. */
#ifndef PARE_FORMAT_ST_HEADER_H
#define PARE_FORMAT_ST_HEADER_H

#include "base/mem.h"
#include "format/byte_cursor.h"

/* pos counts from the first byte of the file, so that it serves as offset in errors. */
struct pare_st_scan {
    struct pare_cursor cur;
    struct pare_buf    str; /* the last string, decoded, UTF-8 */
};

/* All return 0 or the error, which stays. */
int pare_st_expect(struct pare_st_scan *s, char want);           /* skips blanks, takes one character */
bool pare_st_accept(struct pare_st_scan *s, char c);             /* the same, but only if it is c */
int pare_st_string(struct pare_st_scan *s);                      /* into s->str; escapes decoded; UTF-8 checked */
int pare_st_number(struct pare_st_scan *s, uint64_t *out);       /* digits only, no sign, no leading zero */
/* After an element: true when a comma and so another element follows, false when the closing character came (or an error). */
bool pare_st_more(struct pare_st_scan *s, char close);
bool pare_st_is(const struct pare_st_scan *s, const char *text); /* the last string equals text */

#endif
