/* SPDX-License-Identifier: Apache-2.0
 * src/eval/compare_marks.c: the arithmetic of a comparison, apart from measuring. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "eval/compare.h"

const char *const pare_track_name[PARE_TRACKS] = { "loss", "general", "robust", "cost", "size", "speed" };
const char *const pare_track_formula[PARE_TRACKS] = {
    "sqrt(mean of squares of ppl(original)/ppl and, with a task, accuracy/accuracy(original))",
    "sqrt(mean over the quarters of the text of (ppl(original)/ppl)^2)",
    "ppl(original)/ppl on the same text with letters exchanged",
    "sqrt(1/2 ((seconds of the first form made/seconds)^2 + (its peak memory/peak memory)^2)); 1 for what was not made",
    "sqrt(1/2 ((bytes(original)/bytes)^2 + (memory of its matrices/memory)^2))",
    "sqrt(1/2 ((tokens a second, one sequence/original's)^2 + (eight at once/original's)^2))",
};

double pare_quadratic_mean(const double *x, uint32_t n)
{
    double sum = 0;

    for (uint32_t i = 0; i < n; i++) sum += x[i] * x[i];
    return n > 0 ? sqrt(sum / n) : 0;
}

void pare_compare_marks(double mark[PARE_TRACKS], const struct pare_compared *c, const struct pare_compared *o, const struct pare_compared *ref)
{
    double   x[PARE_COMPARE_GROUPS + 2];
    uint32_t n = 0;

    x[n++] = o->ppl / c->ppl;
    if (c->accuracy >= 0 && o->accuracy > 0) x[n++] = c->accuracy / o->accuracy;
    mark[PARE_TRACK_LOSS] = pare_quadratic_mean(x, n);
    for (n = 0; n < PARE_COMPARE_GROUPS; n++) x[n] = o->ppl_group[n] / c->ppl_group[n];
    mark[PARE_TRACK_GENERAL] = pare_quadratic_mean(x, n);
    mark[PARE_TRACK_ROBUST] = o->ppl_noisy / c->ppl_noisy;
    x[0] = c->convert_s > 0 && ref->convert_s > 0 ? ref->convert_s / c->convert_s : 1;
    x[1] = c->convert_rss > 0 && ref->convert_rss > 0 ? ref->convert_rss / c->convert_rss : 1;
    mark[PARE_TRACK_COST] = pare_quadratic_mean(x, 2);
    x[0] = o->bytes / c->bytes;
    x[1] = o->resident / c->resident;
    mark[PARE_TRACK_SIZE] = pare_quadratic_mean(x, 2);
    x[0] = c->one_tps / o->one_tps;
    x[1] = c->many_tps / o->many_tps;
    mark[PARE_TRACK_SPEED] = c->one_tps > 0 && o->one_tps > 0 ? pare_quadratic_mean(x, 2) : -1;
}

double pare_likeness(const int32_t *a, uint32_t na, const int32_t *b, uint32_t nb)
{
    uint32_t  longer = na > nb ? na : nb;
    uint32_t *row = longer > 0 ? pare_zalloc(nb + 1u, sizeof *row) : NULL;
    double    common;

    if (longer == 0) return 1;
    if (row == NULL) return 0;
    for (uint32_t i = 0; i < na; i++) {
        uint32_t left_up = 0; /* row[j] of the line above, before it was overwritten */

        for (uint32_t j = 0; j < nb; j++) {
            uint32_t up = row[j + 1];

            row[j + 1] = a[i] == b[j] ? left_up + 1 : up > row[j] ? up : row[j];
            left_up = up;
        }
    }
    common = row[nb];
    pare_free(row);
    return common / longer;
}

static bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

void pare_scramble(char *text, size_t n, uint32_t every, uint64_t seed)
{
    for (size_t i = 0; i + 1 < n; i++)
        if (letter(text[i]) && letter(text[i + 1]) && pare_rng_u64(seed, PARE_RNG_NOISE, i) % every == 0) {
            char c = text[i];

            text[i] = text[i + 1];
            text[i + 1] = c;
            i++;
        }
}
