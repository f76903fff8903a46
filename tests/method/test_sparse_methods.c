/* SPDX-License-Identifier: Apache-2.0
 * tests/method/test_sparse_methods.c: acceptance of magnitude, wanda, sparsegpt, gqsa, flash-llm and sparsebytenn, all measured in one run.
 * For gqsa, which takes longest, every third layer is changed, by it and by what it is compared with. */
#include "lab_rig.h"

#include <math.h>

#include "base/mem.h"
#include "base/status.h"
#include "compress/sparsify.h"
#include "kernel/sparse.h"

static struct rig rig, *r = &rig;

/* Factors of the inputs, made when first wanted; siblings share one. */
#define MAX_FACTORS 256
static struct { const struct pare_second *in; struct pare_columns c; } factors[MAX_FACTORS];

static int factor_of(const struct pare_second *in, const struct pare_columns **c, struct pare_diag *diag)
{
    for (int i = 0; i < MAX_FACTORS; i++) {
        if (factors[i].in == NULL) {
            PARE_FORWARD(pare_columns_open(&factors[i].c, in, 0.01, r->job, diag));
            factors[i].in = in;
        }
        if (factors[i].in == in) {
            *c = &factors[i].c;
            return PARE_OK;
        }
    }
    return PARE_ERR(diag, PARE_E_LIMIT, "more matrices than this test has room for");
}

enum way { WAY_MAGNITUDE, WAY_WANDA, WAY_SPARSEGPT, WAY_GQSA, WAY_GQSA_PLAIN, WAY_TYPE };
struct change {
    enum way              way;
    struct pare_mask_rule rule;
    const struct pare_dtype *type;  /* WAY_TYPE */
    bool                  all;      /* every layer, not every third */
    uint64_t bytes, dense, int8;    /* of what was changed: GQSA's, dense W4 of the same groups, q8_0 */
};

static bool wanted(const struct change *h, const struct pare_lab_weight *x) { return strncmp(x->name, "blk.", 4) == 0 && (h->all || (x->unit - 1) % 3 == 0); }

static int by_type(const struct pare_dtype *t, const struct pare_lab_weight *x, float *w, struct pare_diag *diag)
{
    float   *importance = pare_alloc_array(x->cols, sizeof *importance);
    uint64_t stride = 0;
    void    *line = pare_dtype_row_bytes(t, x->cols, &stride) ? pare_malloc(stride) : NULL;

    if (importance == NULL || line == NULL) return PARE_NOMEM(diag);
    for (uint64_t c = 0; c < x->cols; c++) importance[c] = (float)(x->in->sumsq[c] / x->in->weight);
    for (uint64_t i = 0; i < x->rows; i++) {
        t->encode(line, w + i * x->cols, x->cols, importance);
        t->decode(w + i * x->cols, line, x->cols);
    }
    pare_free(importance);
    pare_free(line);
    return PARE_OK;
}

static int by_groups(struct change *h, const struct pare_lab *lab, const struct pare_lab_weight *x, float *w, struct pare_diag *diag)
{
    const struct pare_columns *c = NULL;
    struct pare_gqsa           g;
    struct pare_sparse         s;

    if (h->way == WAY_GQSA) PARE_FORWARD(factor_of(x->in, &c, diag));
    PARE_FORWARD(pare_gqsa_make(&g, h->rule.remove, x->in, c, w, x->rows, x->cols, lab->w->job, diag));
    PARE_FORWARD(pare_sparse_make_group(&s, &(struct pare_group4){ g.rows, g.cols, g.d, g.scale, g.zero, g.code, g.keep }, diag));
    h->bytes += s.bytes;
    h->dense += pare_sparse_dense_bytes(PARE_SPARSE_GROUP, PARE_Q4_0, x->rows, x->cols);
    h->int8 += x->rows * (x->cols / 32 * 34);
    for (uint64_t i = 0; i < x->rows * x->cols; i++) { /* the weights are what is stored */
        const uint64_t at = i / x->cols * (x->cols / 16) + i % x->cols / 16;

        assert_true(w[i] == (g.keep[at] ? pare_f16_to_f32(g.d[i / x->cols]) * (float)g.scale[at] * (float)(g.code[i] - g.zero[at]) : 0.0f));
    }
    pare_sparse_free(&s);
    pare_gqsa_free(&g);
    return PARE_OK;
}

