/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/enc_tiers.h"
#include "kernel/x86/v16_avx2.h"
#include "tensor/enc_wide_recipe.h"

const struct pare_enc_wide pare_enc_wide_avx2 = ENC_WIDE_TABLE;
