/* SPDX-License-Identifier: Apache-2.0
 * src/format/foreign.c: finds packed weights and checks them, so that decoding needs no decision. What quantization_config
 * says is compared with the shapes; per-module overrides ("dynamic") may differ from it, then the shapes decide. */
#include "format/foreign.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/json.h"
#include "base/mem.h"
#include "format/checkpoint_private.h"
#include "format/limits.h"

/* What quantization_config says. */
struct settings {
    enum pare_foreign_kind kind;      /* NONE: nothing to look for */
    int64_t                bits;      /* 0: not said */
    int64_t                group;     /* -1: one group of all inputs; 0: not said */
    uint32_t               zero_plus;
    bool                   overrides;
};

static int gptq_settings(struct settings *s, const json_t *q, struct pare_diag *diag)
{
    const char *format;

    s->kind = PARE_FOREIGN_GPTQ;
    PARE_FORWARD(pare_json_str(q, "checkpoint_format", NULL, &format, diag));
    if (format == NULL) PARE_FORWARD(pare_json_str(q, "format", "gptq", &format, diag));
    if (strcmp(format, "gptq") != 0 && strcmp(format, "gptq_v2") != 0)
        PARE_FAIL_AT(diag, PARE_E_UNSUPPORTED, 0, "checkpoint_format", "GPTQ in the layout \"%.60s\" is not read", format);
    s->zero_plus = strcmp(format, "gptq") == 0;
    s->overrides = json_object_size(json_object_get(q, "dynamic")) != 0;
    PARE_FORWARD(pare_json_int(q, "bits", 2, 8, 0, &s->bits, diag));
    return pare_json_int(q, "group_size", -1, PARE_MAX_WIDTH, 0, &s->group, diag);
}

static int awq_settings(struct settings *s, const json_t *q, struct pare_diag *diag)
{
    const char *version;

    s->kind = PARE_FOREIGN_AWQ;
    PARE_FORWARD(pare_json_str(q, "version", "gemm", &version, diag));
    if (strcmp(version, "gemm") != 0 && strcmp(version, "GEMM") != 0)
        PARE_FAIL_AT(diag, PARE_E_UNSUPPORTED, 0, "version", "AWQ in the layout \"%.60s\" is not read, only gemm", version);
    PARE_FORWARD(pare_json_int(q, json_object_get(q, "bits") != NULL ? "bits" : "w_bit", 4, 4, 4, &s->bits, diag));
    return pare_json_int(q, json_object_get(q, "group_size") != NULL ? "group_size" : "q_group_size", -1, PARE_MAX_WIDTH, 0, &s->group, diag);
}

/* Several config_groups may differ in width: bits and groups then come from the shapes alone. */
static int ct_settings(struct settings *s, const json_t *q, struct pare_diag *diag)
{
    const char *format;

    PARE_FORWARD(pare_json_str(q, "format", "", &format, diag));
    if (strcmp(format, "pack-quantized") == 0) s->kind = PARE_FOREIGN_CT_PACKED;
    if (strcmp(format, "int-quantized") == 0) s->kind = PARE_FOREIGN_CT_INT8;
    s->overrides = true;
    return PARE_OK;
}

static int read_settings(struct settings *s, const struct pare_checkpoint *c, struct pare_diag *diag)
{
    const json_t *q = json_object_get(c->config, "quantization_config");
    const char   *method;

    *s = (struct settings){ 0 };
    if (q == NULL || json_is_null(q)) return PARE_OK;
    if (!json_is_object(q)) PARE_FAIL_AT(diag, PARE_E_CORRUPT, 0, "quantization_config", "must be an object");
    PARE_FORWARD(pare_json_str(q, "quant_method", "", &method, diag));
    if (strcmp(method, "gptq") == 0) return gptq_settings(s, q, diag);
    if (strcmp(method, "awq") == 0) return awq_settings(s, q, diag);
    if (strcmp(method, "compressed-tensors") == 0) return ct_settings(s, q, diag);
    return PARE_OK; /* other methods: the tensors can be listed; whoever binds a weight finds it missing */
}

/* ---- the pieces of one weight -------------------------------------------------------------------------------------- */

static int bad(const struct pare_tensor *t, struct pare_diag *diag, const char *what)
{
    PARE_FAIL_AT(diag, PARE_E_CORRUPT, t->offset, t->name, "%s", what);
}

static struct pare_tensor *piece(struct pare_checkpoint *c, const char *base, size_t len, const char *suffix)
{
    char     name[PARE_MAX_NAME_LEN + 32];
    uint64_t i;

