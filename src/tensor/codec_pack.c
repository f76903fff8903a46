/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/codec_pack.c: codes as bytes: bit after bit, low bits first, or as digits of a number of base 3 or 5. */
#include <string.h>

#include "tensor/codec_private.h"

/* 3^5 = 243 fits a byte; 5^10 = 9765625 fits three bytes (2.4 bits a number, where 3 in a byte would take 2.67). */
static unsigned digits_of(const struct pare_codec *c) { return c->radix == 3 ? 5 : 10; }
static unsigned word_of(const struct pare_codec *c) { return c->radix == 3 ? 1 : 3; }

uint64_t pare_codec_code_bytes(const struct pare_codec *c, uint64_t n)
{
    if (c->radix != 0) return (n / digits_of(c) + (n % digits_of(c) != 0)) * word_of(c);
    return n / 8 * c->bits + (n % 8 * c->bits + 7) / 8;
}

static void pack_digits(const struct pare_codec *c, uint8_t *dst, const uint16_t *code, uint64_t n)
{
    unsigned per = digits_of(c), bytes = word_of(c);

    for (uint64_t i = 0; i < n; i += per, dst += bytes) {
        uint32_t v = 0;

        for (unsigned k = per; k-- > 0;) v = v * c->radix + (i + k < n ? code[i + k] : 0u);
        for (unsigned b = 0; b < bytes; b++) dst[b] = (uint8_t)(v >> 8 * b);
    }
}

static void unpack_digits(const struct pare_codec *c, uint16_t *code, const uint8_t *src, uint64_t n)
{
    unsigned per = digits_of(c), bytes = word_of(c);

    for (uint64_t i = 0; i < n; i += per, src += bytes) {
        uint32_t v = 0;

        for (unsigned b = 0; b < bytes; b++) v |= (uint32_t)src[b] << 8 * b;
        for (unsigned k = 0; k < per && i + k < n; k++, v /= c->radix) code[i + k] = (uint16_t)(v % c->radix);
    }
}

void pare_codec_pack(const struct pare_codec *c, uint8_t *dst, const uint16_t *code, uint64_t n)
{
    uint32_t held = 0;
    unsigned n_held = 0;

    if (c->radix != 0) {
        pack_digits(c, dst, code, n);
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        held |= (uint32_t)code[i] << n_held;
        for (n_held += c->bits; n_held >= 8; n_held -= 8, held >>= 8) *dst++ = (uint8_t)held;
    }
    if (n_held > 0) *dst = (uint8_t)held;
}

void pare_codec_unpack(const struct pare_codec *c, uint16_t *code, const uint8_t *src, uint64_t n)
{
    uint32_t held = 0;
    unsigned n_held = 0;

    if (c->radix != 0) {
        unpack_digits(c, code, src, n);
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        for (; n_held < c->bits; n_held += 8) held |= (uint32_t)*src++ << n_held;
        code[i] = (uint16_t)(held & ((1u << c->bits) - 1u));
        held >>= c->bits;
        n_held -= c->bits;
    }
}
