/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/v16_plain.h: sixteen f32 lanes in the compiler's own vectors, for recipes that the kernel room repeats with
 * kernel/x86/v16_*.h. Comparisons keep the order of operands: the first one wins when it compares.
 * Vectors are passed between functions of one file only, so it does not matter how: compile with -Wno-psabi.
 * lint: included in the middle */
#include <stdint.h>
#include <string.h>

#define V16 static inline __attribute__((always_inline))
typedef float   v16 __attribute__((vector_size(64)));
typedef int32_t v16_mask __attribute__((vector_size(64)));

V16 v16 v_set1(float x) { return (v16){ x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x }; }
V16 v16 v_load(const float *p)
{
    v16 x;

    memcpy(&x, p, sizeof x);
    return x;
}
V16 void v_store(float *p, v16 x) { memcpy(p, &x, sizeof x); }
V16 v16  v_add(v16 x, v16 y) { return x + y; }
V16 v16  v_sub(v16 x, v16 y) { return x - y; }
V16 v16  v_mul(v16 x, v16 y) { return x * y; }
V16 v16  v_div(v16 x, v16 y) { return x / y; }
V16 v16  v_pick(v16_mask m, v16 yes, v16 no) { return (v16)((m & (v16_mask)yes) | (~m & (v16_mask)no)); }
V16 v16  v_select_lt(v16 x, v16 y, v16 yes, v16 no) { return v_pick(x < y, yes, no); }
V16 v16  v_max(v16 x, v16 y) { return v_pick(x > y, x, y); }
V16 v16  v_min(v16 x, v16 y) { return v_pick(x < y, x, y); }
V16 v16  v_abs(v16 x) { return (v16)((v16_mask)x & ((v16_mask){ 0 } + 0x7fffffff)); }
V16 v16  v_gather(const float *t, v16 i) /* t[(int)i] */
{
    v16 y;

    for (int k = 0; k < 16; k++) y[k] = t[(int)i[k]];
    return y;
}
/* x0 y0 x1 y1 ... of the first eight lanes, and of the last eight. */
#if defined(__has_builtin) && __has_builtin(__builtin_shufflevector)
typedef float v4 __attribute__((vector_size(16))); /* wider ones are shuffled lane by lane where the machine has none */
V16 v16 zip_from(v16 x, v16 y, int first)
{
    v4 a[4], b[4], z[4];
    v16 out;

    memcpy(a, &x, sizeof a);
    memcpy(b, &y, sizeof b);
    for (int i = 0; i < 2; i++) {
        z[2 * i] = __builtin_shufflevector(a[first + i], b[first + i], 0, 4, 1, 5);
        z[2 * i + 1] = __builtin_shufflevector(a[first + i], b[first + i], 2, 6, 3, 7);
    }
    memcpy(&out, z, sizeof out);
    return out;
}
#else
V16 v16 zip_from(v16 x, v16 y, int first)
{
    v16 z;

    for (int k = 0; k < 8; k++) z[2 * k] = x[4 * first + k], z[2 * k + 1] = y[4 * first + k];
    return z;
}
#endif
V16 v16 v_zip_lo(v16 x, v16 y) { return zip_from(x, y, 0); }
V16 v16 v_zip_hi(v16 x, v16 y) { return zip_from(x, y, 2); }
/* The bits of x with those of mask replaced by tag's. */
V16 v16 v_tag(v16 x, int32_t mask, int32_t tag)
{
    return (v16)(((v16_mask)x & ((v16_mask){ 0 } + ~mask)) | ((v16_mask){ 0 } + tag));
}
/* acc << n, and x's bits of mask below. */
V16 v16 v_push(v16 acc, v16 x, int n, int32_t mask) { return (v16)((v16_mask)acc << n | ((v16_mask)x & ((v16_mask){ 0 } + mask))); }
