/* SPDX-License-Identifier: Apache-2.0
 * src/model/dense_rope.c: rotary parameters out of config.json, in the spelling of transformers 5 (rope_parameters, for some
 * families one set for each layer type) and in that of most published folders (rope_theta, rope_scaling,
 * partial_rotary_factor, and the GPT line's own words). */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"
#include "model/dense.h"

static int read_type(const char *name, enum pare_rope_type *out, struct pare_diag *diag)
{
    static const struct { const char *name; enum pare_rope_type type; } t[] = {
        { "default", PARE_ROPE_DEFAULT }, { "none", PARE_ROPE_DEFAULT }, { "mrope", PARE_ROPE_DEFAULT },
        { "linear", PARE_ROPE_LINEAR }, { "dynamic", PARE_ROPE_DYNAMIC }, { "yarn", PARE_ROPE_YARN },
        { "longrope", PARE_ROPE_LONGROPE }, { "su", PARE_ROPE_LONGROPE }, { "llama3", PARE_ROPE_LLAMA3 }
    };

    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        if (strcmp(t[i].name, name) == 0) {
            *out = t[i].type;
            return PARE_OK;
        }
    PARE_FAIL(diag, PARE_E_UNSUPPORTED, "rope type \"%s\" is not known", name);
}

static int read_factors(const json_t *o, const char *key, uint32_t half, float **out, struct pare_diag *diag)
{
    const json_t *a = json_object_get(o, key);

    if (a == NULL || json_is_null(a)) return PARE_OK;
    PARE_FAIL_IF(diag, !json_is_array(a) || json_array_size(a) != half, PARE_E_CORRUPT,
                 "config key %s must be a list of %" PRIu32 " numbers", key, half);
    *out = pare_alloc_array(half, sizeof **out);
    if (*out == NULL) return PARE_NOMEM(diag);
    for (uint32_t i = 0; i < half; i++) {
        const json_t *v = json_array_get(a, i);

        PARE_FAIL_IF(diag, !json_is_number(v) || !(json_number_value(v) > 0), PARE_E_CORRUPT,
                     "config key %s has an entry that is no positive number", key);
        (*out)[i] = (float)json_number_value(v);
    }
    return PARE_OK;
}

/* The numbers of one scaling. o: rope_parameters or rope_scaling; top: the config around it. */
static int read_scaling(struct pare_dense_cfg *c, const json_t *o, const json_t *top, struct pare_diag *diag)
{
    struct pare_rope_params *p = &c->rope;
    const char              *name, *dflt;
    double                   alpha;

    PARE_FORWARD(pare_json_str(o, "type", "default", &dflt, diag));
    PARE_FORWARD(pare_json_str(o, "rope_type", dflt, &name, diag));
    PARE_FORWARD(read_type(name, &p->type, diag));
    PARE_FORWARD(pare_json_real(o, "factor", p->factor, &p->factor, diag));
    PARE_FORWARD(pare_cfg_u32(top, "original_max_position_embeddings", 1u << 28, 0, &p->orig_ctx, diag));
    PARE_FORWARD(pare_cfg_u32(o, "original_max_position_embeddings", 1u << 28, p->orig_ctx, &p->orig_ctx, diag));
    PARE_FORWARD(pare_json_real(o, "low_freq_factor", p->low_freq_factor, &p->low_freq_factor, diag));
    PARE_FORWARD(pare_json_real(o, "high_freq_factor", p->high_freq_factor, &p->high_freq_factor, diag));
    PARE_FORWARD(pare_json_real(o, "beta_fast", p->beta_fast, &p->beta_fast, diag));
    PARE_FORWARD(pare_json_real(o, "beta_slow", p->beta_slow, &p->beta_slow, diag));
    PARE_FORWARD(pare_json_bool(o, "truncate", p->truncate, &p->truncate, diag));
    PARE_FORWARD(pare_json_real(o, "mscale", p->mscale, &p->mscale, diag));
    PARE_FORWARD(pare_json_real(o, "mscale_all_dim", p->mscale_all_dim, &p->mscale_all_dim, diag));
    PARE_FORWARD(pare_json_real(o, "attention_factor", p->attn_factor, &p->attn_factor, diag));
    if (p->type == PARE_ROPE_LONGROPE) {
        PARE_FORWARD(read_factors(o, "short_factor", c->rotary / 2, &c->rope_short, diag));
        PARE_FORWARD(read_factors(o, "long_factor", c->rotary / 2, &c->rope_long, diag));
        PARE_FAIL_IF(diag, c->rope_short == NULL || c->rope_long == NULL, PARE_E_CORRUPT, "longrope needs short_factor and long_factor");
        p->short_factor = c->rope_short;
        p->long_factor = c->rope_long;
    }
    /* Hunyuan spells a fixed change of the base as "dynamic" with alpha. */
    PARE_FORWARD(pare_json_real(o, "alpha", 0, &alpha, diag));
    if (p->type == PARE_ROPE_DYNAMIC && alpha > 0 && c->rotary > 2) {
        p->type = PARE_ROPE_DEFAULT;
        c->rope_base *= pare_pow(alpha, (double)c->rotary / (c->rotary - 2));
    }
    return PARE_OK;
}

