/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/enc_tiers.h"
#include "kernel/x86/v16_avx2.h"
#include "kernel/x86/enc_loops_x86.h"
#include "tensor/enc_wide_recipe.h"

static const struct pare_enc_wide wide = ENC_WIDE_TABLE;
const struct pare_enc_loops pare_enc_loops_avx2 = { enc_probe, enc_error, enc_line_probe, enc_line_error, &wide };
