/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_impl.h: what a tokenizer is inside: four stages, each a short list of steps, whatever file it came from.
 *
 *   text -> added tokens are cut out -> normalizer steps -> pre-tokenizer steps -> model (BPE, unigram, WordPiece, words) -> ids
 *
 * The order and the meaning of the steps are those of Hugging Face's tokenizers; the loaders of GGUF and SentencePiece build
 * the same lists. Only this room includes this header. */
#ifndef PARE_TOKEN_TOK_IMPL_H
#define PARE_TOKEN_TOK_IMPL_H

#include "token/tok_split.h"
#include "token/tok_table.h"
#include "token/tokenizer.h"

#define PARE_TOK_TEXT_MAX ((size_t)1 << 30) /* bytes of text in one call */
#define PARE_TOK_FIX_MAX 16                 /* ids put before or after a text */

enum pare_norm_kind {
    PARE_NORM_NFC, PARE_NORM_NFD, PARE_NORM_NFKC, PARE_NORM_NFKD, /* as enum pare_nform */
    PARE_NORM_LOWER, PARE_NORM_STRIP, PARE_NORM_STRIP_ACCENTS, PARE_NORM_REPLACE, PARE_NORM_PREPEND, PARE_NORM_BERT,
    PARE_NORM_CHARSMAP, PARE_NORM_CHARSMAP_LONGEST, PARE_NORM_BYTES, PARE_NORM_NMT, PARE_NORM_SQUEEZE
};
struct pare_norm {
    enum pare_norm_kind kind;
    bool  left, right;                     /* STRIP */
    bool  clean, chinese, accents, lower;  /* BERT */
    struct pare_split *pattern;            /* REPLACE */
    char *text;                            /* REPLACE, PREPEND: bytes; CHARSMAP: the map */
    size_t len;
};

enum pare_pre_kind { PARE_PRE_SPLIT, PARE_PRE_BYTES, PARE_PRE_PREFIX_SPACE, PARE_PRE_METASPACE };
enum pare_behavior { PARE_REMOVED, PARE_ISOLATED, PARE_CONTIGUOUS, PARE_MERGED_PREV, PARE_MERGED_NEXT };
struct pare_pre {
    enum pare_pre_kind kind;
    struct pare_split *pattern;   /* SPLIT */
    enum pare_behavior behavior;
    bool               invert;
    char              *text;      /* METASPACE: what stands for a space */
    size_t             len;
    int                prepend;   /* METASPACE: 0 never, 1 first, 2 always */
    bool               cut;       /* METASPACE: cut before each replacement */
};

enum pare_dec_kind {
    PARE_DEC_BYTES, PARE_DEC_METASPACE, PARE_DEC_WORDPIECE, PARE_DEC_BYTE_FALLBACK, PARE_DEC_FUSE, PARE_DEC_STRIP,
    PARE_DEC_REPLACE, PARE_DEC_SUFFIX
};
struct pare_dec {
    enum pare_dec_kind kind;
    struct pare_split *pattern;   /* REPLACE */
    char              *text;      /* REPLACE: new text; METASPACE: replacement; WORDPIECE: prefix; SUFFIX; STRIP: character */
    size_t             len;
    uint32_t           start, stop; /* STRIP */
    bool               flag;      /* WORDPIECE: clean up; METASPACE: drop the first */
};

enum pare_tok_model { PARE_MODEL_BPE, PARE_MODEL_UNIGRAM, PARE_MODEL_WORDPIECE, PARE_MODEL_WORDS };

enum { PARE_ADDED_SPECIAL = 1, PARE_ADDED_LSTRIP = 2, PARE_ADDED_RSTRIP = 4, PARE_ADDED_WORD = 8, PARE_ADDED_NORMALIZED = 16 };
struct pare_added {
    int32_t  id;
    uint32_t flags;
};

struct pare_tokenizer {
    enum pare_tok_model model;
    struct pare_symtab  sym;        /* the vocabulary, then texts that only merging meets (not ids) */
    uint32_t            n_vocab;    /* ids */
    uint32_t            n_text;     /* sym.n of the vocabulary; n_vocab may be larger (padding) */
    uint8_t            *type;       /* [n_text] enum pare_token_type */
    float              *score;      /* [n_text] or NULL */
    double             *score64;    /* [n_text] unigram scores of a tokenizer.json, or NULL */

    struct pare_added  *added;      /* tokens cut out of the text before anything else; text in sym */
    uint32_t            n_added, cap_added;
    struct pare_trie    added_raw, added_norm; /* value: index into added */

