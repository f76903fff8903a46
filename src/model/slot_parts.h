/* SPDX-License-Identifier: Apache-2.0
 * src/model/slot_parts.h: slots whose weight has further parts or an input transform in the file (format/parts.h): checked, loaded,
 * forecast, expanded. Only units and models call this; others see dense rows (pare_slot_rows) or a bound linear. */
#ifndef PARE_MODEL_SLOT_PARTS_H
#define PARE_MODEL_SLOT_PARTS_H

#include "model/arch.h"
#include "nn/formula.h"

/* The weight as it lies in the file. *own is the transform, to be destroyed after the formula; NULL where there is none or given is used
 * instead (the transform of a sibling or of an earlier load). Numbers inside are checked: errors name the tensor. */
int pare_slot_formula(const struct pare_slot *s, struct pare_formula *f, struct pare_transform **own, const struct pare_transform *given,
                      struct pare_diag *diag);
/* Loads parts and transform into s->lin, which has the base already (or nothing: no_base). The unit is searched for the sibling whose
 * transform this is too. s->transform becomes what the slot owns. */
int  pare_slot_load_parts(struct pare_model *m, struct pare_unit *u, struct pare_slot *s, struct pare_job *job, struct pare_diag *diag);
uint64_t pare_slot_parts_bytes(const struct pare_model *m, const struct pare_slot *s);
/* pare_slot_rows of a weight with parts. A constant bias is PARE_E_UNSUPPORTED: no matrix holds it. */
int  pare_slot_expand(const struct pare_slot *s, uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag);

/* Scratch that linears need besides pare_linear_scratch for the parts in the file and options.part_cols; whether any has a transform. */
uint64_t pare_model_inner_scratch(const struct pare_model *m, uint32_t n);
bool     pare_model_has_inputs(const struct pare_model *m);

#endif
