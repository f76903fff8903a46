/* SPDX-License-Identifier: Apache-2.0 */
#include "token/tok_unicode.h"

#include <string.h>
#include <utf8proc.h>

#define SP PARE_UC_WS
#define CT PARE_UC_C
#define CW (PARE_UC_C | PARE_UC_WS)
#define PU PARE_UC_P
#define SY PARE_UC_S
#define DG (PARE_UC_N | PARE_UC_ND)
#define UP (PARE_UC_L | PARE_UC_UPPER)
#define LO (PARE_UC_L | PARE_UC_LOWER)
#define CO (PARE_UC_P | PARE_UC_PC)
const uint16_t pare_uc_ascii[128] = {
    CT, CT, CT, CT, CT, CT, CT, CT, CT, CW, CW, CW, CW, CW, CT, CT, CT, CT, CT, CT, CT, CT, CT, CT, CT, CT, CT, CT, CT, CT, CT, CT,
    SP, PU, PU, PU, SY, PU, PU, PU, PU, PU, PU, SY, PU, PU, PU, PU, DG, DG, DG, DG, DG, DG, DG, DG, DG, DG, PU, PU, SY, SY, SY, PU,
    PU, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, PU, PU, PU, SY, CO,
    SY, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, PU, SY, PU, SY, CT,
};

uint32_t pare_uc_wide(uint32_t cp)
{
    uint32_t c;

    switch (utf8proc_category((utf8proc_int32_t)cp)) {
    case UTF8PROC_CATEGORY_LU: case UTF8PROC_CATEGORY_LT: c = UP; break;
    case UTF8PROC_CATEGORY_LL: c = LO; break;
    case UTF8PROC_CATEGORY_LM: case UTF8PROC_CATEGORY_LO: c = PARE_UC_L | PARE_UC_NOCASE; break;
    case UTF8PROC_CATEGORY_MN: c = PARE_UC_M | PARE_UC_MN; break;
    case UTF8PROC_CATEGORY_MC: case UTF8PROC_CATEGORY_ME: c = PARE_UC_M; break;
    case UTF8PROC_CATEGORY_ND: c = DG; break;
    case UTF8PROC_CATEGORY_NL: case UTF8PROC_CATEGORY_NO: c = PARE_UC_N; break;
    case UTF8PROC_CATEGORY_PC: c = CO; break;
    case UTF8PROC_CATEGORY_PD: case UTF8PROC_CATEGORY_PS: case UTF8PROC_CATEGORY_PE: case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF: case UTF8PROC_CATEGORY_PO: c = PU; break;
    case UTF8PROC_CATEGORY_SM: case UTF8PROC_CATEGORY_SC: case UTF8PROC_CATEGORY_SK: case UTF8PROC_CATEGORY_SO: c = SY; break;
    case UTF8PROC_CATEGORY_ZS: case UTF8PROC_CATEGORY_ZL: case UTF8PROC_CATEGORY_ZP: c = SP; break;
    case UTF8PROC_CATEGORY_CN: c = 0; break;
    default: c = cp == 0x85 ? CW : CT; break; /* NEXT LINE is the one control above ASCII that is white space */
    }
    return c;
}

bool pare_uc_word(uint32_t cp)
{
    if ((pare_uc(cp) & (PARE_UC_L | PARE_UC_M | PARE_UC_ND | PARE_UC_PC)) != 0) return true;
    if (cp < 0x200C) return cp == 0x16EE || cp == 0x16EF || cp == 0x16F0;
    return cp <= 0x200D || utf8proc_category((utf8proc_int32_t)cp) == UTF8PROC_CATEGORY_NL || (cp >= 0x24B6 && cp <= 0x24E9) ||
           (cp >= 0x1F130 && cp <= 0x1F149) || (cp >= 0x1F150 && cp <= 0x1F169) || (cp >= 0x1F170 && cp <= 0x1F189);
}

/* Script=Han, Unicode 15: Scripts.txt. */
bool pare_uc_han(uint32_t c)
{
    static const struct { uint32_t lo, hi; } han[] = {
        { 0x2E80, 0x2E99 }, { 0x2E9B, 0x2EF3 }, { 0x2F00, 0x2FD5 }, { 0x3005, 0x3005 }, { 0x3007, 0x3007 }, { 0x3021, 0x3029 },
        { 0x3038, 0x303B }, { 0x3400, 0x4DBF }, { 0x4E00, 0x9FFF }, { 0xF900, 0xFA6D }, { 0xFA70, 0xFAD9 },
        { 0x16FE2, 0x16FE3 }, { 0x16FF0, 0x16FF1 }, { 0x20000, 0x2A6DF }, { 0x2A700, 0x2B739 }, { 0x2B740, 0x2B81D },
        { 0x2B820, 0x2CEA1 }, { 0x2CEB0, 0x2EBE0 }, { 0x2F800, 0x2FA1D }, { 0x30000, 0x3134A }, { 0x31350, 0x323AF },
    };

    if (c < 0x2E80) return false;
    for (size_t i = 0; i < sizeof han / sizeof han[0]; i++)
        if (c >= han[i].lo && c <= han[i].hi) return true;
    return false;
}

