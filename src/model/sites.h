/* SPDX-License-Identifier: Apache-2.0
 * src/model/sites.h: which tensors make and which read each activation of a model: what a rewrite must change together. A family of
 * unknown structure is refused; of a known one, only the places where a rewrite is exact are listed. */
#ifndef PARE_MODEL_SITES_H
#define PARE_MODEL_SITES_H

#include "model/model.h"

enum pare_site_kind {
    PARE_SITE_NORM,   /* a norm's output -> the matrices that read it. Its order is that of the residual stream */
    PARE_SITE_VALUE,  /* rows of values -> columns of the output projection, head by head */
    PARE_SITE_HIDDEN  /* rows of up (and gate) -> columns of down */
};

/* Rows [row0, row0 + n) of a matrix, and of its bias where it has one. */
struct pare_site_rows {
    struct pare_slot *slot, *bias;
    uint64_t          row0, n;
};

#define PARE_SITE_TO 8
struct pare_site {
    enum pare_site_kind kind;
    uint32_t unit;
    uint64_t own;                    /* channels as they are made */
    uint64_t width;                  /* channels as they are read: own times the heads that share a value head */
    uint32_t head;                   /* VALUE: width of a value head, else 0 */
    uint32_t share;                  /* VALUE: query heads a value head, else 1 */
    bool     scales;                 /* any factor passes through: else (an activation function in between) only permutations */
    bool     shifts;                 /* NORM: the norm has a bias and so has every reader */
    struct pare_slot *norm, *norm_bias; /* NORM */
    float    norm_add;               /* what the kernel adds to the norm's weights */
    struct pare_site_rows from;      /* VALUE, HIDDEN: rows that take factors */
    struct pare_site_rows gate;      /* HIDDEN: rows that move with them; slot NULL: none */
    uint32_t n_to;
    struct pare_slot *to[PARE_SITE_TO];      /* matrices whose columns read it */
    struct pare_slot *to_bias[PARE_SITE_TO]; /* their biases, NULL: none */
};

/* Queries and keys of a layer. */
struct pare_site_qk {
    uint32_t unit;
    struct pare_site_rows q, k;
    bool     exact;                  /* nothing but the rotation stands between the product and the scores */
};

/* Everything that lies along the residual stream. */
struct pare_residual {
    uint32_t n;                      /* its width */
    struct pare_slot **read, **write, **table, **vec; /* columns of; rows of; columns of tables; vectors along it */
    uint32_t n_read, n_write, n_table, n_vec;
    const char *no_rotation;         /* why it cannot be rotated, or NULL */
    const char *no_order;            /* why it cannot be permuted */
    const char *no_sign;
};

struct pare_sites {
    struct pare_site    *site;
    uint32_t             n;
    struct pare_site_qk *qk;         /* [n_qk], one a layer that has them apart */
    uint32_t             n_qk;
    struct pare_residual res;
    struct pare_site_rows head;      /* the head's matrix (slot), read behind the final norm */
    uint32_t n_head, n_head_kv, dk, dv, rotary;
    bool     pairs;                  /* rotary pairs are (2 i, 2 i + 1), else (i, i + rotary / 2) */
    bool     tied;
};

/* PARE_E_UNSUPPORTED naming the family when its structure is not known. The slots are the model's. */
int  pare_sites_of(struct pare_sites *s, struct pare_model *m, struct pare_diag *diag);
void pare_sites_free(struct pare_sites *s);

#endif
