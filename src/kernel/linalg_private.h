/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/linalg_private.h: what the files of linalg share. */
#ifndef PARE_KERNEL_LINALG_PRIVATE_H
#define PARE_KERNEL_LINALG_PRIVATE_H

#include "base/job.h"
#include "kernel/linalg.h"
#include "kernel/linalg_tiers.h"

#define PARE_NB 128 /* rows that are eliminated at once; a multiple of 16 */

static inline struct pare_team *pare_linalg_team(struct pare_job *job) { return job == NULL ? NULL : job->team; }
static inline uint64_t pare_min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline struct pare_view pare_view(const double *p, uint64_t ld) { return (struct pare_view){ p, (int64_t)ld, 1 }; }
static inline struct pare_view pare_view_t(const double *p, uint64_t ld) { return (struct pare_view){ p, 1, (int64_t)ld }; }

/* Memory for packed operands, so that a factorization allocates once. */
struct pare_mul_space {
    double  *a, *b;
    uint64_t m, n; /* for products up to this size */
};
int  pare_mul_space_init(struct pare_mul_space *s, uint64_t m, uint64_t n, struct pare_diag *diag);
void pare_mul_space_free(struct pare_mul_space *s);
/* pare_matmul in such memory. Cannot fail; m and n within the space's. */
void pare_matmul_in(const struct pare_mul_space *s, double *c, uint64_t ldc, uint64_t m, uint64_t n, uint64_t k, struct pare_view a,
                    struct pare_view b, enum pare_mul how, enum pare_part part, struct pare_job *job);

/* Rows and columns of a [n][n] in reverse order, in place. */
void pare_reverse(double *a, uint64_t n, uint64_t ld);
/* Largest magnitude of a [m][n]; infinity when something is not finite. */
double pare_max_abs(const double *a, uint64_t m, uint64_t n, uint64_t ld);
/* A power of two p with max / p in [1/2, 1); 1 for 0. Dividing by it is exact but for denormal results. */
double pare_pow2_above(double max);

#endif
