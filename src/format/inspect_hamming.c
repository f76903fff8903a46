/* SPDX-License-Identifier: Apache-2.0 */
#include "format/inspect_hamming.h"

#include <math.h>
#include <string.h>

#include "base/job.h"
#include "base/mem.h"
#include "base/status.h"
#include "format/checkpoint_private.h"
#include "tensor/codec.h"
#include "tensor/hamming.h"

enum { DELTA = 16 }; /* the paper's for 8 bits; 8 for weights that fill less of the range */

struct counts {
    uint64_t bits, ones, ones_shifted, held;
};

/* Rows one by one: the tensor need not fit memory. Twice, because the scale comes first. */
static int count(struct counts *k, const struct pare_weight *w, struct pare_job *job, struct pare_diag *diag)
{
    const struct pare_codec *c = pare_codec_by_name("int8");
    float                   *row = pare_alloc_array(w->cols, sizeof *row), top = 0.0f;
    int8_t                  *q = pare_malloc(w->cols);
    uint8_t                  head[PARE_CODEC_HEAD] = { 0 };
    int                      rc = row == NULL || q == NULL ? PARE_NOMEM(diag) : PARE_OK;

    for (uint64_t r = 0; r < 2 * w->rows && rc == PARE_OK; r++) {
        if (r % 4096 == 0) rc = job == NULL ? PARE_OK : pare_job_check(job, diag);
        if (r % 4096 == 0 && rc == PARE_OK) rc = pare_map_check(&w->ckpt->maps[w->tensor->file], diag);
        pare_weight_decode(w, r % w->rows, row);
        for (uint64_t i = 0; i < w->cols; i++) {
            uint16_t code;

            if (!isfinite(row[i])) row[i] = 0.0f;
            if (r < w->rows) {
                top = fabsf(row[i]) > top ? fabsf(row[i]) : top;
                continue;
            }
            c->encode(c, &code, &row[i], 1, head, 0.0f);
            q[i] = (int8_t)((int)code + c->lo);
        }
        if (r == w->rows - 1) c->fit(c, head, &top, 1, 0.0f);
        if (r < w->rows) continue;
        k->bits += 8 * w->cols;
        k->ones += pare_hamming_ones(q, w->cols);
        k->held += pare_hamming_shift(q, q, w->cols, DELTA);
        k->ones_shifted += pare_hamming_ones(q, w->cols);
    }
    pare_free(row);
    pare_free(q);
    return rc;
}

static double share(uint64_t ones, uint64_t bits) { return bits == 0 ? 0.0 : (double)ones / (double)bits; }

int pare_hamming_report(json_t **out, const struct pare_checkpoint *c, struct pare_job *job, struct pare_diag *diag)
{
    json_t       *list = json_array();
    struct counts all = { 0 };

    *out = NULL;
    if (list == NULL) return PARE_NOMEM(diag);
    for (uint64_t i = 0; i < c->n_tensors; i++) {
        const struct pare_tensor *t = &c->tensors[i];
        struct pare_weight        w;
        struct counts             k = { 0 };
        int                       rc = pare_weight_of(&w, c, t, diag);

        if (rc == PARE_OK && w.rows > 1 && w.cols > 1 && (w.type->caps & (PARE_DT_FLOAT | PARE_DT_QUANT)) != 0 && w.type->decode != NULL)
            rc = count(&k, &w, job, diag);
        if (rc < 0) {
            pare_diag_where(diag, t->name);
            json_decref(list);
            return rc;
        }
        pare_checkpoint_advise(c, t, PARE_DONTNEED);
        if (job != NULL) pare_job_progress(job, "hamming", (double)(i + 1) / (double)c->n_tensors, NULL);
        if (k.bits == 0) continue;
        all.bits += k.bits;
        all.ones += k.ones;
        all.ones_shifted += k.ones_shifted;
        all.held += k.held;
        json_array_append_new(list, json_pack("{s:s, s:f, s:f, s:I}", "name", t->name, "rate", share(k.ones, k.bits), "shifted",
                                              share(k.ones_shifted, k.bits), "held", (json_int_t)k.held));
    }
    *out = json_pack("{s:i, s:f, s:f, s:I, s:o}", "delta", DELTA, "rate", share(all.ones, all.bits), "shifted",
                     share(all.ones_shifted, all.bits), "held", (json_int_t)all.held, "tensors", list);
    return *out == NULL ? PARE_NOMEM(diag) : PARE_OK;
}
