/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/codec_list.h: one line per number format of codec.h. */
CODEC(int1) CODEC(int2) CODEC(int3) CODEC(int4) CODEC(int5) CODEC(int6) CODEC(int7) CODEC(int8)
CODEC(int1_full) CODEC(int2_full) CODEC(int3_full) CODEC(int4_full) CODEC(int5_full) CODEC(int6_full) CODEC(int7_full) CODEC(int8_full)
CODEC(int1_asym) CODEC(int2_asym) CODEC(int3_asym) CODEC(int4_asym) CODEC(int5_asym) CODEC(int6_asym) CODEC(int7_asym) CODEC(int8_asym)
CODEC(int2_zero) CODEC(int3_zero) CODEC(int4_zero) CODEC(int8_zero)
CODEC(level3) CODEC(level5)
CODEC(fp8_e4m3) CODEC(fp8_e5m2) CODEC(fp6_e2m3) CODEC(fp6_e3m2) CODEC(fp4_e2m1)
CODEC(mxint8) CODEC(mxint6) CODEC(mxint4) CODEC(mxfp8) CODEC(mxfp6) CODEC(mxfp4)
CODEC(mxint8_floor) CODEC(mxint4_floor) CODEC(mxfp8_floor) CODEC(mxfp4_floor) CODEC(mxint8_wide) CODEC(mxint4_wide)
CODEC(nvint4) CODEC(nvfp4)
CODEC(bitmod3) CODEC(bitmod4)
CODEC(sefp3) CODEC(sefp4) CODEC(sefp5) CODEC(sefp6) CODEC(sefp7) CODEC(sefp8)
CODEC(log2_3) CODEC(log2_4)
