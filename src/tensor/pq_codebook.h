/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/pq_codebook.h: the values that codes of our own types stand for. They are part of the file format: once a
 * release has written files, a changed value means a new type name.
 *
 * The tables are asymmetric on purpose. A group's scale is a signed byte, so the encoder chooses which tail of the group
 * gets the longer side of the table; that is worth a fraction of a bit at no cost.
 *
 * The values minimise the squared error of groups encoded with the better sign and the best scale (Lloyd's iteration over
 * normal rows and the weights of two trained models, each row at equal power; docs/encode-errors.md has the figures). */
#ifndef PARE_TENSOR_PQ_CODEBOOK_H
#define PARE_TENSOR_PQ_CODEBOOK_H

#include <stdint.h>

#define PARE_PQ2_VALUES { -63, -21, 7, 41 }
#define PARE_PQ3_VALUES { -127, -76, -43, -17, 6, 31, 62, 106 }
#define PARE_PQ4_VALUES { -127, -100, -77, -59, -44, -31, -20, -9, 2, 12, 22, 34, 46, 61, 80, 106 }
#define PARE_PQ5_OFFSET (-16) /* affine: value = code + offset */
#define PARE_PQ6_OFFSET (-32)

/* Defined in type_pq.c, ascending. */
extern const int8_t pare_pq2_lut[4];
extern const int8_t pare_pq3_lut[8];
extern const int8_t pare_pq4_lut[16];

#endif
