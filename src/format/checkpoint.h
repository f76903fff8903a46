/* SPDX-License-Identifier: Apache-2.0
 * src/format/checkpoint.h: named tensors and metadata in a file or folder, only read, hostile until checked.
 * One row per container in format_list.h; each fills the same struct. After open every extent lies inside its file, names are
 * unique and valid UTF-8, sizes agree with types and shapes. */
#ifndef PARE_FORMAT_CHECKPOINT_H
#define PARE_FORMAT_CHECKPOINT_H

#include <jansson.h>
#include <pare/error.h>

#include "base/file.h"
#include "kernel/gemmq.h"
#include "tensor/dtype.h"

#define PARE_MAX_DIMS 8

/* A tensor in a file. dims are in C order: dims[n_dims - 1] is contiguous (GGUF's ne reversed). rows * cols: cols is the last
 * dimension (1 for a scalar), rows the product of the others. Borrowed from the checkpoint. */
struct pare_parts;
struct pare_tensor {
    const char              *name;
    const struct pare_dtype *type;
    uint32_t                 n_dims;
    uint64_t                 dims[PARE_MAX_DIMS];
    uint64_t                 rows, cols;
    uint64_t                 offset, bytes;  /* in file number `file` */
    uint32_t                 file;
    const uint8_t           *data;           /* mapped, may be unaligned */
    int                      part;           /* 0, or the kind of a foreign packed tensor (enum pare_foreign) */
    uint32_t                 packed;         /* 0, or PARE_PACK_LAYOUT: data holds panels of type, not rows (bytes is their size) */
    const struct pare_parts *parts;          /* further parts of this weight and its input transform (format/parts.h), or NULL */
    const char              *part_of;        /* the weight that this tensor is a part of, or NULL */
};

/* GGUF metadata value types, numbers as on disk. */
enum pare_kv_type {
    PARE_KV_U8, PARE_KV_I8, PARE_KV_U16, PARE_KV_I16, PARE_KV_U32, PARE_KV_I32, PARE_KV_F32, PARE_KV_BOOL,
    PARE_KV_STRING, PARE_KV_ARRAY, PARE_KV_U64, PARE_KV_I64, PARE_KV_F64
};
struct pare_str { const char *s; uint64_t len; }; /* not zero-terminated, borrowed */

struct pare_kv {
    const char       *key;     /* zero-terminated, owned by the checkpoint */
    enum pare_kv_type type;    /* PARE_KV_ARRAY: elem and count are set */
    enum pare_kv_type elem;    /* of an array; nested arrays are refused as unsupported */
    uint64_t          count;   /* elements, 1 for scalars */
    const uint8_t    *data;    /* first element on disk (little-endian, unaligned); strings: u64 length + bytes each */
    const uint64_t   *str_off; /* arrays of strings: [count] offsets from data to each string's length field */
    uint64_t          offset;  /* of the key in the file, for errors */
    uint64_t          bytes;   /* of the value area from data */
};

struct pare_format;

struct pare_checkpoint {
    const struct pare_format *format;  /* row that opened it; format->name is "gguf", "safetensors", "llama2c" */
    char              *path;
    struct pare_map   *maps;
    uint32_t           n_maps;
    struct pare_tensor *tensors;       /* in file order */
    uint64_t           n_tensors;
    struct pare_kv    *kv;             /* GGUF metadata; n_kv == 0 for other containers */
    uint64_t           n_kv;
    json_t            *config;         /* Hugging Face: config.json; llama2.c: a config made from its header; GGUF: NULL */
    json_t            *generation;     /* generation_config.json, or NULL */
    char              *dir;            /* Hugging Face folder, or NULL: where tokenizer files lie */
    void              *index;          /* name -> tensor hash, private */
    void              *priv;           /* private to the format */
};

/* pare_checkpoint_open finds the container by content (not by name) and opens it. On failure *out is NULL. */
int pare_checkpoint_open(struct pare_checkpoint **out, const char *path, struct pare_diag *diag);
void pare_checkpoint_close(struct pare_checkpoint **c);

/* By name, O(1); NULL when absent. */
const struct pare_tensor *pare_checkpoint_tensor(const struct pare_checkpoint *c, const char *name);
/* Sum over tensors of rows * cols as the model counts them (foreign packed parts count as what they decode to). */
uint64_t pare_checkpoint_params(const struct pare_checkpoint *c);
uint64_t pare_checkpoint_data_bytes(const struct pare_checkpoint *c);

