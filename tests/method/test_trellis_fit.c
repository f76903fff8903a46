/* SPDX-License-Identifier: Apache-2.0
 * tests/method/test_trellis_fit.c: trellis codes in a model: less divergence than table codes with more bits, and than the same bits would
 * buy. Every second layer is rounded; the embedding and the head stay. */
#include "lab_rig.h"

#include "compress/second.h"
#include "kernel/enc_tiers.h"
#include "tensor/dtype.h"

struct change {
    const struct pare_dtype *type;
    uint64_t bytes, weights;
};

static int rounded(void *user, const struct pare_lab *lab, uint32_t i, float *w, struct pare_diag *diag)
{
    struct change *c = user;
    const struct pare_lab_weight *m = &lab->weight[i];
    uint64_t row;
    float *importance;
    uint8_t *code;

    (void)diag;
    if (strncmp(m->name, "blk.", 4) != 0 || m->unit % 2 == 0) return 1;
    assert_true(pare_dtype_row_bytes(c->type, m->cols, &row));
    importance = pare_alloc_array(m->cols, sizeof *importance);
    code = pare_malloc(row);
    for (uint64_t k = 0; k < m->cols; k++) importance[k] = (float)(m->in->sumsq[k] / m->in->weight);
    pare_enc_use(pare_enc_wide_for(pare_cpu_best_tier()));
    for (uint64_t r = 0; r < m->rows; r++) {
        c->type->encode(code, w + r * m->cols, m->cols, importance);
        c->type->decode(w + r * m->cols, code, m->cols);
    }
    pare_enc_use(NULL);
    c->bytes += row * m->rows;
    c->weights += m->cols * m->rows;
    pare_free(importance);
    pare_free(code);
    return 0;
}

static double divergence(struct rig *r, enum pare_type type, double *bits)
{
    struct change c = { .type = pare_dtype_of(type) };
    struct pare_lab_change change = { .weight = rounded, .user = &c };
    struct pare_tally_result t = rig_measure(r, &change);

    *bits = 8.0 * (double)c.bytes / (double)c.weights;
    print_message("%-5s %.3f bits: divergence %.5f +- %.5f\n", c.type->name, *bits, t.kld, t.kld_se);
    return t.kld;
}

static void fewer_bits_less_loss(void **state)
{
    struct rig r;
    double tc2, tc3, pq2, pq2h, pq3, bits[5];

    (void)state;
    rig_open(&r, 256, 12, 6, false);
    tc2 = divergence(&r, PARE_TC2, &bits[0]);
    pq2 = divergence(&r, PARE_PQ2, &bits[1]);
    pq2h = divergence(&r, PARE_PQ2H, &bits[2]);
    tc3 = divergence(&r, PARE_TC3, &bits[3]);
    pq3 = divergence(&r, PARE_PQ3, &bits[4]);
    assert_true(bits[0] < bits[1] && bits[1] < bits[2] && bits[3] < bits[4]);
    assert_true(tc2 < 0.9 * pq2 && tc2 < pq2h && tc3 < 0.95 * pq3);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(fewer_bits_less_loss) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
