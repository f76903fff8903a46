/* SPDX-License-Identifier: Apache-2.0
 * tests/method/cast_rig.h: every matrix of the lab's model through a number format, for acceptance tests of formats. */
#ifndef PARE_TESTS_CAST_RIG_H
#define PARE_TESTS_CAST_RIG_H

#include "lab_rig.h"

#include "base/mem.h"
#include "base/status.h"
#include "compress/hqq.h"
#include "tensor/codec.h"

static struct rig rig;
static struct rig *r = &rig;

static inline const struct pare_codec *codec(const char *name)
{
    const struct pare_codec *c = pare_codec_by_name(name);

    assert_non_null(c);
    return c;
}

/* Every matrix through a format; bytes are added up. */
struct cast {
    const struct pare_codec *c;
    uint64_t group, bytes, weights;
    bool hqq; /* fitted zero points */
};

static inline int cast_weight(void *user, const struct pare_lab *lab, uint32_t i, float *w, struct pare_diag *diag)
{
    struct cast *k = user;
    const struct pare_lab_weight *m = &lab->weight[i];
    struct pare_codec_shape s = { m->rows, m->cols, k->group };
    uint64_t bytes = 0;

    k->weights += m->rows * m->cols;
    if (k->hqq) {
        struct pare_hqq_settings h;
        uint8_t *buf;
        int rc;

        pare_hqq_settings_default(&h);
        assert_true(pare_codec_bytes(k->c, s, &bytes));
        buf = pare_malloc(bytes);
        if ((rc = pare_hqq_encode(buf, k->c, s, w, &h, r->job, diag)) == PARE_OK) pare_codec_decode(k->c, s, w, buf);
        pare_free(buf);
        if (rc < 0) return rc;
    } else {
        PARE_FORWARD(pare_codec_round(k->c, s, w, &bytes, diag));
    }
    k->bytes += bytes;
    return PARE_OK;
}

static inline struct pare_tally_result measure(struct cast *k)
{
    struct pare_lab_change    c = { .weight = cast_weight, .user = k };
    struct pare_tally_result  t;

    k->bytes = k->weights = 0;
    t = rig_measure(r, &c);
    print_message("%-9s g%-4.0f %.3f bits%s: divergence %.6f +- %.6f, perplexity %.3f (original %.3f)\n", k->c->name, (double)k->group,
                  8.0 * (double)k->bytes / (double)k->weights, k->hqq ? ", hqq" : "", t.kld, t.kld_se, t.ppl, t.ppl_base);
    return t;
}

static inline int setup(void **state)
{
    (void)state;
    rig_open(&rig, 256, 1, 4, false);
    return 0;
}
static inline int teardown(void **state)
{
    (void)state;
    rig_close(&rig);
    return 0;
}

#endif
