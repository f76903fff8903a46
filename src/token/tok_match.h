/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_match.h: hand-written matchers of the public pre-tokenizer patterns. */
#ifndef PARE_TOKEN_TOK_MATCH_H
#define PARE_TOKEN_TOK_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pare_match_kind {
    PARE_MATCH_GPT2,      /* ' ?LETTERS', ' ?DIGITS', ' ?OTHERS', white space */
    PARE_MATCH_CL100K,    /* the family of cl100k: Llama 3, Qwen 2, ... */
    PARE_MATCH_O200K,     /* the same with words split at changes of case */
    PARE_MATCH_DEEPSEEK3,
    PARE_MATCH_RUN,       /* lo..hi characters of a class, maybe after one white space */
    PARE_MATCH_WS_END,    /* white space at the end */
    PARE_MATCH_THREES,    /* an empty match at each place in a number with a multiple of three digits to come */
    PARE_MATCH_AYA_DIGITS,/* 1..3 digits so that a multiple of three is left */
    PARE_MATCH_LINES      /* a run of line feeds, or a run of anything else */
};

/* Options of the cl100k and o200k families. */
enum {
    PARE_MATCH_CONTRACT  = 1u << 0, /* 's 't 're 've 'm 'll 'd in any case (o200k: after a word) */
    PARE_MATCH_MARKS     = 1u << 1, /* marks count as letters */
    PARE_MATCH_SLASH     = 1u << 2, /* punctuation takes following line ends and '/' */
    PARE_MATCH_NO_TAIL   = 1u << 3, /* punctuation takes no following line ends */
    PARE_MATCH_NO_HAN    = 1u << 4, /* runs of Han stand alone */
    PARE_MATCH_LEAD_WS   = 1u << 5, /* RUN: one white space may stand before it */
    PARE_MATCH_ANY_CASE_S = 1u << 6 /* U+017F counts as an s in a contraction */
};

struct pare_match {
    enum pare_match_kind kind;
    uint32_t             flags;
    uint32_t             digits;    /* most digits in one piece; 0: any number */
    uint32_t             mask;      /* RUN: PARE_UC_* classes, or 0: ranges */
    const uint32_t      *ranges;    /* RUN: pairs lo, hi, ended by 0 */
    uint32_t             lo, hi;    /* RUN: characters, hi 0: any number */
};

/* The matcher of a pattern that is known by its text; false when it is not. */
bool pare_match_lookup(struct pare_match *m, const char *pattern, size_t len);
/* As pare_split_next, never fails. */
bool pare_match_next(const struct pare_match *m, const uint8_t *s, size_t n, size_t at, size_t *from, size_t *to);

#endif