/* The Unicode standard, table 3-7: which second bytes each first byte allows. */
static unsigned sequence(const uint8_t *s, size_t n, unsigned *want)
{
    uint8_t  b = s[0], lo = 0x80, hi = 0xBF;
    unsigned i;

    if (b < 0x80) return *want = 1;
    if (b < 0xC2 || b > 0xF4) return *want = 0;
    *want = b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
    if (b == 0xE0) lo = 0xA0;
    if (b == 0xED) hi = 0x9F;
    if (b == 0xF0) lo = 0x90;
    if (b == 0xF4) hi = 0x8F;
    for (i = 1; i < *want && i < n; i++) {
        if (s[i] < lo || s[i] > hi) break;
        lo = 0x80;
        hi = 0xBF;
    }
    return i; /* bytes that belong together; == *want for a whole character */
}

unsigned pare_utf8_wide(const uint8_t *s, size_t n, uint32_t *cp)
{
    unsigned want, got = sequence(s, n, &want);

    if (want == 0 || got < want) {
        *cp = PARE_CP_BAD;
        return 1;
    }
    switch (want) {
    case 2: *cp = (uint32_t)(s[0] & 0x1F) << 6 | (s[1] & 0x3F); break;
    case 3: *cp = (uint32_t)(s[0] & 0x0F) << 12 | (uint32_t)(s[1] & 0x3F) << 6 | (s[2] & 0x3F); break;
    case 4:
        *cp = (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3F) << 12 | (uint32_t)(s[2] & 0x3F) << 6 | (s[3] & 0x3F);
        break;
    default: *cp = s[0]; break;
    }
    return want;
}

unsigned pare_utf8_prev(const uint8_t *s, size_t at, uint32_t *cp)
{
    for (unsigned k = 2; k <= 4 && k <= at && (s[at - 1] & 0xC0) == 0x80; k++) {
        if ((s[at - k] & 0xC0) == 0x80) continue;
        if (pare_utf8_next(s + at - k, k, cp) == k) return k;
        break;
    }
    if (s[at - 1] < 0x80)
        *cp = s[at - 1];
    else
        *cp = PARE_CP_BAD;
    return 1;
}

