/* SPDX-License-Identifier: Apache-2.0
 * src/eval/compare.h: the tracks of LLMCBench (arXiv 2410.21352) that can be measured here, over several forms of one model. The paper's
 * formulas are not public in full, so the overall marks are our own: the quadratic mean of ratios to the original, printed with the
 * figures they are made of. A ratio of 1 is the original; it is exactly 1 for the original itself. */
#ifndef PARE_EVAL_COMPARE_H
#define PARE_EVAL_COMPARE_H

#include <pare/eval.h>

#include "base/json.h"

enum pare_track { PARE_TRACK_LOSS, PARE_TRACK_GENERAL, PARE_TRACK_ROBUST, PARE_TRACK_COST, PARE_TRACK_SIZE, PARE_TRACK_SPEED, PARE_TRACKS };
#define PARE_COMPARE_GROUPS 4

/* What was measured of one form. */
struct pare_compared {
    double ppl, ppl_group[PARE_COMPARE_GROUPS], ppl_noisy; /* clean text, quarters of it, the same text with letters exchanged */
    double kld, top1, top1_se;
    double accuracy, accuracy_se;  /* of the task; negative: none */
    double bytes, resident;        /* of the file; of the matrices in memory */
    double convert_s, convert_rss; /* what it took to make it; negative: it was there already */
    double one_tps, many_tps;      /* one sequence, eight at once; negative: not timed */
    double likeness;               /* of greedy text to the original's, 0 .. 1 */
};
/* Quadratic mean of n ratios; 0 when n is 0. */
double pare_quadratic_mean(const double *x, uint32_t n);
/* Marks of c against the original; negative where nothing was measured. cost: `ref` is what costs are compared with. */
void pare_compare_marks(double mark[PARE_TRACKS], const struct pare_compared *c, const struct pare_compared *original, const struct pare_compared *ref);
/* Longest common subsequence of two lists over the longer length; two empty lists are alike. */
double pare_likeness(const int32_t *a, uint32_t na, const int32_t *b, uint32_t nb);
/* Exchanges neighbouring letters of about one in `every` places, seeded; in place. */
void pare_scramble(char *text, size_t n, uint32_t every, uint64_t seed);

extern const char *const pare_track_name[PARE_TRACKS];
extern const char *const pare_track_formula[PARE_TRACKS];

#endif
