/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/gemmq_maddubs.h: four codes times four activations without VNNI, for any vector width. maddubs adds pairs of
 * products of an unsigned and a signed byte into 16 bits, saturating; madd adds pairs of those into 32 bits. Three forms of
 * codes keep the 16 bits exact (activations are at most 127):
 *     UP_TO_31   2 * 31 * 127 * 4 = 31496: four pair sums may be added before they are widened
 *     UP_TO_63   2 * 63 * 127 * 2 = 32004: two
 *     SIGNED     |value| <= 128 with the sign moved to the activation, 2 * 128 * 127 = 32512: one */
#ifndef PARE_KERNEL_X86_GEMMQ_MADDUBS_H
#define PARE_KERNEL_X86_GEMMQ_MADDUBS_H

enum { CLASS_UP_TO_31, CLASS_UP_TO_63, CLASS_SIGNED, CLASS_COUNT };
#define DENSE_CLASSES(X) X(CLASS_UP_TO_31) X(CLASS_UP_TO_63) X(CLASS_SIGNED)

VIN int code_class(int kind) { return kind <= PARE_CODE_A5 ? CLASS_UP_TO_31 : kind == PARE_CODE_A6 ? CLASS_UP_TO_63 : CLASS_SIGNED; }
/* A byte with its highest bit turned is the code less 128. */
VIN int32_t code_bias(int kind, int offset) { return kind >= PARE_CODE_L2 ? 0 : kind == PARE_CODE_A8 ? offset + 128 : offset; }
VIN int8_t code_lut(int8_t v) { return v; }
VIN VI vi_byte(VI v) { return vi_xor(v, vi_set8(-128)); }
VIN int code_bytes(int kind) { return kind == PARE_CODE_A8 ? 512 : kind >= PARE_CODE_T2 ? 128 + 64 * (kind - PARE_CODE_T2) : kind >= PARE_CODE_L2 ? 128 + 64 * (kind - PARE_CODE_L2) : 128 + 64 * kind; }

VIN VI dot(VI acc, const VI *w, int n, const int8_t *x, int cls)
{
#pragma GCC unroll 2
    for (int i = 0; i < n; i += 4, x += 16, w += 4) {
        if (cls == CLASS_SIGNED) {
#pragma GCC unroll 4
            for (int k = 0; k < 4; k++) acc = vi_add(acc, vi_widen(vi_signed_pairs(w[k], vi_acts(x + 4 * k))));
        } else {
            VI p = vi_add16(vi_pairs(w[0], vi_acts(x)), vi_pairs(w[1], vi_acts(x + 4)));
            VI q = vi_add16(vi_pairs(w[2], vi_acts(x + 8)), vi_pairs(w[3], vi_acts(x + 12)));

            if (cls == CLASS_UP_TO_31) acc = vi_add(acc, vi_widen(vi_add16(p, q)));
            else acc = vi_add(vi_add(acc, vi_widen(p)), vi_widen(q));
        }
    }
    return acc;
}

#endif