unsigned pare_utf8_put(uint32_t cp, uint8_t out[4])
{
    if (cp < 0x80) {
        out[0] = (uint8_t)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (uint8_t)(0xC0 | cp >> 6);
        out[1] = (uint8_t)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (uint8_t)(0xE0 | cp >> 12);
        out[1] = (uint8_t)(0x80 | (cp >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (cp & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | cp >> 18);
    out[1] = (uint8_t)(0x80 | (cp >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (cp >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (cp & 0x3F));
    return 4;
}

bool pare_buf_cp(struct pare_buf *b, uint32_t cp)
{
    uint8_t u[4];
    return pare_buf_add(b, u, pare_utf8_put(cp, u));
}

bool pare_utf8_valid(const uint8_t *s, size_t n, size_t *bad)
{
    for (size_t i = 0; i < n;) {
        unsigned want, got = sequence(s + i, n - i, &want);
        if (want == 0 || got < want) {
            *bad = i;
            return false;
        }
        i += got;
    }
    return true;
}

size_t pare_utf8_tail(const uint8_t *s, size_t n)
{
    for (size_t k = 1; k <= 3 && k <= n; k++) {
        unsigned want, got;
        if ((s[n - k] & 0xC0) == 0x80) continue;
        got = sequence(s + n - k, k, &want);
        return want > k && got == k ? k : 0;
    }
    return 0;
}

bool pare_utf8_lossy(struct pare_buf *b, const uint8_t *s, size_t n)
{
    size_t from = 0;

    for (size_t i = 0; i < n;) {
        unsigned want, got = sequence(s + i, n - i, &want);
        if (want != 0 && got == want) {
            i += got;
            continue;
        }
        if (!pare_buf_add(b, s + from, i - from) || !pare_buf_add(b, "\xEF\xBF\xBD", 3)) return false;
        i += got == 0 ? 1 : got;
        from = i;
    }
    return pare_buf_add(b, s + from, n - from);
}

/* Canonical order of a run of marks. utf8proc sorts by exchanging neighbours, which is quadratic in the length of the run; a
 * hostile text is one long run, so sort by counting where it matters. Stable. */
static bool order_run(int32_t *cp, size_t n)
{
    size_t   count[257] = { 0 };
    int32_t *tmp;

    if (n < 24) {
        for (size_t i = 1; i < n; i++) {
            int32_t x = cp[i];
            uint8_t k = (uint8_t)utf8proc_get_property(x)->combining_class;
            size_t  j = i;
            for (; j > 0 && utf8proc_get_property(cp[j - 1])->combining_class > k; j--) cp[j] = cp[j - 1];
            cp[j] = x;
        }
        return true;
    }
    if ((tmp = pare_alloc_array(n, sizeof *tmp)) == NULL) return false;
    for (size_t i = 0; i < n; i++) count[(utf8proc_get_property(cp[i])->combining_class & 0xFF) + 1]++;
    for (size_t i = 1; i < 257; i++) count[i] += count[i - 1];
    for (size_t i = 0; i < n; i++) tmp[count[utf8proc_get_property(cp[i])->combining_class & 0xFF]++] = cp[i];
    memcpy(cp, tmp, n * sizeof *tmp);
    pare_free(tmp);
    return true;
}

/* Normalizes valid text s[0..n): decompose, order, compose. */
static bool normalize_valid(struct pare_buf *out, const uint8_t *s, size_t n, int options)
{
    size_t   cap = n + 32, m = 0;
    int32_t *cp = pare_alloc_array(cap, sizeof *cp);
    int      boundary = 0;
    bool     ok = false;

    if (cp == NULL) return false;
    for (size_t i = 0; i < n;) {
        uint32_t c;
        i += pare_utf8_next(s + i, n - i, &c);
        if (cap - m < 32) { /* no code point decomposes to more than 18 */
            int32_t *p = pare_realloc_array(cp, cap = cap * 2, sizeof *p);
            if (p == NULL) goto done;
            cp = p;
        }
        if (c < 0x80) {
            cp[m++] = (int32_t)c;
            continue;
        }
        utf8proc_ssize_t k = utf8proc_decompose_char((int32_t)c, cp + m, (utf8proc_ssize_t)(cap - m), (utf8proc_option_t)options, &boundary);
        if (k < 0) goto done;
        m += (size_t)k;
    }
    for (size_t i = 0; i < m;) {
        size_t j = i;
        while (j < m && cp[j] >= 0x300 && utf8proc_get_property(cp[j])->combining_class != 0) j++;
        if (j - i > 1 && !order_run(cp + i, j - i)) goto done;
        i = j == i ? i + 1 : j;
    }
    if ((options & UTF8PROC_COMPOSE) != 0) {
        utf8proc_ssize_t k = utf8proc_normalize_utf32(cp, (utf8proc_ssize_t)m, (utf8proc_option_t)options);
        if (k < 0) goto done;
        m = (size_t)k;
    }
    ok = true;
    for (size_t i = 0; ok && i < m; i++) ok = pare_buf_cp(out, (uint32_t)cp[i]);
done:
    pare_free(cp);
    return ok;
}

bool pare_utf8_normalize(struct pare_buf *out, const uint8_t *s, size_t n, enum pare_nform form)
{
    static const int options[] = {
        [PARE_NFC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE,
        [PARE_NFD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
        [PARE_NFKC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
        [PARE_NFKD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
    };

    while (n > 0) {
        size_t good = n;
        if (!pare_utf8_valid(s, n, &good) && good == 0) {
            if (!pare_buf_add(out, s, 1)) return false;
            good = 1;
        } else if (!normalize_valid(out, s, good, options[form])) {
            return false;
        }
        s += good;
        n -= good;
    }
    return true;
}

/* Printable Latin-1 stands for itself, every other byte for the next code point from U+0100 on. */
#define ROW(b) b, b + 1, b + 2, b + 3, b + 4, b + 5, b + 6, b + 7, b + 8, b + 9, b + 10, b + 11, b + 12, b + 13, b + 14, b + 15
const uint16_t pare_byte_cp[256] = {
    ROW(256), ROW(272), 288, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, ROW(48), ROW(64), ROW(80), ROW(96),
    112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 289, ROW(290), ROW(306),
    322, 161, 162, 163, 164, 165, 166, 167, 168, 169, 170, 171, 172, 323, 174, 175, ROW(176), ROW(192), ROW(208), ROW(224), ROW(240),
};

int pare_cp_byte(uint32_t cp)
{
    if (cp < 0x21 || cp > 0x143) return -1;
    if (cp < 0x7F || (cp > 0xA0 && cp < 0x100 && cp != 0xAD)) return (int)cp;
    if (cp < 0x100) return -1;
    if (cp < 0x121) return (int)cp - 0x100;
    if (cp < 0x143) return (int)cp - 0x121 + 0x7F;
    return 0xAD;
}
