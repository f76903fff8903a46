/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_unicode.h: code points of a text that may be broken, and their classes.
 * A byte that begins no valid sequence counts as one character of its own, PARE_CP_BAD, in no class: so any bytes go through
 * every splitter and come out whole. Categories are utf8proc's. */
#ifndef PARE_TOKEN_TOK_UNICODE_H
#define PARE_TOKEN_TOK_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

#define PARE_CP_BAD 0x1A /* the control character SUBSTITUTE: in the same classes (none) as a stray byte should be */

enum {
    PARE_UC_L     = 1u << 0, /* letter */
    PARE_UC_N     = 1u << 1, /* number: Nd, Nl, No */
    PARE_UC_WS    = 1u << 2, /* property White_Space */
    PARE_UC_P     = 1u << 3, /* punctuation */
    PARE_UC_S     = 1u << 4, /* symbol */
    PARE_UC_M     = 1u << 5, /* mark */
    PARE_UC_UPPER = 1u << 6, /* Lu, Lt */
    PARE_UC_LOWER = 1u << 7, /* Ll */
    PARE_UC_NOCASE = 1u << 8, /* Lm, Lo */
    PARE_UC_ND    = 1u << 9, /* decimal digit */
    PARE_UC_MN    = 1u << 10, /* mark that takes no space */
    PARE_UC_C     = 1u << 11, /* other: control, format, private use; not the unassigned */
    PARE_UC_PC    = 1u << 12  /* connector punctuation */
};

extern const uint16_t pare_uc_ascii[128];
uint32_t pare_uc_wide(uint32_t cp); /* classes of a code point >= 128 */
static inline uint32_t pare_uc(uint32_t cp) { return cp < 128 ? pare_uc_ascii[cp] : pare_uc_wide(cp); }

/* The word characters of regular expressions: \w of Unicode technical standard 18, annex C. */
bool pare_uc_word(uint32_t cp);
bool pare_uc_han(uint32_t cp);

/* Decodes one character at s (n > 0 bytes left): its length 1..4, *cp; a stray byte gives 1 and PARE_CP_BAD. */
unsigned pare_utf8_wide(const uint8_t *s, size_t n, uint32_t *cp);
static inline unsigned pare_utf8_next(const uint8_t *s, size_t n, uint32_t *cp)
{
    if (s[0] < 0x80) {
        *cp = s[0];
        return 1;
    }
    return pare_utf8_wide(s, n, cp);
}
/* Length of the character that ends before s + at (at > 0). */
unsigned pare_utf8_prev(const uint8_t *s, size_t at, uint32_t *cp);
unsigned pare_utf8_put(uint32_t cp, uint8_t out[4]);
bool pare_buf_cp(struct pare_buf *b, uint32_t cp);
/* True when the n bytes are valid UTF-8; else *bad is the offset of the first stray byte. */
bool pare_utf8_valid(const uint8_t *s, size_t n, size_t *bad);
/* How many of the last bytes of s may be the beginning of a character that is not finished: 0..3. */
size_t pare_utf8_tail(const uint8_t *s, size_t n);
/* Appends s with stray bytes as U+FFFD (one for each maximal part of a sequence, as the Unicode standard advises). */
bool pare_utf8_lossy(struct pare_buf *b, const uint8_t *s, size_t n);

/* Normal forms. Stray bytes pass. False when out of memory. Linear in n, whatever the text. */
enum pare_nform { PARE_NFC, PARE_NFD, PARE_NFKC, PARE_NFKD };
bool pare_utf8_normalize(struct pare_buf *out, const uint8_t *s, size_t n, enum pare_nform form);

/* The alphabet of byte-level BPE (GPT-2): byte to code point, and back (-1: not in the alphabet). */
extern const uint16_t pare_byte_cp[256];
int pare_cp_byte(uint32_t cp);

#endif