    snprintf(name, sizeof name, "%.*s%s", (int)len, base, suffix);
    i = pare_names_get(&pare_ckpt_index_of(c)->tensors, name, strlen(name));
    if (i == UINT64_MAX) return NULL;
    return &c->tensors[i];
}

static int check_scales(const struct pare_tensor *t, struct pare_diag *diag)
{
    if (t->type->type == PARE_F32 || t->type->type == PARE_F16 || t->type->type == PARE_BF16) return PARE_OK;
    PARE_FAIL_AT(diag, PARE_E_CORRUPT, t->offset, t->name, "scales must be f32, f16 or bf16, are %s", t->type->name);
}

static int check_g_idx(const struct pare_foreign *f, struct pare_diag *diag)
{
    const struct pare_tensor *t = f->g_idx;

    if (t == NULL) return PARE_OK;
    if (t->type->type != PARE_I32 || t->rows != 1 || t->cols != f->cols) return bad(t, diag, "must be one i32 for each input");
    for (uint64_t i = 0; i < f->cols; i++)
        if (pare_le32(t->data + 4 * i) >= f->groups)
            PARE_FAIL_AT(diag, PARE_E_CORRUPT, t->offset + 4 * i, t->name, "input %" PRIu64 " is in group %" PRId32 " of %" PRIu64, i,
                         (int32_t)pare_le32(t->data + 4 * i), f->groups);
    return PARE_OK;
}

/* Groups along the input: their number comes from the scales, the settings must not contradict. */
static int fix_groups(struct pare_foreign *f, const struct settings *s, uint64_t groups, struct pare_diag *diag)
{
    f->groups = groups;
    if (groups == 0 || groups > f->cols) return bad(f->scales, diag, "the number of groups does not suit the inputs");
    f->group = f->cols / groups + (f->cols % groups != 0);
    if (!s->overrides && s->group > 0 && f->group != (uint64_t)s->group) {
        f->group = (uint64_t)s->group; /* the last group may be short, so the number of groups alone does not tell the size */
        if (f->cols / f->group + (f->cols % f->group != 0) != groups)
            PARE_FAIL_AT(diag, PARE_E_CORRUPT, f->scales->offset, f->scales->name, "%" PRIu64 " groups, group_size %" PRId64
                         " over %" PRIu64 " inputs gives another number", groups, s->group, f->cols);
    } else if (f->cols % groups != 0) {
        return bad(f->scales, diag, "the groups do not divide the inputs");
    }
    if (!s->overrides && s->group == -1 && groups != 1) return bad(f->scales, diag, "several groups, group_size says one");
    return PARE_OK;
}

static bool is_matrix(const struct pare_tensor *t, enum pare_type type)
{
    return t != NULL && t->n_dims == 2 && t->type->type == type && t->rows != 0 && t->cols != 0;
}

static int check_gptq(struct pare_foreign *f, const struct settings *s, struct pare_diag *diag)
{
    uint64_t out = f->q->cols;

    if (!is_matrix(f->q, PARE_I32)) return bad(f->q, diag, "qweight must be an i32 matrix");
    if (f->scales == NULL || f->zeros == NULL) return bad(f->q, diag, "qweight without scales or qzeros");
    PARE_FORWARD(check_scales(f->scales, diag));
    if (f->scales->n_dims != 2 || f->scales->cols != out) return bad(f->scales, diag, "scales must be a matrix (groups, outputs)");
    if (!is_matrix(f->zeros, PARE_I32) || f->zeros->rows != f->scales->rows || f->zeros->cols > out || f->zeros->cols * 32 % out != 0)
        return bad(f->zeros, diag, "qzeros must be an i32 matrix (groups, outputs * bits / 32)");
    f->bits = (uint32_t)(f->zeros->cols * 32 / out);
    if (f->bits != 2 && f->bits != 3 && f->bits != 4 && f->bits != 8) return bad(f->zeros, diag, "the shape gives no width of 2, 3, 4 or 8 bits");
    if (!s->overrides && s->bits != 0 && s->bits != f->bits)
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, f->zeros->offset, f->zeros->name, "the shape gives %u bits, quantization_config %d", f->bits, (int)s->bits);
    if (f->q->rows > INT64_MAX / 32 || f->q->rows * 32 % f->bits != 0) return bad(f->q, diag, "rows do not suit the width");
    f->rows = out;
    f->cols = f->q->rows * 32 / f->bits;
    f->zero_plus = s->zero_plus;
    PARE_FORWARD(fix_groups(f, s, f->scales->rows, diag));
    return check_g_idx(f, diag);
}

