/* SPDX-License-Identifier: Apache-2.0
 * src/compress/metainf.h: choosing a method from what was measured before (after MetaInf, arXiv 2410.21340): a log of runs (model,
 * machine, workload, method, time, quality), one regressor a method on the logarithm of time, and the fastest predicted method whose
 * quality is good enough. Where the paper embeds descriptions, the figures of shape and machine stand here as they are. */
#ifndef PARE_COMPRESS_METAINF_H
#define PARE_COMPRESS_METAINF_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <pare/error.h>

#define PARE_META_FEATURES 6
/* Features: logarithms are taken inside, so all are positive. */
struct pare_meta_run {
    char   model[32], machine[32], method[24];
    double feature[PARE_META_FEATURES]; /* width, feed-forward width, layers, sequences at once, context, threads */
    double seconds, quality;            /* quality: a loss, less is better */
};
struct pare_meta_log {
    struct pare_meta_run *run;
    uint32_t n, cap;
};
void pare_meta_free(struct pare_meta_log *log);
int  pare_meta_add(struct pare_meta_log *log, const struct pare_meta_run *run, struct pare_diag *diag);
/* JSON lines: {"model","machine","method","features":[6],"seconds","quality"}. read adds to *log; every value is checked. */
int  pare_meta_read(struct pare_meta_log *log, const char *text, size_t n, struct pare_diag *diag);
char *pare_meta_write(const struct pare_meta_log *log); /* pare_free; NULL: out of memory */

/* Predicted seconds of one method for a workload, by ridge regression of log time on the logarithms of the features and their squares,
 * plus what it leaves over at runs nearby, over the runs of that method whose model is not `without` (NULL: all). false when there are fewer than 3 such runs. */
bool pare_meta_predict(const struct pare_meta_log *log, const char *method, const double feature[PARE_META_FEATURES], const char *without, double *seconds);
/* The method with the least predicted time among those that have a run for the workload with quality <= most; NULL: none. */
const char *pare_meta_choose(const struct pare_meta_log *log, const double feature[PARE_META_FEATURES], const char *without, double most);

struct pare_meta_score {
    uint32_t workloads;
    double   mean_ratio;   /* chosen time / best time, mean */
    double   within;       /* share of workloads within 10 % of the best */
    double   fixed_ratio;  /* the same mean for the best single method, found with hindsight */
    char     fixed[24];
};
/* Leave one model out: each workload is decided by the runs of other models only, and paid with its own measured times. */
int pare_meta_evaluate(const struct pare_meta_log *log, double most_loss, struct pare_meta_score *out, struct pare_diag *diag);

#endif
