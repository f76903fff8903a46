/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/enc_tiers.h: the encoders' inner loops by tier. */
#ifndef PARE_KERNEL_ENC_TIERS_H
#define PARE_KERNEL_ENC_TIERS_H

#include "tensor/enc_wide.h"

#if defined(__x86_64__)
extern const struct pare_enc_wide pare_enc_wide_avx2, pare_enc_wide_avx512;
#endif
/* The loops of a tier (enum pare_cpu_tier), clamped to what this machine has; for pare_enc_use. Never NULL. */
const struct pare_enc_wide *pare_enc_wide_for(int tier);

#endif