static int make_sparse(void *user, const struct pare_lab *lab, uint32_t i, float *w, struct pare_diag *diag)
{
    struct change                *h = user;
    const struct pare_lab_weight *x = &lab->weight[i];
    const struct pare_columns    *c = NULL;
    struct pare_mask              m;
    int                           rc;

    if (!wanted(h, x)) return 1;
    if (h->way == WAY_TYPE) return by_type(h->type, x, w, diag);
    if (h->way == WAY_GQSA || h->way == WAY_GQSA_PLAIN) return by_groups(h, lab, x, w, diag);
    if (h->way == WAY_SPARSEGPT) PARE_FORWARD(factor_of(x->in, &c, diag));
    PARE_FORWARD(pare_mask_create(&m, x->rows, x->cols, diag));
    rc = pare_sparsify((enum pare_sparsify_how)h->way, &h->rule, x->in, c, w, &m, lab->w->job, diag);
    pare_mask_free(&m);
    return rc;
}

static struct pare_tally_result measure(struct change *h, const char *what)
{
    const struct pare_tally_result t = rig_measure(r, &(struct pare_lab_change){ make_sparse, NULL, h });

    print_message("%-28s divergence %.4f +- %.4f, perplexity %.2f\n", what, t.kld, t.kld_se, t.ppl);
    return t;
}

static void neutral(void **state)
{
    (void)state;
    for (int way = WAY_WANDA; way <= WAY_SPARSEGPT; way++) {
        struct change none = { .way = (enum way)way, .rule = { way == WAY_WANDA ? PARE_MASK_ROW : PARE_MASK_MATRIX, 0, 0, 0 } };

        assert_true(measure(&none, "nothing removed").kld == 0);
    }
}

static void order_rule(void **state)
{
    static const char *const name[3] = { "magnitude", "wanda", "sparsegpt" };
    double k[3][3];

    (void)state;
    for (int way = 0; way < 3; way++)
        for (int p = 0; p < 3; p++) {
            struct change h = { .way = (enum way)way, .all = true, .rule = { PARE_MASK_NM, 0, p == 1 ? 4 : 2, p == 1 ? 8 : 4 } };
            char          what[40];

            if (p == 0) h.rule = (struct pare_mask_rule){ way == WAY_WANDA ? PARE_MASK_ROW : PARE_MASK_MATRIX, 0.5, 0, 0 };
            snprintf(what, sizeof what, "%s %s", name[way], p == 0 ? "50 %" : p == 1 ? "4:8" : "2:4");
            k[way][p] = measure(&h, what).kld;
        }
    for (int way = 0; way < 3; way++) assert_true(k[way][0] < k[way][1] && k[way][1] < k[way][2]);
    for (int p = 0; p < 3; p++) assert_true(k[WAY_SPARSEGPT][p] < 0.7 * k[WAY_MAGNITUDE][p] && k[WAY_SPARSEGPT][p] < k[WAY_WANDA][p]);
    /* What Wanda gains over magnitude comes from outlier channels, of which small models have few: no worse within a pattern, and near where
     * magnitude compares over the matrix, its better form. */
    assert_true(k[WAY_WANDA][1] + k[WAY_WANDA][2] < k[WAY_MAGNITUDE][1] + k[WAY_MAGNITUDE][2]);
    assert_true(k[WAY_WANDA][0] < 1.25 * k[WAY_MAGNITUDE][0]);
}

static void groups(void **state)
{
    struct change all = { .way = WAY_GQSA }, half = { .way = WAY_GQSA, .rule = { .remove = 0.5 } }, plain = { .way = WAY_GQSA_PLAIN, .rule = { .remove = 0.5 } };
    struct change two = { .way = WAY_TYPE, .type = pare_dtype_of(PARE_PQ2) }, four = { .way = WAY_TYPE, .type = pare_dtype_of(PARE_PQ4) };
    struct change nm = { .way = WAY_WANDA, .rule = { PARE_MASK_NM, 0, 2, 4 } };
    struct change obs = { .way = WAY_SPARSEGPT, .rule = { PARE_MASK_NM, 0, 2, 4 } };
    const double  k_all = measure(&all, "gqsa, all groups").kld, k_half = measure(&half, "gqsa, half the groups").kld, k_plain = measure(&plain, "... without compensation").kld;
    const double  k_two = measure(&two, "pq2").kld, k_four = measure(&four, "pq4").kld, k_nm = measure(&nm, "wanda 2:4").kld;

    /* For the record: to beat these three it needs the paper's training. */
    (void)k_two, (void)k_nm, (void)measure(&obs, "sparsegpt 2:4");

    (void)state;
    print_message("gqsa: %.3f of dense INT8, %.3f of dense W4\n", (double)half.bytes / (double)half.int8, (double)half.bytes / (double)half.dense);
    assert_true(k_all < k_four);           /* groups of 16 and compensation against groups of 32 without */
    assert_true(k_half < 0.6 * k_plain);
    assert_true((double)half.bytes <= 0.40 * (double)half.int8);
    assert_true((double)half.bytes < 0.65 * (double)half.dense);
}

