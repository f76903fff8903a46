/* SPDX-License-Identifier: Apache-2.0 */
#include "format/byte_cursor.h"

#include <inttypes.h>

#include "base/checked.h"

const uint8_t *pare_cursor_take(struct pare_cursor *c, uint64_t n, const char *what)
{
    const uint8_t *p;

    if (c->err != 0) return NULL;
    if (!pare_cursor_has(c, n)) {
        c->err = PARE_ERR_AT(c->diag, PARE_E_TRUNCATED, c->pos, NULL, "%s needs %" PRIu64 " bytes, %" PRIu64 " are left", what, n,
                             pare_cursor_left(c));
        return NULL;
    }
    p = c->base + c->pos;
    c->pos += n;
    return p;
}

uint32_t pare_cursor_u32(struct pare_cursor *c, const char *what)
{
    const uint8_t *p = pare_cursor_take(c, 4, what);
    return p == NULL ? 0 : pare_le32(p);
}

uint64_t pare_cursor_u64(struct pare_cursor *c, const char *what)
{
    const uint8_t *p = pare_cursor_take(c, 8, what);
    return p == NULL ? 0 : pare_le64(p);
}

const uint8_t *pare_cursor_str(struct pare_cursor *c, uint64_t max, uint64_t *len, const char *what)
{
    uint64_t at = c->pos, n = pare_cursor_u64(c, what);

    *len = 0;
    if (c->err != 0) return NULL;
    if (!pare_cursor_has(c, n)) { /* before the limit: a length beyond the file is a cut or broken file, not a big one */
        c->err = PARE_ERR_AT(c->diag, PARE_E_TRUNCATED, at, NULL, "%s says %" PRIu64 " bytes, %" PRIu64 " are left", what, n,
                             pare_cursor_left(c));
        return NULL;
    }
    if (n == 0 || n > max) {
        c->err = PARE_ERR_AT(c->diag, n == 0 ? PARE_E_CORRUPT : PARE_E_LIMIT, at, NULL,
                             "%s has %" PRIu64 " bytes, must have 1..%" PRIu64, what, n, max);
        return NULL;
    }
    *len = n;
    return pare_cursor_take(c, n, what);
}

const uint8_t *pare_cursor_name(struct pare_cursor *c, uint64_t max, uint64_t *len, const char *what)
{
    uint64_t       at = c->pos;
    const uint8_t *s = pare_cursor_str(c, max, len, what);

    if (s != NULL && !pare_is_name_text(s, *len)) {
        c->err = PARE_ERR_AT(c->diag, PARE_E_CORRUPT, at, NULL, "%s is not UTF-8 text without zero bytes", what);
        return NULL;
    }
    return s;
}

bool pare_is_name_text(const uint8_t *s, uint64_t n)
{
    uint64_t i = 0;

    while (i < n) {
        uint8_t  b = s[i];
        uint64_t more;
        uint8_t  lo = 0x80, hi = 0xbf; /* range of the second byte: narrower where it would be overlong or a surrogate */

        if (b == 0) return false;
        if (b < 0x80) {
            i++;
            continue;
        }
        if (b >= 0xc2 && b <= 0xdf) {
            more = 1;
        } else if (b >= 0xe0 && b <= 0xef) {
            more = 2;
            if (b == 0xe0) lo = 0xa0;
            if (b == 0xed) hi = 0x9f;
        } else if (b >= 0xf0 && b <= 0xf4) {
            more = 3;
            if (b == 0xf0) lo = 0x90;
            if (b == 0xf4) hi = 0x8f;
        } else {
            return false;
        }
        if (more > n - i - 1 || s[i + 1] < lo || s[i + 1] > hi) return false;
        for (uint64_t k = 2; k <= more; k++)
            if ((s[i + k] & 0xc0) != 0x80) return false;
        i += more + 1;
    }
    return true;
}
