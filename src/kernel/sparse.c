/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/sparse.c: bytes, break-even densities, cutting into parts, and which table a tier gets. */
#include "kernel/sparse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/job.h"
#include "base/mem.h"
#include "kernel/sparse_layout.h"

void pare_sparse_free(struct pare_sparse *s)
{
    pare_aligned_free(s->image);
    memset(s, 0, sizeof *s);
}

uint64_t pare_sparse_dense_bytes(enum pare_sparse_kind kind, enum pare_type type, uint64_t rows, uint64_t cols)
{
    uint64_t bytes = 0;

    if (kind == PARE_SPARSE_GROUP) return rows * (2 + cols / 16 * 10);
    return pare_dtype_bytes(pare_dtype_of(type), rows, cols, &bytes) ? bytes : 0;
}

double pare_sparse_break_even(enum pare_sparse_kind kind, enum pare_type type)
{
    const double size = type == PARE_F32 ? 4 : type == PARE_F16 ? 2 : 34.0 / 32;

    switch (kind) {
    case PARE_SPARSE_TILED: return size / (2 + size);
    case PARE_SPARSE_MASK: return (size - 1.0 / 8 - (type == PARE_Q8_0 ? 2.0 / 32 : 0)) / (type == PARE_Q8_0 ? 1 : size);
    case PARE_SPARSE_N24: return 1;
    case PARE_SPARSE_GROUP: return (10 - 1.0 / 8) / 10;
    case PARE_SPARSE_WIDE: return size / (size + 2.0 / 16);
    case PARE_SPARSE_KINDS: break;
    }
    return 0;
}

void pare_sparse_verdict(const struct pare_sparse *s, char *text, size_t size)
{
    const uint64_t dense = pare_sparse_dense_bytes(s->kind, s->type, s->rows, s->cols);
    const double   unit = s->kind == PARE_SPARSE_GROUP ? 16 : 1, density = s->rows * s->cols == 0 ? 0 : (double)s->kept * unit / (double)(s->rows * s->cols);
    const double   even = pare_sparse_break_even(s->kind, s->type);

    if (s->bytes < dense)
        snprintf(text, size, "%.1f %% of the weights stay: %" PRIu64 " bytes instead of %" PRIu64 " dense (%.0f %%)", 100 * density, s->bytes, dense, 100.0 * (double)s->bytes / (double)dense);
    else
        snprintf(text, size, "%.1f %% of the weights stay: %" PRIu64 " bytes, dense has %" PRIu64 ": nothing is gained, this format breaks even at %.0f %%", 100 * density, s->bytes, dense,
                 100 * even);
}

void pare_sparse_split(const struct pare_sparse *s, uint32_t parts, uint32_t *bound)
{
    const uint64_t all = s->at[s->n_panels];
    uint32_t       p = 0;

    bound[0] = 0;
    for (uint32_t i = 1; i < parts; i++) {
        const uint64_t want = all / parts * i + all % parts * i / parts;

        while (p < s->n_panels && s->at[p] < want) p++;
        if (p > bound[i - 1] && p > 0 && want - s->at[p - 1] < s->at[p] - want) p--; /* the nearer border */
        bound[i] = p;
    }
    bound[parts] = s->n_panels;
}

const struct pare_sparse_kernels *pare_sparse_for(int tier)
{
#if defined(__x86_64__)
    int best = pare_cpu_best_tier();

    if (tier > best) tier = best;
    switch (tier) {
    case PARE_TIER_AVX2: return &pare_sparse_avx2;
    case PARE_TIER_AVX512: return &pare_sparse_avx512;
    case PARE_TIER_VNNI: return __builtin_cpu_supports("avx512vbmi2") ? &pare_sparse_vbmi2 : &pare_sparse_vnni;
    default: break;
    }
#else
    (void)tier;
#endif
    return &pare_sparse_ref;
}