    struct pare_norm   *norm;
    uint32_t            n_norm;
    struct pare_pre    *pre;
    uint32_t            n_pre;
    struct pare_dec    *dec;
    uint32_t            n_dec;

    /* BPE */
    struct pare_pairmap merges;     /* (left, right) -> priority (least first), result */
    uint32_t            n_merges;
    uint64_t           *merge;      /* [n_merges] left << 32 | right in order of rank, for writing; NULL when by score */
    int32_t             first_sym[0x180]; /* symbol of a character below U+0180, -1 none */
    int32_t             byte_id[256];     /* ids of <0x00> .. <0xFF>, -1 none */
    bool                byte_fallback, fuse_unk, ignore_merges, by_score, mark_cuts, keep_unknown, has_unused;
    char               *prefix, *suffix;  /* continuing_subword_prefix, end_of_word_suffix; "" none */
    /* unigram, WordPiece */
    struct pare_trie    trie;
    double              unk_score;
    uint32_t            max_word;   /* WordPiece: characters of a word, more is unknown */
    char               *word_start; /* WordPiece: what GGUF puts before the first piece of a word; "" none */

    int32_t  bos, eos, sep, pad, cls, mask, eot;
    int32_t  unk;                  /* what encode puts for unknown text, -1: nothing */
    int32_t  unk_key;              /* the id that the file names as unknown */
    int32_t  prefix_ids[PARE_TOK_FIX_MAX], suffix_ids[PARE_TOK_FIX_MAX];
    uint32_t n_prefix, n_suffix;
    int32_t *eog;
    uint32_t n_eog;
    char    *chat_template;
    char    *warning;
    char    *pre_id;               /* tokenizer.ggml.pre */
    const char *gguf_model;        /* tokenizer.ggml.model to write: "gpt2", "llama", "t5", "bert" */
    char    *json;                 /* tokenizer.json, kept where GGUF's keys would not say all of it */
    size_t   json_len;
    char    *charsmap;             /* for writing */
    size_t   charsmap_len;
    bool     add_space_prefix, remove_extra_ws;
    bool     nul_marked;           /* while loading: U+10FFFF stands for U+0000, which keys of jansson cannot hold */
};

struct pare_span { uint32_t off, len; };
struct pare_sym { int32_t id; uint32_t prev, next, off; };
/* A word's ids, remembered within one call: one cache line. */
struct pare_word { uint8_t len, n; uint8_t key[30]; int32_t ids[8]; };
#define PARE_WORDS 8192
struct pare_node { double score; uint32_t from; int32_t id; };

/* What one call of encode needs; nothing of it outlives the call. */
struct pare_tok_work {
    const struct pare_tokenizer *t;
    struct pare_diag       *diag;
    struct pare_ids        *out;
    struct pare_buf         a, b;        /* the text of a fragment, and the text it is turned into */
    struct pare_span       *span, *span2;
    size_t                  n_span, cap_span, n_span2, cap_span2;
    struct pare_split_run  *run;
    struct pare_sym        *sym;
    size_t                  cap_sym;
    uint64_t               *heap;
    size_t                  n_heap, cap_heap;
    struct pare_word       *words;       /* [PARE_WORDS] or NULL */
    struct pare_node        *node;       /* unigram: best path to each byte */
    size_t                  cap_node;
    uint32_t                flags;
    bool                    at_start;    /* the fragment begins the text */
    bool                    last_unk;
    uint64_t               *unused_split; /* SentencePiece: the latest halves of pieces that are not to be used */
};

bool pare_ids_add(struct pare_ids *v, int32_t id);
/* Grows an array to hold n elements of size; pp: address of the pointer to it. False when out of memory. */
bool pare_tok_grow(void *pp, size_t *cap, size_t n, size_t size);
int pare_tok_add_span(struct pare_tok_work *w, size_t off, size_t len); /* to span2 */

/* tok_norm.c: w->a into w->a. tok_charsmap.c: appends. */
int pare_tok_normalize(struct pare_tok_work *w);
int pare_norm_run(const struct pare_norm *n, struct pare_split_run **run, const uint8_t *s, size_t len, struct pare_buf *out,
                  struct pare_diag *diag);
