/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_wide.c: sixteen groups side by side in plain C, the definition that faster tiers repeat. */
#include "tensor/v16_plain.h"
#include "tensor/enc_wide_recipe.h"

const struct pare_enc_wide pare_enc_wide_plain = ENC_WIDE_TABLE;

static _Thread_local const struct pare_enc_wide *now = &pare_enc_wide_plain;

void pare_enc_use(const struct pare_enc_wide *wide) { now = wide != NULL ? wide : &pare_enc_wide_plain; }
const struct pare_enc_wide *pare_enc_wide_now(void) { return now; }

void pare_enc_spread(struct pare_enc_groups *to, const float *x, const float *w, int groups, int n)
{
    to->n = n;
    for (int i = 0; i < n; i++)
        for (int g = 0; g < PARE_ENC_WIDE; g++) {
            to->x[PARE_ENC_WIDE * i + g] = g < groups ? x[g * n + i] : 0.0f;
            to->w[PARE_ENC_WIDE * i + g] = g < groups ? w[g * n + i] : 0.0f;
        }
}
