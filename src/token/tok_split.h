/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_split.h: finding the next match of a pattern. Public patterns have hand-written matchers, linear in the text;
 * any other regular expression goes to PCRE2 with limits, because it comes from a file that nobody has checked. */
#ifndef PARE_TOKEN_TOK_SPLIT_H
#define PARE_TOKEN_TOK_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <pare/error.h>

struct pare_split;
struct pare_split_run; /* what one thread needs while it matches */

/* A pattern as Hugging Face's tokenizers write it (Oniguruma syntax). */
int pare_split_regex(struct pare_split **out, const char *pattern, size_t len, struct pare_diag *diag);
/* A literal text. */
int pare_split_literal(struct pare_split **out, const char *text, size_t len, struct pare_diag *diag);
/* One character of a class. */
enum pare_split_class { PARE_SPLIT_WS, PARE_SPLIT_PUNCT, PARE_SPLIT_NUMERIC, PARE_SPLIT_WORDS };
int pare_split_of_class(struct pare_split **out, enum pare_split_class c, struct pare_diag *diag);
void pare_split_free(struct pare_split **s);

/*
 * Finds the next match in s[0..n) that begins at or after `at`; true and *from <= *to, or false: no more. An empty match is a
 * boundary. *err is set to PARE_E_LIMIT when a pattern gives up. run may be NULL for hand-written matchers.
 */
bool pare_split_next(const struct pare_split *p, struct pare_split_run *run, const uint8_t *s, size_t n, size_t at,
                     size_t *from, size_t *to, int *err);
/* Prepares matching in s[0..n); *run starts as NULL and is reused. */
int pare_split_begin(const struct pare_split *p, struct pare_split_run **run, const uint8_t *s, size_t n, struct pare_diag *diag);
void pare_split_run_free(struct pare_split_run **run);
/* The pattern's text, "" for classes; and whether it is matched by hand-written code. */
const char *pare_split_text(const struct pare_split *p, bool *by_hand);

#endif
