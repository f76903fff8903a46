/* SPDX-License-Identifier: Apache-2.0
 * src/format/limits.h: every limit on what a model file may hold, in one place. A file over a limit is refused with
 * PARE_E_LIMIT (it may be valid) or, where the format itself says so, PARE_E_CORRUPT. Counts are besides bounded by the bytes
 * that are really there divided by the smallest record, so nothing is allocated because a file promises it. */
#ifndef PARE_FORMAT_LIMITS_H
#define PARE_FORMAT_LIMITS_H

#define PARE_MAX_NAME_LEN     1024u         /* bytes of a tensor name; real ones stay below 200 */
#define PARE_MAX_KEY_LEN      65535u        /* GGUF: keys are at most 2^16 - 1 bytes */
#define PARE_MAX_FILES        512u          /* shards or split parts; each stays mapped with its descriptor */

#define PARE_GGUF_MIN_VERSION 2u            /* version 1 had 32-bit counts and was replaced within weeks */
#define PARE_GGUF_MAX_VERSION 3u
#define PARE_GGUF_MAX_DIMS    4u            /* what other readers of GGUF hold */
#define PARE_GGUF_MIN_KV      13u           /* smallest metadata record: key length 8, type 4, value 1 */
#define PARE_GGUF_MIN_INFO    24u           /* smallest tensor record: name length 8, rank 4, type 4, offset 8 */
#define PARE_ALIGN_MIN        8u            /* general.alignment: a power of two in this range */
#define PARE_ALIGN_MAX        (1u << 20)
#define PARE_ALIGN_DEFAULT    32u

#define PARE_ST_MAX_HEADER    100000000u    /* safetensors: the reference reader's limit, in bytes */
#define PARE_MAX_CONFIG       (16u << 20)   /* config.json, generation_config.json */
#define PARE_MAX_INDEX        (64u << 20)   /* model.safetensors.index.json, a pare.tensors value */
#define PARE_MAX_JOURNAL      (256u << 20)
#define PARE_MAX_HEADER       (2048ull << 20) /* header of a file we write: metadata and tensor records */

#define PARE_MAX_LAYERS       10000         /* llama2.c header fields */
#define PARE_MAX_WIDTH        (1 << 24)
#define PARE_MAX_VOCAB        (1 << 26)
#define PARE_MAX_SEQ          (1 << 26)

#endif
