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

/* ---- along a trellis (tensor/trellis.h): vector j is step j of 64 rings ---- */

/* Numbers of 4 bits out of bytes: the ones that end at each of four steps of 2 bits, the first reaching into the byte before. */
ALWAYS void ends_of_pairs(VI n[4], VI before, VI v)
{
    const VI low = vi_set8(15);

    n[0] = vi_or_and(vi_and(vi_srl(before, 6), vi_set8(3)), vi_sll(v, 2), vi_set8(12));
    n[1] = vi_and(v, low);
    n[2] = vi_and(vi_srl(v, 2), low);
    n[3] = vi_and(vi_srl(v, 4), low);
}

/* The ones that end at each of eight steps of 1 bit. */
ALWAYS void ends_of_bits(VI n[8], VI before, VI v)
{
    const VI low = vi_set8(15);

    n[0] = vi_or_and(vi_and(vi_srl(before, 5), vi_set8(7)), vi_sll(v, 3), vi_set8(8));
    n[1] = vi_or_and(vi_and(vi_srl(before, 6), vi_set8(3)), vi_sll(v, 2), vi_set8(12));
    n[2] = vi_or_and(vi_and(vi_srl(before, 7), vi_set8(1)), vi_sll(v, 1), vi_set8(14));
    n[3] = vi_and(v, low);
#pragma GCC unroll 4
    for (int j = 4; j < 8; j++) n[j] = vi_and(vi_srl(v, j - 3), low);
}

/* The mixed bytes of eight steps; before: the codes of the block before. */
ALWAYS void mixed(int kind, VI h[8], const uint8_t *p, const uint8_t *before, const VI *mix)
{
    const VI low = vi_set8(15);
    VI a[12], b[8];

    if (kind == PARE_CODE_T4) {
#pragma GCC unroll 5
        for (int i = 0; i < 5; i++) {
            const VI v = vi_load(i == 0 ? before + 3 * 64 : p + 64 * (i - 1));

            a[2 * i] = vi_and(v, low);
            a[2 * i + 1] = vi_and(vi_srl(v, 4), low);
        }
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) h[j] = vi_xor3(vi_shuffle(mix[0], a[j + 2]), vi_shuffle(mix[1], a[j + 1]), vi_shuffle(mix[2], a[j]));
        return;
    }
    const VI q1 = vi_load(before + 64), p0 = vi_load(p);

    ends_of_pairs(a, vi_load(before), q1);
    ends_of_pairs(a + 4, q1, p0);
    ends_of_pairs(a + 8, p0, vi_load(p + 64));
    if (kind == PARE_CODE_T3) ends_of_bits(b, vi_load(before + 128), vi_load(p + 128));
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++)
        h[j] = vi_xor3(vi_shuffle(mix[0], a[j + 4]), vi_shuffle(mix[1], a[j + 2]), vi_shuffle(mix[2], kind == PARE_CODE_T3 ? b[j] : a[j]));
}

/* t: three tables of mixing, the low values, the high values. */
ALWAYS void unpack_trellis(int kind, VI w[8], const uint8_t *p, const uint8_t *before, const VI *t)
{
    const VI low = vi_set8(15), twice = vi_set8(0x30);

    mixed(kind, w, p, before, t);
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++) {
        /* a shuffle takes no more than four bits of a byte whose highest bit is 0, and tc2's high values are bits 4 and 5 as they stand */
        if (kind == PARE_CODE_T2) w[j] = vi_add8(vi_shuffle(t[3], w[j]), vi_and(w[j], twice));
        else w[j] = vi_add8(vi_shuffle(t[3], vi_and(w[j], low)), vi_shuffle(t[4], vi_and(vi_srl(w[j], 4), low)));
    }
}

/* Tables that unpacking looks up: one of values, or what unpack_trellis says. */
#define TABLES 5
struct tables {
    VI t[TABLES];
};
ALWAYS struct tables load_tables(int kind, const int8_t *p)
{
    struct tables all;

#pragma GCC unroll 5
    for (int i = 0; i < TABLES; i++) all.t[i] = i == 0 || kind >= PARE_CODE_T2 ? vi_lut(p + 16 * i) : vi_zero();
    return all;
}

/* The 8 vectors of one block, in the form that the tier's dot takes: table values come out of the tables as they are there. before: the
 * block before, for codes of a trellis. */
ALWAYS void unpack(int kind, VI w[8], const uint8_t *p, const uint8_t *before, const struct tables *tables)
{
    const VI lut = tables->t[0];

    switch (kind) {
    case PARE_CODE_T2: case PARE_CODE_T3: case PARE_CODE_T4:
        unpack_trellis(kind, w, p, before, tables->t);
        return;
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