bool pare_charsmap_valid(const char *map, size_t len);
bool pare_charsmap_run(struct pare_buf *out, const char *map, size_t map_len, bool longest, const uint8_t *s, size_t n);
bool pare_lower(struct pare_buf *out, const uint8_t *s, size_t n);
/* tok_pretok.c: w->a and one span become w->a and w->span. */
int pare_tok_pretokenize(struct pare_tok_work *w);
/* tok_added.c */
int pare_tok_added_build(struct pare_tokenizer *t, struct pare_diag *diag);
int pare_tok_add_added(struct pare_tokenizer *t, int32_t id, uint32_t flags, struct pare_diag *diag);
int pare_tok_cut(struct pare_tok_work *w, const struct pare_trie *trie, const uint8_t *s, size_t n,
                 int (*text)(struct pare_tok_work *w, const uint8_t *s, size_t n, bool first));

/* Models: one word, s[0..n) of w->a. */
int pare_bpe_word(struct pare_tok_work *w, const uint8_t *s, size_t n);
int pare_unigram_word(struct pare_tok_work *w, const uint8_t *s, size_t n);
int pare_wordpiece_word(struct pare_tok_work *w, const uint8_t *s, size_t n);

/* Building (tok_build.c). Each takes what the file says and checks it. */
int pare_tok_push(struct pare_tokenizer *t, const char *s, size_t len, enum pare_token_type type, struct pare_diag *diag);
int pare_tok_merge(struct pare_tokenizer *t, const char *a, size_t na, const char *b, size_t nb, uint32_t rank, struct pare_diag *diag);
int pare_tok_finish(struct pare_tokenizer *t, struct pare_diag *diag); /* after vocabulary and merges */
int pare_tok_spm_merges(struct pare_tokenizer *t, struct pare_diag *diag);
int pare_tok_trie(struct pare_tokenizer *t, struct pare_diag *diag); /* of all tokens that may stand for text */
int pare_tok_add_norm(struct pare_tokenizer *t, const struct pare_norm *n, struct pare_diag *diag);
int pare_tok_add_pre(struct pare_tokenizer *t, const struct pare_pre *p, struct pare_diag *diag);
int pare_tok_add_dec(struct pare_tokenizer *t, const struct pare_dec *d, struct pare_diag *diag);
int pare_tok_split_step(struct pare_tokenizer *t, const char *pattern, enum pare_behavior b, struct pare_diag *diag);
void pare_tok_specials(struct pare_tokenizer *t); /* eot, end-of-generation ids by text */
int pare_tok_warn(struct pare_tokenizer *t, const char *fmt, ...) PARE_PRINTF(2, 3);
/* The value 0..255 of a token text "<0xHH>", else -1. */
int pare_tok_byte_text(const char *s, size_t len);

/* The known values of tokenizer.ggml.pre (tok_pre.c). */
enum {
    PARE_PREID_IGNORE_MERGES = 1, PARE_PREID_ADD_BOS = 2, PARE_PREID_ADD_SEP = 4, PARE_PREID_RAW = 8, /* no byte alphabet */
    PARE_PREID_NO_BOS = 16, PARE_PREID_SPACE_MARK = 32
};
struct pare_preid {
    const char *ids;        /* names separated by spaces; the first is the one to write */
    uint32_t    flags;
    const char *pattern[7];
};
const struct pare_preid *pare_preid_find(const char *id, size_t len);
const struct pare_preid *pare_preid_default(void);
/* The entry whose patterns are those n, with the same matcher; NULL if there is none. name receives its first id. */
const struct pare_preid *pare_preid_match(const char *const *pattern, size_t n, bool ignore_merges, char name[32]);

/* text: the document as it was, to be kept where needed; NULL: it is written anew from root. */
int pare_tok_from_root(struct pare_tokenizer **out, const json_t *root, const json_t *config, const char *text, size_t n,
                       bool nul_marked, struct pare_diag *diag);
/* U+10FFFF back to U+0000 in a copy (pare_free); *len changes. */
char *pare_tok_unmark(const char *s, size_t *len);
/* Further ids that end a generation: "eos_token_id" of config.json, an id or a list. */
int pare_tok_more_eog(struct pare_tokenizer *t, const json_t *config, struct pare_diag *diag);
int pare_tok_from_gguf(struct pare_tokenizer **out, const struct pare_checkpoint *c, struct pare_diag *diag);
/* The normalizer and decoder steps of SentencePiece; t->add_space_prefix and remove_extra_ws are set. map_len 0: no map. */
int pare_tok_spm_steps(struct pare_tokenizer *t, const char *charsmap, size_t map_len, struct pare_diag *diag);
/* An empty tokenizer with all ids -1; NULL when out of memory. */
struct pare_tokenizer *pare_tok_new(void);
void pare_tok_free(struct pare_tokenizer **t);

#endif