static int check_awq(struct pare_foreign *f, const struct settings *s, struct pare_diag *diag)
{
    if (!is_matrix(f->q, PARE_I32)) return bad(f->q, diag, "qweight must be an i32 matrix");
    if (f->scales == NULL || f->zeros == NULL) return bad(f->q, diag, "qweight without scales or qzeros");
    PARE_FORWARD(check_scales(f->scales, diag));
    f->bits = 4;
    f->rows = f->q->cols * 8; /* bytes were checked: cols * 4 did not overflow far below */
    f->cols = f->q->rows;
    if (f->scales->n_dims != 2 || f->scales->cols != f->rows) return bad(f->scales, diag, "scales must be a matrix (groups, outputs)");
    if (!is_matrix(f->zeros, PARE_I32) || f->zeros->rows != f->scales->rows || f->zeros->cols != f->q->cols)
        return bad(f->zeros, diag, "qzeros must be an i32 matrix (groups, outputs / 8)");
    return fix_groups(f, s, f->scales->rows, diag);
}

/* weight_shape says how many inputs are real; the last word of a row may be padded. */
static int check_ct_packed(struct pare_foreign *f, const struct settings *s, const struct pare_tensor *shape, struct pare_diag *diag)
{
    uint64_t per_word;

    if (!is_matrix(f->q, PARE_I32) || f->scales == NULL) return bad(f->q, diag, "must be an i32 matrix with a weight_scale");
    if (shape == NULL || shape->cols != 2 || shape->rows != 1 || (shape->type->type != PARE_I64 && shape->type->type != PARE_I32))
        return bad(f->q, diag, "weight_shape must hold two whole numbers");
    f->rows = shape->type->type == PARE_I64 ? pare_le64(shape->data) : pare_le32(shape->data);
    f->cols = shape->type->type == PARE_I64 ? pare_le64(shape->data + 8) : pare_le32(shape->data + 4);
    if (f->rows != f->q->rows || f->cols == 0) return bad(shape, diag, "contradicts weight_packed");
    for (f->bits = 8; f->bits >= 2; f->bits /= 2) { /* 8, 4, 2 */
        per_word = 32 / f->bits;
        if (f->cols / per_word + (f->cols % per_word != 0) == f->q->cols) break;
    }
    if (f->bits < 2) return bad(shape, diag, "gives no width of 2, 4 or 8 bits");
    PARE_FORWARD(check_scales(f->scales, diag));
    if (f->scales->n_dims != 2 || f->scales->rows != f->rows) return bad(f->scales, diag, "must be a matrix (outputs, groups)");
    PARE_FORWARD(fix_groups(f, s, f->scales->cols, diag));
    per_word = 32 / f->bits;
    if (f->zeros != NULL && (!is_matrix(f->zeros, PARE_I32) || f->zeros->cols != f->groups ||
                             f->zeros->rows != f->rows / per_word + (f->rows % per_word != 0)))
        return bad(f->zeros, diag, "must be an i32 matrix (outputs * bits / 32, groups)");
    return check_g_idx(f, diag);
}

static int check_ct_int8(struct pare_foreign *f, const struct settings *s, struct pare_diag *diag)
{
    f->bits = 8;
    f->rows = f->q->rows;
    f->cols = f->q->cols;
    f->scale_rows = f->rows;
    PARE_FORWARD(check_scales(f->scales, diag));
    if (f->scales->rows * f->scales->cols == 1) f->scale_rows = 1; /* strategy "tensor" */
    else if (f->scales->n_dims != 2 || f->scales->rows != f->rows) return bad(f->scales, diag, "must be a matrix (outputs, groups)");
    PARE_FORWARD(fix_groups(f, s, f->scale_rows == 1 ? 1 : f->scales->cols, diag));
    if (f->zeros != NULL && (f->zeros->type->type != PARE_I8 || f->zeros->rows * f->zeros->cols != f->scales->rows * f->scales->cols))
        return bad(f->zeros, diag, "must be i8, one for each scale");
    return check_g_idx(f, diag);
}

/* ---- the scan ------------------------------------------------------------------------------------------------------ */

static void mark(const struct pare_tensor *t)
{
    /* The scan owns the list; only the view handed out is const. */
    if (t != NULL && t->part == PARE_FOREIGN_NONE) ((struct pare_tensor *)(uintptr_t)t)->part = PARE_FOREIGN_PIECE;
}

static bool ends_with(const struct pare_tensor *t, const char *suffix, size_t *base)
{
    size_t n = strlen(t->name), m = strlen(suffix);

    *base = n - m;
    return n > m && strcmp(t->name + n - m, suffix) == 0;
}