/* The matrix with the most weights, pruned and stored. */
static void store(enum pare_sparse_kind kind, const struct pare_mask_rule *rule, double *share, char *text, size_t size)
{
    const struct pare_lab_weight *x = &r->lab.weight[0];
    struct pare_sparse s;
    struct pare_mask   m;
    float             *w;

    for (uint32_t i = 0; i < r->lab.n_weights; i++)
        if (strstr(r->lab.weight[i].name, "blk.") != NULL && r->lab.weight[i].rows * r->lab.weight[i].cols > x->rows * x->cols) x = &r->lab.weight[i];
    w = pare_alloc_array(x->rows * x->cols, sizeof *w);
    RIG_OK(pare_lab_weight_rows(&r->lab, (uint32_t)(x - r->lab.weight), w, &r->diag));
    RIG_OK(pare_mask_create(&m, x->rows, x->cols, &r->diag));
    RIG_OK(pare_sparsify(PARE_SPARSIFY_WANDA, rule, x->in, NULL, w, &m, r->job, &r->diag));
    RIG_OK(pare_sparse_make(&s, kind, PARE_F16, w, x->rows, x->cols, m.bits, m.words, &r->diag));
    *share = (double)s.bytes / (double)(x->rows * x->cols * 2);
    pare_sparse_verdict(&s, text, size);
    print_message("%s: %s\n", x->name, text);
    { /* one row of activations: the product is the dense one of the matrix with zeros */
        uint16_t *h = pare_alloc_array(x->rows * x->cols, 2);
        float    *y = pare_alloc_array(2 * x->rows, sizeof *y);

        for (uint64_t i = 0; i < x->rows * x->cols; i++) h[i] = pare_f32_to_f16(w[i]);
        pare_vec_for(3)->gemm_f16(y, x->rows, h, x->cols * 2, w, x->cols, x->cols, 0, x->rows, 1);
        pare_sparse_for(3)->gemm[kind](y + x->rows, x->rows, &s, w, x->cols, NULL, 1, 0, s.n_panels);
        assert_memory_equal(y, y + x->rows, x->rows * sizeof *y);
        pare_free(h);
        pare_free(y);
    }
    pare_sparse_free(&s);
    pare_mask_free(&m);
    pare_free(w);
}

static void flash_llm(void **state)
{
    const struct pare_mask_rule most = { PARE_MASK_ROW, 0.8, 0, 0 }, few = { PARE_MASK_ROW, 0.4, 0, 0 };
    double share;
    char   text[256];

    (void)state;
    store(PARE_SPARSE_TILED, &most, &share, text, sizeof text);
    assert_true(share <= 0.45);
    assert_null(strstr(text, "nothing is gained"));
    store(PARE_SPARSE_TILED, &few, &share, text, sizeof text);
    assert_true(share > 1);
    assert_non_null(strstr(text, "breaks even at 50 %"));
}

static void sparsebytenn(void **state)
{
    const struct pare_mask_rule third = { PARE_MASK_WIDE, 0.3, 0, 0 };
    double share;
    char   text[256];

    (void)state;
    store(PARE_SPARSE_WIDE, &third, &share, text, sizeof text);
    assert_true(share < 0.76); /* 0.7 of the values and two bytes for each 16 of them */
}

static int set_up(void **state)
{
    (void)state;
    rig_open(r, 256, 12, 4, true);
    return 0;
}
static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < MAX_FACTORS; i++) pare_columns_free(&factors[i].c);
    rig_close(r);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neutral), cmocka_unit_test(order_rule), cmocka_unit_test(groups), cmocka_unit_test(flash_llm), cmocka_unit_test(sparsebytenn),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
