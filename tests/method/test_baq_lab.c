/* SPDX-License-Identifier: Apache-2.0
 * Bits for columns on a real model: at the bytes of uniform GPTQ, lower output error and lower divergence on text that calibration did
 * not see. The head keeps its weights in both. */
#include "lab_rig.h"

#include <math.h>

#include "base/status.h"
#include "compress/baq.h"

struct change {
    enum pare_baq_mode     mode;
    uint32_t               bits;
    struct pare_baq_factor f;
    const struct pare_second *of; /* whose factor f is */
    double                 error, norm, spread_before, spread_after; /* relative output error; logarithms of spreads */
    uint64_t               bytes;
    uint32_t               n;
};

static int round_one(void *user, const struct pare_lab *lab, uint32_t i, float *w, struct pare_diag *diag)
{
    struct change                *c = user;
    const struct pare_lab_weight *l = &lab->weight[i];
    const struct pare_second     *in = l->in;
    struct pare_baq_result        r;
    float                        *old;

    if (strcmp(l->role, "output") == 0 || strcmp(l->role, "token_embd") == 0 || in->xx == NULL) return 1;
    if (c->of != in) { /* siblings stand side by side and share one factor */
        pare_baq_factor_free(&c->f);
        PARE_FORWARD(pare_baq_factor(&c->f, in, lab->w->job, diag));
        c->of = in;
    }
    old = malloc(l->rows * l->cols * sizeof *old);
    memcpy(old, w, l->rows * l->cols * sizeof *old);
    PARE_FORWARD(pare_baq(w, old, l->rows, &c->f, c->bits, c->mode, NULL, &r, lab->w->job, diag));
    free(old);
    c->error += r.loss_after;
    c->spread_before += log(r.spread_before);
    c->spread_after += log(r.spread_after);
    c->bytes += r.bytes;
    c->n++;
    return 0;
}

static void at_equal_bytes(void **state)
{
    struct rig rig, *r = &rig;

    (void)state;
    rig_open(r, 256, 12, 4, true);
    for (uint32_t bits = 3; bits >= 2; bits--) {
        struct change            c[2] = { { .mode = PARE_BAQ_UNIFORM, .bits = bits }, { .mode = PARE_BAQ_WHOLE, .bits = bits } };
        struct pare_tally_result t[2];

        for (int k = 0; k < 2; k++) {
            struct pare_lab_change change = { .weight = round_one, .user = &c[k] };

            t[k] = rig_measure(r, &change);
            pare_baq_factor_free(&c[k].f);
        }
        print_message("%s, %u bits: output error %.5g, columns by loss %.5g; divergence %.4f +- %.4f, %.4f +- %.4f; bytes %llu, %llu; spread %.1f to %.1f\n",
                      r->model, bits, c[0].error, c[1].error, t[0].kld, t[0].kld_se, t[1].kld, t[1].kld_se, (unsigned long long)c[0].bytes,
                      (unsigned long long)c[1].bytes, exp(c[1].spread_before / c[1].n), exp(c[1].spread_after / c[1].n));
        assert_true(c[1].bytes <= c[0].bytes);
        assert_true(c[1].error < c[0].error);
        assert_true(c[1].spread_after < c[1].spread_before);
        assert_true(t[1].kld < t[0].kld);
    }
    rig_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(at_equal_bytes) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