/* How many numbers of a head are rotated. */
static int read_width(struct pare_dense_cfg *c, const json_t *j, const json_t *o, struct pare_diag *diag)
{
    float    part, inner;
    uint32_t r;

    PARE_FORWARD(pare_cfg_f32(j, "partial_rotary_factor|rotary_pct|rope_pct|rope_percent", c->t.rotary_part > 0 ? c->t.rotary_part : 1,
                              &part, diag));
    PARE_FORWARD(pare_cfg_f32(o, "partial_rotary_factor", (double)part, &inner, diag));
    if (c->t.mla) {
        PARE_FORWARD(pare_cfg_u32(j, "qk_rope_head_dim", 1u << 16, 0, &c->rotary, diag));
    } else {
        PARE_FAIL_IF(diag, !(inner >= 0 && inner <= 1), PARE_E_CORRUPT, "partial_rotary_factor %g is not in 0..1", (double)inner);
        /* In double, as Python multiplies: 0.4f * 10 must not become 3. */
        r = (uint32_t)((double)c->dk * (double)inner + 1e-6);
        PARE_FORWARD(pare_cfg_u32(j, "rotary_dim", 1u << 16, r, &c->rotary, diag));
    }
    PARE_FAIL_IF(diag, c->rotary % 2 != 0, PARE_E_UNSUPPORTED, "an odd number (%" PRIu32 ") of rotated values in a head", c->rotary);
    return PARE_OK;
}

int pare_dense_rope_hf(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag)
{
    const json_t *o = json_object_get(j, "rope_parameters"), *full = json_object_get(o, "full_attention");
    const json_t *local = json_object_get(o, "sliding_attention"), *scaling = json_object_get(j, "rope_scaling");
    double        dflt = c->t.rope_base > 0 ? c->t.rope_base : 10000;
    float         base, base_local;

    if (json_is_object(full)) o = full;
    pare_rope_defaults(&c->rope);
    if (!c->t.rope) return PARE_OK;
    PARE_FORWARD(read_width(c, j, o, diag));
    PARE_FORWARD(pare_cfg_f32(j, "rope_theta|rotary_emb_base|global_rope_theta", dflt, &base, diag));
    PARE_FORWARD(pare_cfg_f32(o, "rope_theta", (double)base, &base, diag));
    PARE_FORWARD(pare_cfg_f32(j, "rope_local_base_freq|local_rope_theta",
                              json_is_object(local) || json_object_get(j, "rope_local_base_freq") != NULL ? dflt : (double)base,
                              &base_local, diag));
    PARE_FORWARD(pare_cfg_f32(local, "rope_theta", (double)base_local, &base_local, diag));
    c->rope_base = (double)base;
    c->rope_base_local = (double)base_local;
    c->rope.max_ctx = c->max_ctx;
    if (json_is_object(o) || json_is_object(scaling))
        PARE_FORWARD(read_scaling(c, json_is_object(o) ? o : scaling, j, diag));
    if (json_is_object(local)) {
        const char *name;

        PARE_FORWARD(pare_json_str(local, "rope_type", "default", &name, diag));
        c->local_scaled = strcmp(name, "default") != 0;
    }
    c->rope.base = c->rope_base;
    c->rope.dim = c->rotary;
    return PARE_OK;
}
