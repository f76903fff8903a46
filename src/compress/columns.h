/* SPDX-License-Identifier: Apache-2.0
 * src/compress/columns.h: the column loop with error compensation (SparseGPT, Frantar & Alistarh, arXiv 2301.00774; the same factor as
 * GPTQ's): columns are removed or rounded from the first to the last, and what each change breaks in the output is made up for, as well
 * as the input's second moment allows, by the columns behind it. */
#ifndef PARE_COMPRESS_COLUMNS_H
#define PARE_COMPRESS_COLUMNS_H

#include "compress/mask.h"

/* H = E[x x^T] with damping, H^-1 = U^T U with U upper triangular. */
struct pare_columns {
    uint64_t cols;
    float   *u;        /* [cols][cols] rows of U, zero below the diagonal */
    double  *inv_diag; /* [cols] diagonal of H^-1 */
};
/* in->xx must be there. damp: added to the diagonal, times its mean (0.01 is usual). A channel that was never active gets the mean itself:
 * its weights are cheap to remove and nothing is moved because of them. Where the matrix is not positive definite the damping is raised
 * tenfold, at most eight times; then PARE_E_CORRUPT. Memory: 12 * cols^2 bytes while it works. */
int  pare_columns_open(struct pare_columns *c, const struct pare_second *in, double damp, struct pare_job *job, struct pare_diag *diag);
void pare_columns_free(struct pare_columns *c);

/* Rounding of what stays, in the same pass. begin is called for each group of a row before its first column, with the weights as they
 * have become; value gives what a weight is stored as. Rows come on several threads, the groups of a row in order. */
struct pare_columns_round {
    uint32_t group; /* columns; divides 128 */
    void  (*begin)(void *user, uint64_t r, uint64_t c0, uint32_t n, const float *w);
    float (*value)(void *user, uint64_t r, uint64_t c, float w);
    void  *user;
};

/* Runs the loop over w [rows][cols] in place. rule NULL: the mask says what is removed. Else it is chosen on the way, by w^2 / U_cc^2 of
 * the weights as they have become: n of m every m columns, the other patterns in blocks of 128 columns over all rows (ROW: in each row);
 * the mask (which must exist) is overwritten. round may be NULL. Nothing removed and nothing rounded leaves every bit of w.
 * The same bits for any number of threads and any tier. */
int pare_columns_sweep(const struct pare_columns *c, float *w, struct pare_mask *mask, const struct pare_mask_rule *rule,
                       const struct pare_columns_round *round, struct pare_job *job, struct pare_diag *diag);

/* Moves the weights that stay to where the output is nearest to that of the original: for each row the least (w0 - w)^T H (w0 - w) over w
 * with zeros where the mask removes, by at most `steps` steps of conjugate gradients from what w holds, in f64 with H damped as above.
 * Costs rows * steps * cols^2. The loss of a row never grows. The same bits for any number of threads. */
int pare_columns_refine(const struct pare_second *in, double damp, const float *w0, float *w, const struct pare_mask *mask, uint32_t steps, struct pare_job *job,
                        struct pare_diag *diag);

#endif
