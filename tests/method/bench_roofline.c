/* SPDX-License-Identifier: Apache-2.0
 * tests/method/bench_roofline.c: the roofline's prediction beside what runs: sizes x formats, decode and a sweep over batches. One
 * thread and processor time, so that neighbours take as little as possible out of the figures. Not run by the tests.
 *     bench_roofline [shape,shape,...] [type ...] */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/job.h"
#include "base/mem.h"
#include "eval/roofline_probe.h"
#include "eval/synthetic.h"
#include "kernel/peak.h"

static double cpu_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Reading speed at the model's size by the same clock: a long read is never without neighbours, its processor time nearly is. */
static double read_rate(uint64_t bytes, int tier)
{
    const struct pare_probes *p = tier == PARE_TIER_VNNI ? &pare_probes_vnni : tier == PARE_TIER_AVX512 ? &pare_probes_avx512 : tier == PARE_TIER_AVX2 ? &pare_probes_avx2 : &pare_probes_base;
    uint8_t *data;
    double   best = 0;
    volatile uint64_t sink = 0;

    bytes = (bytes + 511) / 512 * 512;
    if ((data = pare_aligned(bytes)) == NULL) return 0;
    memset(data, 3, bytes);
    for (int i = 0; i < (bytes > 50u << 20 ? 8 : 40); i++) {
        double t = cpu_now();

        sink ^= p->read(data, bytes);
        t = (double)bytes / (cpu_now() - t);
        if (t > best) best = t;
    }
    (void)sink;
    pare_aligned_free(data);
    return best;
}

struct rig {
    struct pare_checkpoint *ckpt;
    struct pare_model      *m;
    struct pare_work       *work;
    float                  *logits;
};

enum { MOST = 64, LEN = 96 };

/* Seconds of one step of k sequences at position 32..: the least of a few. */
static double step_seconds(struct rig *r, uint32_t k, struct pare_job *job, struct pare_diag *d)
{
    struct pare_session  s[MOST], *who[MOST];
    int32_t              tok[MOST];
    uint32_t             pos[MOST];
    uint8_t              want[MOST];
    double               best = 1e9;

    for (uint32_t i = 0; i < k; i++) {
        if (pare_session_create(&s[i], r->m, PARE_F16, LEN, pare_model_info_of(r->m)->n_layers, d) < 0 || pare_kv_reserve(s[i].kv, LEN, d) < 0) exit(1);
        who[i] = &s[i];
        want[i] = 1;
    }
    for (uint32_t p = 0; p < (k > 8 ? 10u : 40u); p++) {
        struct pare_batch b = { k, tok, pos, who };
        double            t;

        for (uint32_t i = 0; i < k; i++) {
            tok[i] = (int32_t)(p * 37 + i * 11) % 5000;
            pos[i] = p;
        }
        t = cpu_now();
        if (pare_model_forward(r->m, &b, want, r->logits, r->work, job, d) < 0) exit(1);
        t = cpu_now() - t;
        if (t < best) best = t;
    }
    for (uint32_t i = 0; i < k; i++) pare_session_free(&s[i]);
    return best;
}

static int one(const char *shape, const char *type, struct pare_job *job)
{
    static const uint32_t    batch[] = { 1, 4, 16, 64 };
    struct pare_model_options o = { .act_mode = PARE_ACT_INT8, .n_ctx = LEN };
    struct rig                r = { 0 };
    struct pare_diag          d = { 0 };
    struct pare_limits        limits;
    struct pare_roof_shape   *s = calloc(1, sizeof *s);
    struct pare_roof_machine  m;
    double                    got[4], said[4], bytes = 0;

    if (pare_synthetic_create(&r.ckpt, shape, pare_dtype_by_name(type), &d) < 0 || pare_model_create(&r.m, r.ckpt, &o, job, &d) < 0 ||
        pare_work_create(&r.work, r.m, MOST, job, &d) < 0 || pare_roof_shape_of(s, r.m, &d) < 0)
        return fprintf(stderr, "%s\n", d.text), 1;
    r.logits = pare_aligned((uint64_t)MOST * pare_model_info_of(r.m)->n_vocab * sizeof(float));
    pare_measure_limits(&limits, job->team, job->tier, 0.6);
    if (r.logits == NULL || pare_roof_probe(&m, s, &limits, PARE_F16, job, &d) < 0) return 1;
    for (uint32_t i = 0; i < s->n_linear; i++) bytes += s->linear[i].bytes * s->linear[i].count;
    m.read_bytes = read_rate((uint64_t)bytes, job->tier);
    m.cached = m.read_bytes > 1.4 * read_rate(256u << 20, job->tier);
    printf("%s %s: %.1f MB a token, read at %.1f GB/s\n", shape, type, bytes / 1e6, m.read_bytes / 1e9);
    for (int i = 0; i < 4; i++) {
        struct pare_roof_op   op[PARE_ROOF_OPS];
        struct pare_roof_work w = { .batch = batch[i], .tokens = 1, .past = 8, .act_bytes = 4, .kv_bytes = 2, .kv_keep = 1, .logits = 1, .fused = true,
                                    .tile_rows = 8, .piece = 512 };
        struct pare_roof_time t = pare_roof_predict(&m, op, pare_roof_count(s, &w, op));

        got[i] = step_seconds(&r, batch[i], job, &d);
        said[i] = t.seconds;
        printf("| %-12s | %-6s | %3u | %9.3f | %9.3f | %5.2f | %-7s |\n", shape, type, batch[i], 1e3 * t.seconds, 1e3 * got[i], t.seconds / got[i],
               t.memory_bound ? "memory" : "compute");
        fflush(stdout);
    }
    /* Where the flat line of one sequence meets the slope of many. */
    printf("| %-12s | %-6s | crossover %.1f predicted, %.1f measured |\n", shape, type, said[0] / ((said[3] - said[2]) / 48), got[0] / ((got[3] - got[2]) / 48));
    fflush(stdout);
    free(s);
    pare_aligned_free(r.logits);
    pare_work_destroy(&r.work);
    pare_model_destroy(&r.m);
    pare_synthetic_free(&r.ckpt);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const usual[] = { "q8_0", "q4_k", "q4_0", "q6_k" };
    char                     shapes[200], *save = NULL;
    struct pare_job_settings js;
    struct pare_job         *job;
    struct pare_diag         d = { 0 };
    int                      rc = 0;

    pare_job_settings_default(&js);
    js.n_threads = 1;
    if (pare_job_create(&job, &js, &d) < 0) return 1;
    puts("| shape        | type   | seq | predicted |  measured | ratio | bound   |   (ms a step)");
    snprintf(shapes, sizeof shapes, "%s", argc > 1 ? argv[1] : "demo,llama-135m,qwen3-0.6b");
    for (char *s = strtok_r(shapes, ",", &save); s != NULL && rc == 0; s = strtok_r(NULL, ",", &save))
        for (int i = 0; i < (argc > 2 ? argc - 2 : 4) && rc == 0; i++) rc = one(s, argc > 2 ? argv[i + 2] : usual[i], job);
    pare_job_destroy(&job);
    return rc;
}