/* GGUF metadata by key; NULL when absent. The typed getters accept every integer width that fits, give dflt when the key is
 * absent and PARE_E_CORRUPT naming the key when the type is wrong or the value is outside min..max. */
const struct pare_kv *pare_kv_find(const struct pare_checkpoint *c, const char *key);
int pare_kv_int(const struct pare_checkpoint *c, const char *key, int64_t min, int64_t max, int64_t dflt, int64_t *out, struct pare_diag *d);
int pare_kv_real(const struct pare_checkpoint *c, const char *key, double dflt, double *out, struct pare_diag *d);
int pare_kv_bool(const struct pare_checkpoint *c, const char *key, bool dflt, bool *out, struct pare_diag *d);
/* *out->s is NULL when absent. */
int pare_kv_str(const struct pare_checkpoint *c, const char *key, struct pare_str *out, struct pare_diag *d);
/* Element i of an array (or of a scalar, i == 0); false on a wrong type or index. */
bool pare_kv_elem_int(const struct pare_kv *kv, uint64_t i, int64_t *out);
bool pare_kv_elem_real(const struct pare_kv *kv, uint64_t i, double *out);
bool pare_kv_elem_str(const struct pare_kv *kv, uint64_t i, struct pare_str *out);

/* pare_checkpoint_advise gives advice for a tensor's pages (enum pare_advice of base/file.h). */
void pare_checkpoint_advise(const struct pare_checkpoint *c, const struct pare_tensor *t, enum pare_advice a);

/*
 * Weights as rows of f32, whatever they are stored as: plain and GGUF types, our own types (I8 tensor + pare.tensors
 * metadata), GPTQ and AWQ groups (qweight, qzeros, scales, g_idx under NAME minus ".weight"), compressed pairs.
 *
 * struct pare_weight is the logical view of one weight: what a model binds. pare_weight_find returns PARE_OK and w->type NULL
 * when the name does not exist at all. For foreign packed groups w->foreign is set and w->type is the f32 row (they are
 * converted on reading). For a tensor that lies in the file as panels, w->type and w->row_bytes are those of the rows it was packed
 * from, w->data is NULL and w->panels.data are the mapped panels, at any alignment.
 */
struct pare_weight {
    const char               *name;
    const struct pare_checkpoint *ckpt;
    const struct pare_tensor *tensor;   /* the tensor that holds it, or the qweight of a foreign group */
    const struct pare_dtype  *type;     /* storage type of rows at data; NULL: not found */
    uint32_t                  n_dims;
    uint64_t                  dims[PARE_MAX_DIMS];
    uint64_t                  rows, cols, row_bytes;
    const uint8_t            *data;     /* rows one after another; NULL for foreign groups and panels */
    struct pare_packed        panels;   /* data NULL: no panels. Never written */
    const struct pare_parts  *parts;    /* what is added to the rows (format/parts.h), or NULL. Rows and bytes below are without it */
    const void               *foreign;  /* private: how to decode a GPTQ or AWQ group, else NULL */
};
int pare_weight_find(struct pare_weight *w, const struct pare_checkpoint *c, const char *name, struct pare_diag *diag);
/* Decodes rows [row0, row0 + n) into dst[n * cols]. Checks the file's size again (a mapped file may have been cut). */
int pare_weight_rows(const struct pare_weight *w, uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag);

/* Rows [row0, row0 + n) as bytes of w->type, w->row_bytes each, turned back where they lie in panels. Not for foreign groups. */
int pare_weight_bytes(const struct pare_weight *w, uint64_t row0, uint64_t n, uint8_t *dst, struct pare_diag *diag);

/* A container. probe looks at the path (folder or file) and says whether it is ours: 1 yes, 0 no. */
struct pare_format {
    const char *name;
    int (*probe)(const char *path, bool is_dir, const uint8_t *head, size_t head_len);
    int (*open)(struct pare_checkpoint *c, const char *path, struct pare_diag *diag);
    void (*close)(struct pare_checkpoint *c); /* frees priv; may be NULL */
};

/* Services for formats: build the name index (PARE_E_CORRUPT on duplicates), in checkpoint.c. */
int pare_checkpoint_index(struct pare_checkpoint *c, struct pare_diag *diag);

#endif
