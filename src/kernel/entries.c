/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/entries.c: which sparse kernel a tier gets, and the check of a matrix that comes from a file. */
#include "kernel/entries.h"

#include "base/checked.h"
#include "base/job.h"

const struct pare_entries_kernel *pare_entries_for(int tier)
{
#if defined(__x86_64__)
    int best = pare_cpu_best_tier();

    if (tier > best) tier = best;
    if (tier >= PARE_TIER_AVX512) return &pare_entries_avx512;
    if (tier >= PARE_TIER_AVX2) return &pare_entries_avx2;
#else
    (void)tier;
#endif
    return &pare_entries_ref;
}

const char *pare_entries_wrong(const struct pare_entries *s)
{
    uint64_t panels = pare_entries_panels(s->rows), before = 0;

    if (s->cols > (s->wide ? 1u << 31 : 1u << 16)) return "the columns do not fit their numbers";
    for (uint64_t p = 0; p <= panels; p++) {
        uint64_t at = pare_le32(s->at + 4 * p);
        if (at < before || at > s->n_slots || (p == 0 && at != 0)) return "the panels' first slots do not ascend from 0";
        before = at;
    }
    if (before != s->n_slots) return "the last panel does not end at the last slot";
    for (uint64_t i = 0; i < s->n_slots * PARE_ENTRIES_ROWS; i++)
        if ((s->wide ? pare_le32(s->col + 4 * i) : pare_le16(s->col + 2 * i)) >= s->cols) return "a column number is above the matrix";
    return NULL;
}
