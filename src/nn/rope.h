/* SPDX-License-Identifier: Apache-2.0
 * src/nn/rope.h: frequencies of rotary position embeddings (Su et al. 2021) and their published scalings, in f32 as the public
 * implementation (transformers, modeling_rope_utils) computes them, so that angles agree with those a model was trained with. */
#ifndef PARE_NN_ROPE_H
#define PARE_NN_ROPE_H

#include <stdbool.h>
#include <stdint.h>

#include <pare/error.h>

enum pare_rope_type {
    PARE_ROPE_DEFAULT,
    PARE_ROPE_LINEAR,   /* positions divided by factor */
    PARE_ROPE_DYNAMIC,  /* the base grows with the context ("NTK") */
    PARE_ROPE_YARN,     /* Peng et al. 2023 */
    PARE_ROPE_LONGROPE, /* Ding et al. 2024: one factor a frequency, two sets */
    PARE_ROPE_LLAMA3    /* low frequencies divided by factor, a smooth passage between */
};

/* Start from pare_rope_defaults. Arrays are borrowed during pare_rope_init. */
struct pare_rope_params {
    enum pare_rope_type type;
    uint32_t dim;                /* rotary width r <= head_dim, even; half = r / 2 frequencies */
    double   base;               /* rope_theta */
    double   factor;             /* 0: max_ctx / orig_ctx where the type allows */
    uint32_t orig_ctx;           /* original_max_position_embeddings; 0: max_ctx */
    uint32_t max_ctx;            /* max_position_embeddings */
    double   low_freq_factor, high_freq_factor;           /* LLAMA3 */
    double   beta_fast, beta_slow;                        /* YARN */
    bool     truncate;                                    /* YARN: the passage begins and ends at whole frequencies */
    double   mscale, mscale_all_dim;                      /* YARN: 0 when absent */
    double   attn_factor;                                 /* 0: by the type's own rule */
    const float *short_factor, *long_factor;              /* LONGROPE: [dim / 2] each */
    const float *freq_factor;    /* [dim / 2] divisors of the frequencies (GGUF's rope_freqs.weight), or NULL */
};

void pare_rope_defaults(struct pare_rope_params *p);

/* Fills inv_freq [dim / 2] and the factor of cosines and sines. n_ctx: the longest sequence that will be used; DYNAMIC and
 * LONGROPE choose by it. PARE_E_CORRUPT when the parameters do not make sense (they come from a file). */
int pare_rope_init(const struct pare_rope_params *p, uint32_t n_ctx, float *inv_freq, float *attn_scale, struct pare_diag *diag);

/* The table of one position: cs [half][2] = cos, sin of (float)pos * inv_freq, times attn_scale. */
void pare_rope_row(const float *inv_freq, uint32_t half, uint32_t pos, float attn_scale, float *cs);

/* YaRN's temperature: 1 for scale <= 1, else 0.1 * mscale * ln(scale) + 1. DeepSeek also multiplies its softmax scale by the
 * square of it. */
double pare_rope_mscale(double scale, double mscale);

#endif
