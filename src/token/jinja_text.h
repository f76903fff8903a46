/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_text.h: text of templates: UTF-8 by code point, and the character classes and case mappings of Python's str. */
#ifndef PARE_TOKEN_JINJA_TEXT_H
#define PARE_TOKEN_JINJA_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pare_buf;

/* All take valid UTF-8; pare_jtext_valid is asked first about what comes from outside. */
bool     pare_jtext_valid(const char *p, size_t n, size_t *bad_at);
size_t   pare_jtext_count(const char *p, size_t n);              /* code points */
size_t   pare_jtext_step(const char *p);                         /* bytes of the code point at p */
uint32_t pare_jtext_decode(const char *p, size_t *step);
size_t   pare_jtext_encode(uint32_t c, char out[4]);             /* bytes written; c is a scalar value */
size_t   pare_jtext_back(const char *p, size_t at);              /* start of the code point that ends before byte at > 0 */
size_t   pare_jtext_offset(const char *p, size_t n, size_t chars, size_t index); /* byte offset of a code point */
ptrdiff_t pare_jtext_find(const char *hay, size_t n, const char *needle, size_t m);  /* byte offset or -1 */
ptrdiff_t pare_jtext_rfind(const char *hay, size_t n, const char *needle, size_t m);

bool   pare_jtext_space(uint32_t c);                             /* str.isspace */
bool   pare_jtext_linebreak(uint32_t c);                         /* where str.splitlines splits */
size_t pare_jtext_lstrip(const char *p, size_t n);               /* bytes of leading white space */
size_t pare_jtext_rstrip(const char *p, size_t n);               /* length without trailing white space */

/* Classes, from the Unicode general category. */
bool pare_jtext_alpha(uint32_t c);
bool pare_jtext_digit(uint32_t c);
bool pare_jtext_word(uint32_t c); /* \w */
bool pare_jtext_upper(uint32_t c);
bool pare_jtext_lower(uint32_t c);
bool pare_jtext_cased(uint32_t c);
bool pare_jtext_printable(uint32_t c);

enum pare_jcase { PARE_JCASE_UPPER, PARE_JCASE_LOWER, PARE_JCASE_CAPITALIZE, PARE_JCASE_TITLE, PARE_JCASE_SWAP, PARE_JCASE_FOLD };
/* Appends the n bytes of p with the case changed, with the one-to-many mappings of Unicode's SpecialCasing. */
void pare_jtext_case(struct pare_buf *b, const char *p, size_t n, enum pare_jcase how);

#endif
