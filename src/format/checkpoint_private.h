/* SPDX-License-Identifier: Apache-2.0
 * src/format/checkpoint_private.h: what the readers of this room share and nobody else sees. */
#ifndef PARE_FORMAT_CHECKPOINT_PRIVATE_H
#define PARE_FORMAT_CHECKPOINT_PRIVATE_H

#include "format/byte_cursor.h"
#include "format/checkpoint.h"
#include "format/foreign.h"
#include "format/name_table.h"
#include "format/parts.h"

/* What c->index points to, from before a format's open runs until the checkpoint is closed. */
struct pare_ckpt_index {
    struct pare_string_pool pool;       /* names of tensors */
    struct pare_name_table  tensors;    /* -> number in c->tensors */
    struct pare_name_table  foreign;    /* weight name -> number in groups */
    struct pare_foreign    *groups;
    uint64_t                n_groups;
    uint64_t                cap_tensors;
    struct pare_parts      *parts;      /* one for each entry of "pare.parts"; or NULL */
    json_t                 *text;       /* safetensors __metadata__ of all files, string -> string; or NULL */
};

static inline struct pare_ckpt_index *pare_ckpt_index_of(const struct pare_checkpoint *c) { return c->index; }

/* pare_checkpoint_push makes room for one tensor more and returns it, zeroed, with the name copied. NULL: out of memory. */
struct pare_tensor *pare_checkpoint_push(struct pare_checkpoint *c, const void *name, size_t len);

/* pare_checkpoint_map opens one more file and appends it to c->maps. Refused: more than PARE_MAX_FILES, a file that is there
 * already under another name (device and inode). */
int pare_checkpoint_map(struct pare_checkpoint *c, const char *path, struct pare_diag *diag);

/* pare_tensor_shape fills rows, cols and bytes from type and dims. at: byte of the record, for errors. zero_ok: a dimension
 * may be 0 (safetensors). All products are checked, also those that a zero would hide. */
int pare_tensor_shape(struct pare_tensor *t, bool zero_ok, uint64_t at, struct pare_diag *diag);

/* pare_tensor_place fixes offset and data inside file number `file`; PARE_E_TRUNCATED when it does not lie inside. */
int pare_tensor_place(struct pare_tensor *t, const struct pare_checkpoint *c, uint32_t file, uint64_t offset, struct pare_diag *diag);

/* The view of a tensor as it is stored, whatever packed group it may be a piece of; rows of no columns have row_bytes 0. weight.c */
int pare_weight_of(struct pare_weight *w, const struct pare_checkpoint *c, const struct pare_tensor *t, struct pare_diag *diag);
/* Decodes one row of a weight with rows or panels. Nothing is checked. */
void pare_weight_decode(const struct pare_weight *w, uint64_t row, float *dst);

/* pare_checkpoint_json parses the JSON text under a metadata key, if it is there, and lets take read it; at: byte of the key, for errors. A
 * syntax error is placed in the file, any other error at the key unless take knew better. metadata.c */
int pare_checkpoint_json(struct pare_checkpoint *c, const char *key,
                         int (*take)(struct pare_checkpoint *c, json_t *doc, uint64_t at, struct pare_diag *diag), struct pare_diag *diag);

/* pare_own_types reads the metadata key "pare.tensors" and gives its tensors their type and shape. own_types.c */
int pare_own_types(struct pare_checkpoint *c, struct pare_diag *diag);

/* Reads the tensors of file number `file` of c, which must be a safetensors file. safetensors.c */
int pare_safetensors_part(struct pare_checkpoint *c, uint32_t file, struct pare_diag *diag);

/* GGUF metadata as parsed; c->priv of a GGUF checkpoint. gguf_metadata.c */
struct pare_gguf_meta {
    struct pare_kv         *kv;
    uint64_t                n, cap;
    struct pare_string_pool keys;
    struct pare_name_table  names;
};
int pare_gguf_meta_read(struct pare_gguf_meta *m, struct pare_cursor *cur, uint64_t n, struct pare_diag *diag);
void pare_gguf_meta_free(struct pare_gguf_meta *m);
/* Bytes of one element of a type on disk; 0 for strings, arrays and unknown numbers. */
uint32_t pare_kv_width(uint32_t type);
const char *pare_kv_type_name(uint32_t type);

#endif
