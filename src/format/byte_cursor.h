/* SPDX-License-Identifier: Apache-2.0
 * src/format/byte_cursor.h: reads little-endian values from mapped bytes. One bound check, n > size - pos, which cannot wrap;
 * the first failure stays (err) and carries its byte offset, so a caller may read several values and look once. */
#ifndef PARE_FORMAT_BYTE_CURSOR_H
#define PARE_FORMAT_BYTE_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct pare_cursor {
    const uint8_t    *base;
    uint64_t          size, pos; /* pos <= size, always */
    struct pare_diag *diag;
    int               err;
};

static inline bool pare_cursor_has(const struct pare_cursor *c, uint64_t n)
{
    return c->err == 0 && n <= c->size - c->pos;
}
static inline uint64_t pare_cursor_left(const struct pare_cursor *c) { return c->size - c->pos; }

/* pare_cursor_take returns n bytes and moves on, or NULL with err set (PARE_E_TRUNCATED). what names the value in the text. */
const uint8_t *pare_cursor_take(struct pare_cursor *c, uint64_t n, const char *what);
/* Values are 0 after an error. */
uint32_t pare_cursor_u32(struct pare_cursor *c, const char *what);
uint64_t pare_cursor_u64(struct pare_cursor *c, const char *what);
/* A string as GGUF stores it, u64 length and bytes, of 1..max bytes (PARE_E_LIMIT above it). NULL with err set on failure. */
const uint8_t *pare_cursor_str(struct pare_cursor *c, uint64_t max, uint64_t *len, const char *what);
/* pare_cursor_name is a string that serves as a name: valid UTF-8 without a zero byte. */
const uint8_t *pare_cursor_name(struct pare_cursor *c, uint64_t max, uint64_t *len, const char *what);

/* True for well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF) without U+0000. */
bool pare_is_name_text(const uint8_t *s, uint64_t n);

/* Raises an error that says where: the byte and the tensor or key. */
#define PARE_ERR_AT(diag, code, at, name, ...)                                                                         \
    (PARE_ERR(diag, code, __VA_ARGS__), pare_diag_where(diag, name), pare_diag_offset(diag, at), (code))
#define PARE_FAIL_AT(diag, code, at, name, ...) return PARE_ERR_AT(diag, code, at, name, __VA_ARGS__)

#endif
