/* SPDX-License-Identifier: Apache-2.0
 * src/model/arch.h: the inside of a model, and the rows of families. A family is one const struct pare_arch in one file, named
 * in arch_list.h. What families share in structure they share in ops (dense.c serves all plain decoders); a family of
 * another structure brings its own ops. */
#ifndef PARE_MODEL_ARCH_H
#define PARE_MODEL_ARCH_H

#include "model/model.h"

/* Hands out pieces of one block, or only counts them (base NULL): the forecast is the code that allocates. */
struct pare_layout {
    uint8_t *base;
    uint64_t used;
};
void *pare_layout_take(struct pare_layout *l, uint64_t count, uint64_t size);

struct pare_work {
    uint8_t *block;
    uint32_t n_rows, n_threads;
    float   *x;       /* [n_rows, n_embd]: the residual stream of pare_model_forward */
    float   *pick;    /* [n_rows, n_embd]: the rows whose logits are wanted */
    void    *own;     /* the family's part */
};

struct pare_arch_ops {
    /* Reads the config, fills m->info, m->kv_shape and m->units with checked slots. May leave m half built on failure: close
     * follows. */
    int (*open)(struct pare_model *m, struct pare_diag *diag);
    void (*close)(struct pare_model *m);
    /* Sets w->own and its pointers; called once to count (l->base NULL, w->own may then point nowhere) and once for real. */
    void (*layout)(const struct pare_model *m, struct pare_layout *l, struct pare_work *w);
    int (*unit)(struct pare_model *m, struct pare_unit *u, const struct pare_batch *b, float *x, struct pare_work *w,
                const struct pare_observer *obs, struct pare_job *job, struct pare_diag *diag);
    int (*head)(struct pare_model *m, struct pare_unit *u, const float *x, uint32_t n, float *logits, struct pare_work *w,
                const struct pare_observer *obs, struct pare_job *job, struct pare_diag *diag);
    int (*emit)(const struct pare_model *m, struct pare_writer *w, struct pare_diag *diag);
};

struct pare_arch {
    const char *name;
    const char *const *types; /* model_type values of config.json, NULL-terminated */
    const char *const *gguf;  /* general.architecture values it reads, NULL-terminated; may be NULL */
    const struct pare_arch_ops *ops;
    const void *family;       /* what ops wants to know of the family (dense: struct pare_dense_family) */
};

struct pare_model {
    const struct pare_arch     *arch;
    struct pare_checkpoint     *ckpt;
    struct pare_model_options   options;
    struct pare_model_info      info;
    struct pare_kv_shape       *kv_shape; /* [n_layers] */
    struct pare_unit           *units;    /* [info.n_units] */
    json_t                     *config;   /* Hugging Face config in force (the folder's, or pare.config), NULL: GGUF metadata */
    bool                        owns_config;
    char                        type[64]; /* model_type or general.architecture as found */
    void                       *own;      /* the family's part */
};

/* The row for a model_type or a GGUF architecture; NULL when there is none. */
const struct pare_arch *pare_arch_by_type(const char *model_type);
const struct pare_arch *pare_arch_by_gguf(const char *architecture);
/* Row number i in list order, NULL behind the last. */
const struct pare_arch *pare_arch_at(uint32_t i);

/* Runs fn for rows 0 .. n - 1 on the team; few rows run in the caller, where waking threads costs more than the work. */
void pare_rows_run(struct pare_job *job, uint32_t n, pare_team_fn fn, void *ctx);

/* Tells an observer about the input of a linear. obs may be NULL. */
void pare_observe(const struct pare_observer *obs, const struct pare_unit *u, const struct pare_linear *l, const float *x,
                  uint64_t ldx, uint32_t n);

#endif
