/* SPDX-License-Identifier: Apache-2.0
 * include/pare/bench.h: speed beside the limits of this machine, measured in the same process. */
#ifndef PARE_BENCH_H
#define PARE_BENCH_H

#include <pare/job.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pare_bench_settings {
    const char *synthetic;  /* a shape such as "llama-1.1b" with random weights in memory instead of a model; an unknown one lists them */
    const char *type;       /* type of the synthetic weights, NULL: "q8_0" */
    const char *tests;      /* comma-separated: pp512, tg128, b4, b8, tg128@4096; NULL: pp512,tg128 */
    const char *kv;         /* cache type, NULL: "auto" */
    uint32_t    repeat;     /* 0: 3 */
    bool        kernels;    /* single kernels instead of a model */
    bool        f32_activations;
    bool        roofline;   /* count operations and bytes, predict each test from measured peaks, and add "roofline" to the document */
    uint8_t     reserved[63];
};
PARE_API void pare_bench_settings_default(struct pare_bench_settings *s);

/* pare_bench runs the tests on the model at path (NULL with synthetic or kernels). *json: the document of `pare bench --json`. */
PARE_API int pare_bench(const char *path, const struct pare_bench_settings *s, char **json, struct pare_job *job,
                        struct pare_diag *diag);

/* pare_doctor describes this machine: CPU tier and why, cores, memory, bandwidth, kernels chosen, as JSON (pare_free). */
PARE_API int pare_doctor(char **json, struct pare_job *job, struct pare_diag *diag);

#ifdef __cplusplus
}
#endif
#endif
