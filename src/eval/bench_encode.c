/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/bench_encode.h"

#include "base/mem.h"
#include "base/rng.h"
#include "base/status.h"
#include "kernel/enc_tiers.h"

enum { COLS = 2048, ROWS = 1024, CHUNK = 4 };

struct encode {
    const struct pare_dtype    *type;
    const struct pare_enc_wide *wide;
    const uint16_t             *src;
    uint8_t                    *dst;
    uint64_t                    row_bytes;
};

static void encode_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    const struct encode *e = ctx;
    float                row[COLS];

    (void)worker;
    pare_enc_use(e->wide);
    for (uint64_t r = (uint64_t)chunk * CHUNK; r < (uint64_t)(chunk + 1) * CHUNK; r++) {
        pare_dtype_of(PARE_F16)->decode(row, e->src + r * COLS, COLS);
        e->type->encode(e->dst + r * e->row_bytes, row, COLS, NULL);
    }
}

int pare_bench_encode(const struct pare_dtype *type, struct pare_job *job, uint32_t rounds, double *seconds, uint64_t *weights,
                      struct pare_diag *diag)
{
    struct encode e = { .type = type, .wide = pare_enc_wide_for(job->tier) };
    uint16_t     *src;

    *weights = (uint64_t)ROWS * COLS;
    if (!(type->caps & PARE_DT_WRITE) || type->encode == NULL || !pare_dtype_row_bytes(type, COLS, &e.row_bytes))
        PARE_FAIL(diag, PARE_E_USAGE, "type %s is read, but not written", type->name);
    src = pare_alloc_array(*weights, sizeof *src);
    e.dst = pare_alloc_array(ROWS, e.row_bytes);
    int rc = src != NULL && e.dst != NULL ? PARE_OK : PARE_NOMEM(diag);

    for (uint64_t i = 0; i < *weights && rc == PARE_OK; i++) src[i] = pare_f32_to_f16(0.02f * pare_rng_normal(5, PARE_RNG_SYNTH, i));
    e.src = src;
    for (uint32_t r = 0; r <= rounds && rc == PARE_OK; r++) {
        double t = pare_now();

        pare_team_run(job->team, ROWS / CHUNK, encode_chunk, &e);
        if (r > 0) seconds[r - 1] = pare_now() - t;
        rc = pare_job_check(job, diag);
    }
    pare_free(src);
    pare_free(e.dst);
    return rc;
}
