/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/hadamard_table.c: Hadamard matrices whose order is no power of two, built when they are needed.
 * Paley's first construction (1933): order q + 1 for primes q = 3 mod 4. Four circulants in the array of Goethals and Seidel (1967): order
 * 4 n from four rows of length n whose periodic autocorrelations add up to 0 (for 28, 36, 52 and 172 Williamson's symmetric ones; for 156
 * those of order 13 spread over 39 by the trivial T-sequences of length 3). Sylvester's doubling for 40. Orthogonality is tested. */
#include <string.h>

#include "kernel/hadamard.h"

/* First rows of four circulants; a set bit i is -1 at position i. */
static const struct circulants { uint32_t n; uint64_t row[4]; } four[] = {
    { 7, { 0x42, 0x42, 0x66, 0x18 } },
    { 9, { 0x102, 0x186, 0x1ce, 0xb4 } },
    { 13, { 0x1806, 0x528, 0x1332, 0x11e2 } },
    { 39, { 0x4c8903d520, 0x635b10d363, 0x721141ec5d, 0x5dc752ca1f } },
    { 43, { 0x730a26450ce, 0x385b3fcda1c, 0x14d42f42b28, 0x207ac935e04 } },
};

/* +1 where a is a square modulo the prime q, -1 where not, 0 for a = 0. */
static int legendre(uint32_t a, uint32_t q)
{
    if (a == 0) return 0;
    for (uint32_t i = 1; i <= q / 2; i++)
        if (i * i % q == a) return 1;
    return -1;
}

/* I + S with S skew: 0 and a border of ones around the matrix of quadratic characters of j - i. */
static void paley(float *out, uint32_t q)
{
    uint32_t k = q + 1;
    float    chi[PARE_HADAMARD_MAX_K];

    for (uint32_t a = 0; a < q; a++) chi[a] = (float)legendre(a, q);
    for (uint32_t i = 0; i < k; i++)
        for (uint32_t j = 0; j < k; j++)
            out[i * k + j] = i == j ? 1.0f : i == 0 ? 1.0f : j == 0 ? -1.0f : chi[(j + q - i) % q];
}

/* The array, block by block: which circulant, its sign, transposed or not, columns reversed or not. */
static void goethals_seidel(float *out, const struct circulants *f)
{
    static const struct { int8_t which, sign, transposed, reversed; } block[4][4] = {
        { { 0, 1, 0, 0 }, { 1, 1, 0, 1 }, { 2, 1, 0, 1 }, { 3, 1, 0, 1 } },
        { { 1, -1, 0, 1 }, { 0, 1, 0, 0 }, { 3, 1, 1, 1 }, { 2, -1, 1, 1 } },
        { { 2, -1, 0, 1 }, { 3, -1, 1, 1 }, { 0, 1, 0, 0 }, { 1, 1, 1, 1 } },
        { { 3, -1, 0, 1 }, { 2, 1, 1, 1 }, { 1, -1, 1, 1 }, { 0, 1, 0, 0 } },
    };
    const uint32_t n = f->n, k = 4 * n;

    for (uint32_t i = 0; i < k; i++)
        for (uint32_t j = 0; j < k; j++) {
            uint32_t bi = i / n, bj = j / n, r = i % n, c = j % n, at;
            if (block[bi][bj].reversed) c = n - 1 - c;
            at = block[bi][bj].transposed ? (r + n - c) % n : (c + n - r) % n; /* circulants: entry (r, c) is first[c - r] */
            out[i * k + j] = (f->row[block[bi][bj].which] >> at & 1) != 0 ? (float)-block[bi][bj].sign : (float)block[bi][bj].sign;
        }
}

static void doubled(float *out, uint32_t half)
{
    uint32_t k = 2 * half;

    (void)pare_hadamard_table(out + 2 * half * half, half); /* the end of out is free until the last rows are made */
    for (uint32_t i = 0; i < half; i++)
        for (uint32_t j = 0; j < half; j++) out[i * k + j] = out[2 * half * half + i * half + j];
    for (uint32_t i = 0; i < half; i++) memcpy(out + i * k + half, out + i * k, half * sizeof *out);
    for (uint32_t i = 0; i < half; i++)
        for (uint32_t j = 0; j < k; j++) out[(half + i) * k + j] = j < half ? out[i * k + j] : -out[i * k + j];
}

bool pare_hadamard_table(float *out, uint32_t k)
{
    switch (k) {
    case 1: out[0] = 1.0f; return true;
    case 12: case 20: case 60: case 108: case 140: paley(out, k - 1); return true;
    case 40: doubled(out, 20); return true;
    default: break;
    }
    for (size_t i = 0; i < sizeof four / sizeof *four; i++)
        if (k == 4 * four[i].n) {
            goethals_seidel(out, &four[i]);
            return true;
        }
    return false;
}
