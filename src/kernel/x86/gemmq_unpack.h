/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/gemmq_unpack.h: code vectors out of packed planes (gemmq_layout.h), for any vector width. A template: the
 * including file defines the type VI, VSTEP (vector bytes) and the operations vi_*.
 *
 * With 32-byte vectors a caller passes the address of the half that it works on: vector j's halves are rows 0..7 and 8..15. */
#ifndef PARE_KERNEL_X86_GEMMQ_UNPACK_H
#define PARE_KERNEL_X86_GEMMQ_UNPACK_H

#include "kernel/gemmq_layout.h"

#define ALWAYS static inline __attribute__((always_inline))

/* Masks after 16-bit shifts: what crossed from a neighbouring byte is cut off with the rest. */
ALWAYS void nibbles(VI w[8], const uint8_t *p)
{
    const VI low = vi_set8(15);

#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        VI v = vi_load(p + 64 * i);
        w[i] = vi_and(v, low);
        w[i + 4] = vi_and(vi_srl(v, 4), low);
    }
}

ALWAYS void pairs(VI w[8], const uint8_t *p)
{
    const VI low = vi_set8(3);

#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        VI v = vi_load(p + 64 * i);
        w[i] = vi_and(v, low);
        w[i + 2] = vi_and(vi_srl(v, 2), low);
        w[i + 4] = vi_and(vi_srl(v, 4), low);
        w[i + 6] = vi_and(vi_srl(v, 6), low);
    }
}

/* Bit j of the plane becomes bit `at` (2 or 4) of vector j. */
ALWAYS void add_bit(VI w[8], const uint8_t *p, int at)
{
    const VI bit = vi_set8((char)(1 << at)), v = vi_load(p);

#pragma GCC unroll 8
    for (int j = 0; j < 8; j++) w[j] = vi_or_and(w[j], j < at ? vi_sll(v, at - j) : vi_srl(v, j - at), bit);
}

/* Two more bits, at bits 4 and 5. */
ALWAYS void add_pair(VI w[8], const uint8_t *p)
{
    const VI bits = vi_set8(0x30);

#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        VI v = vi_load(p + 64 * i);
        w[i] = vi_or_and(w[i], vi_sll(v, 4), bits);
        w[i + 2] = vi_or_and(w[i + 2], vi_sll(v, 2), bits);
        w[i + 4] = vi_or_and(w[i + 4], v, bits);
        w[i + 6] = vi_or_and(w[i + 6], vi_srl(v, 2), bits);
    }
}

/* The 8 vectors of one block, in the form that the tier's dot takes: table values come out of lut as they are there. */
ALWAYS void unpack(int kind, VI w[8], const uint8_t *p, VI lut)
{
    switch (kind) {
    case PARE_CODE_A8:
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) w[j] = vi_byte(vi_load(p + 64 * j));
        return;
    case PARE_CODE_A2: case PARE_CODE_L2: case PARE_CODE_A3: case PARE_CODE_L3:
        pairs(w, p);
        if (kind == PARE_CODE_A3 || kind == PARE_CODE_L3) add_bit(w, p + 128, 2);
        break;
    default:
        nibbles(w, p);
        if (kind == PARE_CODE_A5) add_bit(w, p + 256, 4);
        if (kind == PARE_CODE_A6) add_pair(w, p + 256);
    }
    if (kind >= PARE_CODE_L2) {
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) w[j] = vi_shuffle(lut, w[j]);
    }
}

#endif