/* Fills f when tensor t is the main piece of a packed weight: 1, 0 when it is not, or an error. */
static int look_at(struct pare_foreign *f, struct pare_checkpoint *c, struct pare_tensor *t, const struct settings *s, struct pare_diag *diag)
{
    size_t              n;
    struct pare_tensor *shape = NULL;
    int                 rc = 0;

    *f = (struct pare_foreign){ .kind = s->kind, .q = t };
    if ((s->kind == PARE_FOREIGN_GPTQ || s->kind == PARE_FOREIGN_AWQ) && ends_with(t, ".qweight", &n)) {
        f->scales = piece(c, t->name, n, ".scales");
        f->zeros = piece(c, t->name, n, ".qzeros");
        f->g_idx = s->kind == PARE_FOREIGN_GPTQ ? piece(c, t->name, n, ".g_idx") : NULL;
        rc = s->kind == PARE_FOREIGN_GPTQ ? check_gptq(f, s, diag) : check_awq(f, s, diag);
    } else if (s->kind == PARE_FOREIGN_CT_PACKED && ends_with(t, ".weight_packed", &n)) {
        f->scales = piece(c, t->name, n, ".weight_scale");
        f->zeros = piece(c, t->name, n, ".weight_zero_point");
        f->g_idx = piece(c, t->name, n, ".weight_g_idx");
        shape = piece(c, t->name, n, ".weight_shape");
        rc = check_ct_packed(f, s, shape, diag);
    } else if (s->kind == PARE_FOREIGN_CT_INT8 && ends_with(t, ".weight", &n) && is_matrix(t, PARE_I8)) {
        f->scales = piece(c, t->name, n, ".weight_scale");
        f->zeros = piece(c, t->name, n, ".weight_zero_point");
        f->g_idx = piece(c, t->name, n, ".weight_g_idx");
        if (f->scales == NULL) return 0;
        rc = check_ct_int8(f, s, diag);
    } else if (t->part == PARE_FOREIGN_INT8_FLAT) {
        n = strlen(t->name);
        f->kind = PARE_FOREIGN_INT8_FLAT;
        f->scales = piece(c, t->name, n, "_scale");
        f->rows = t->rows;
        f->cols = t->cols;
        f->groups = f->scales->cols;
        f->group = t->rows * t->cols / f->groups; /* the reader made both from the same header */
        f->name = t->name;
        return 1;
    } else {
        return 0;
    }
    if (rc < 0) {
        pare_diag_file(diag, c->maps[t->file].path);
        return rc;
    }
    t->part = (int)f->kind;
    mark(f->scales);
    mark(f->zeros);
    mark(f->g_idx);
    mark(shape);
    return 1;
}

static int name_of(struct pare_foreign *f, struct pare_checkpoint *c)
{
    char        name[PARE_MAX_NAME_LEN + 32];
    const char *dot;

    if (f->name != NULL) return PARE_OK;
    dot = strrchr(f->q->name, '.');
    snprintf(name, sizeof name, "%.*s.weight", (int)(dot - f->q->name), f->q->name);
    f->name = pare_pool_add(&pare_ckpt_index_of(c)->pool, name, strlen(name));
    return f->name == NULL ? PARE_E_NOMEM : PARE_OK;
}

int pare_foreign_scan(struct pare_checkpoint *c, struct pare_diag *diag)
{
    struct pare_ckpt_index *ix = c->index;
    struct settings         s;
    uint64_t                cap = 0;

    PARE_FORWARD(read_settings(&s, c, diag));
    for (uint64_t i = 0; i < c->n_tensors; i++) {
        struct pare_foreign f;
        int                 r = look_at(&f, c, &c->tensors[i], &s, diag);

        if (r < 0) return r;
        if (r == 0) continue;
        if (ix->n_groups == cap) {
            void *p = pare_realloc_array(ix->groups, cap = cap == 0 ? 64 : cap * 2, sizeof *ix->groups);

            if (p == NULL) return PARE_NOMEM(diag);
            ix->groups = p;
        }
        if (name_of(&f, c) < 0) return PARE_NOMEM(diag);
        ix->groups[ix->n_groups] = f;
        r = pare_names_put(&ix->foreign, f.name, ix->n_groups);
        if (r < 0) return PARE_NOMEM(diag);
        if (f.kind != PARE_FOREIGN_CT_INT8 && f.kind != PARE_FOREIGN_INT8_FLAT && pare_checkpoint_tensor(c, f.name) != NULL)
            PARE_FAIL_AT(diag, PARE_E_CORRUPT, f.q->offset, f.name, "is there packed and as a plain tensor");
        ix->n_groups++;
    }
    return PARE_OK;
}
