/* SPDX-License-Identifier: Apache-2.0
 * tests/kernel/bench_linalg.c: speed of the f64 linear algebra. Not run by the tests.
 *     bench_linalg [rows] [threads] [tier]
 * Seconds of the clock and of all processors together: on a busy machine only the second says something. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/job.h"
#include "base/mem.h"
#include "base/rng.h"
#include "kernel/linalg.h"

static double cpu(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double t0, c0;
static void start(void) { t0 = pare_now(), c0 = cpu(); }
static void stop(const char *what, double flops)
{
    double c = cpu() - c0;

    printf("%-24s %9.3f s  %9.3f s of processors", what, pare_now() - t0, c);
    if (flops > 0) printf("  %7.1f Gflop/s a processor", flops / c * 1e-9);
    printf("\n");
}

/* Symmetric; a large diagonal makes it definite. */
static void fill(double *a, uint64_t n, double diagonal)
{
    for (uint64_t i = 0; i < n; i++)
        for (uint64_t j = 0; j <= i; j++) a[i * n + j] = a[j * n + i] = pare_rng_f64(1, PARE_RNG_TEST, i * n + j) - 0.5 + (i == j ? diagonal : 0.0);
}

int main(int argc, char **argv)
{
    uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1024, rank = n / 16 + 1;
    struct pare_job_settings s;
    struct pare_job *j;
    double *a = pare_aligned(n * n * 8), *b = pare_aligned(n * n * 8), *u = pare_aligned(n * n * 8), *v = pare_aligned(n * n * 8), *w = pare_aligned(n * 8);
    double  f = (double)n * (double)n * (double)n;
    int rc = 0;

    pare_job_settings_default(&s);
    if (argc > 2) s.n_threads = (uint32_t)strtoul(argv[2], NULL, 10);
    if (argc > 3) s.max_tier = pare_tier_parse(argv[3]);
    if (a == NULL || b == NULL || u == NULL || v == NULL || w == NULL || pare_job_create(&j, &s, NULL) != 0) return 1;
    printf("%llu rows, %u threads, %s\n", (unsigned long long)n, pare_job_threads(j), pare_tier_name(pare_job_tier(j)));
    fill(a, n, 0.0);
    start();
    rc |= pare_matmul(b, n, n, n, n, (struct pare_view){ a, (int64_t)n, 1 }, (struct pare_view){ a, 1, (int64_t)n }, PARE_MUL_SET, PARE_PART_ALL, j, NULL);
    stop("product", 2 * f);
    memcpy(b, a, n * n * 8);
    start();
    rc |= pare_qr(b, n, n, n, NULL, 0, j, NULL);
    stop("QR", 8 * f / 3);
    memcpy(b, a, n * n * 8);
    start();
    rc |= pare_eigh(b, n, n, w, j, NULL);
    stop("eigenvectors", 0);
    start();
    rc |= pare_svd(a, n, n, n, u, w, v, j, NULL);
    stop("singular vectors", 0);
    start();
    rc |= pare_svd_truncated(a, n, n, n, rank, 1, u, w, v, j, NULL);
    stop("a sixteenth of them", 0);
    fill(a, n, (double)n);
    start();
    rc |= pare_chol(a, n, n, NULL, j, NULL);
    stop("Cholesky", f / 3);
    start();
    rc |= pare_tri_inverse(a, n, n, PARE_LOWER, j, NULL);
    stop("triangular inverse", f / 3);
    pare_job_destroy(&j);
    return rc == 0 ? 0 : 1;
}
