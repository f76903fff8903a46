/* SPDX-License-Identifier: Apache-2.0
 * tests/file_maker.h: makes model files byte by byte, from the format specifications and without any code of the library, with
 * labels on the fields so that tests can break them one at a time. */
#ifndef PARE_TESTS_FILE_MAKER_H
#define PARE_TESTS_FILE_MAKER_H

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "fixture.h"

struct mark {
    char   name[64];
    size_t at;
    int    width; /* bytes of a number, 0 for text */
};

struct maker {
    uint8_t    *p;
    size_t      n, cap;
    struct mark marks[512];
    int         n_marks;
};

static inline void put(struct maker *m, const void *p, size_t n)
{
    if (m->n + n > m->cap) {
        m->cap = (m->n + n) * 2 + 256;
        m->p = realloc(m->p, m->cap);
        assert_non_null(m->p);
    }
    if (n != 0) memcpy(m->p + m->n, p, n);
    m->n += n;
}
static inline void put_num(struct maker *m, uint64_t v, int width)
{
    uint8_t b[8];

    for (int i = 0; i < 8; i++) b[i] = (uint8_t)(v >> (8 * i));
    put(m, b, (size_t)width);
}
static inline void label(struct maker *m, const char *name, int width)
{
    if (m->n_marks == (int)(sizeof m->marks / sizeof *m->marks)) return;
    snprintf(m->marks[m->n_marks].name, sizeof m->marks->name, "%.60s", name);
    m->marks[m->n_marks].width = width;
    m->marks[m->n_marks++].at = m->n;
}
/* A labelled number. */
static inline void num(struct maker *m, const char *name, uint64_t v, int width)
{
    label(m, name, width);
    put_num(m, v, width);
}
/* A string with its length, labelled NAME.len and NAME. */
static inline void str(struct maker *m, const char *name, const char *s)
{
    char l[64];

    snprintf(l, sizeof l, "%.40s.len", name);
    num(m, l, strlen(s), 8);
    label(m, name, 0);
    put(m, s, strlen(s));
}
static inline void pad(struct maker *m, size_t to)
{
    while (m->n % to != 0) put(m, "", 1);
}
static inline const struct mark *find_mark(const struct maker *m, const char *name)
{
    for (int i = 0; i < m->n_marks; i++)
        if (strcmp(m->marks[i].name, name) == 0) return &m->marks[i];
    fail_msg("no field %s", name);
    return NULL;
}
static inline void free_maker(struct maker *m)
{
    free(m->p);
    memset(m, 0, sizeof *m);
}
static inline struct maker copy_of(const struct maker *m)
{
    struct maker c = *m;

    c.p = malloc(m->n + 1);
    assert_non_null(c.p);
    memcpy(c.p, m->p, m->n);
    c.cap = m->n + 1;
    return c;
}

static inline void write_file(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}
static inline uint8_t *read_whole(const char *path, size_t *n)
{
    FILE    *f = fopen(path, "rb");
    uint8_t *p;
    long     len;

    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    len = ftell(f);
    rewind(f);
    p = malloc((size_t)len + 1);
    assert_non_null(p);
    assert_int_equal(fread(p, 1, (size_t)len, f), len);
    fclose(f);
    *n = (size_t)len;
    return p;
}

/* A folder of this process for files, in memory where that is possible. */
static inline const char *scratch(void)
{
    static char dir[64];

    if (dir[0] == '\0') {
        snprintf(dir, sizeof dir, "%s/pare-test-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        assert_non_null(mkdtemp(dir));
    }
    return dir;
}
static inline const char *in_scratch(const char *name)
{
    static char path[4][512];
    static int  turn;

    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", scratch(), name);
    return path[turn];
}
static inline void remove_scratch(void)
{
    char cmd[128];

    snprintf(cmd, sizeof cmd, "rm -rf '%s'", scratch());
    assert_int_equal(system(cmd), 0);
}

/* ---- GGUF ---------------------------------------------------------------------------------------------------------- */

static inline void kv_head(struct maker *m, const char *key, uint32_t type)
{
    char l[64];

    snprintf(l, sizeof l, "%.40s.key", key);
    str(m, l, key);
    snprintf(l, sizeof l, "%.40s.type", key);
    num(m, l, type, 4);
}
static inline void kv_num(struct maker *m, const char *key, uint32_t type, uint64_t v, int width)
{
    kv_head(m, key, type);
    num(m, key, v, width);
}
static inline void kv_text(struct maker *m, const char *key, const char *s)
{
    kv_head(m, key, 8);
    str(m, key, s);
}
static inline void kv_array(struct maker *m, const char *key, uint32_t elem, uint64_t count)
{
    char l[64];

    kv_head(m, key, 9);
    snprintf(l, sizeof l, "%.40s.elem", key);
    num(m, l, elem, 4);
    snprintf(l, sizeof l, "%.40s.count", key);
    num(m, l, count, 8);
    label(m, key, 0);
}
/* A tensor record, dimensions in GGUF's order. Labels: NAME.name, .rank, .ne0.., .type, .offset */
static inline void info(struct maker *m, const char *name, int rank, const uint64_t *ne, uint32_t type, uint64_t offset)
{
    char l[64];

    snprintf(l, sizeof l, "%.40s.name", name);
    str(m, l, name);
    snprintf(l, sizeof l, "%.40s.rank", name);
    num(m, l, (uint64_t)rank, 4);
    for (int i = 0; i < rank; i++) {
        snprintf(l, sizeof l, "%.40s.ne%d", name, i);
        num(m, l, ne[i], 8);
    }
    snprintf(l, sizeof l, "%.40s.type", name);
    num(m, l, type, 4);
    snprintf(l, sizeof l, "%.40s.offset", name);
    num(m, l, offset, 8);
}
static inline void gguf_head(struct maker *m, uint64_t n_tensors, uint64_t n_kv)
{
    label(m, "magic", 0);
    put(m, "GGUF", 4);
    num(m, "version", 3, 4);
    num(m, "n_tensors", n_tensors, 8);
    num(m, "n_kv", n_kv, 8);
}

/* The base of the malformed cases: every kind of metadata, an f32, a q4_0 and a u8 tensor (the last under our own key). */
static inline struct maker base_gguf(void)
{
    struct maker m = { 0 };

    gguf_head(&m, 3, 17);
    kv_text(&m, "general.architecture", "llama");
    kv_num(&m, "general.alignment", 4, 32, 4);
    kv_num(&m, "a.u8", 0, 200, 1);
    kv_num(&m, "a.i8", 1, 0xff, 1);
    kv_num(&m, "a.u16", 2, 60000, 2);
    kv_num(&m, "a.i16", 3, 0x8000, 2);
    kv_num(&m, "a.u32", 4, 4000000000u, 4);
    kv_num(&m, "a.i32", 5, 0xfffffff9u, 4);
    kv_num(&m, "a.f32", 6, 0x3fc00000u, 4);
    kv_num(&m, "a.bool", 7, 1, 1);
    kv_num(&m, "a.u64", 10, 1ull << 40, 8);
    kv_num(&m, "a.i64", 11, (uint64_t)-5, 8);
    kv_num(&m, "a.f64", 12, 0x4004000000000000ull, 8);
    kv_array(&m, "a.f32s", 6, 3);
    put_num(&m, 0x3f800000u, 4);
    put_num(&m, 0x40000000u, 4);
    put_num(&m, 0x40400000u, 4);
    kv_array(&m, "a.strs", 8, 2);
    str(&m, "a.strs.0", "x");
    str(&m, "a.strs.1", "yy");
    kv_array(&m, "a.bools", 7, 2);
    put(&m, "\1\0", 2);
    kv_text(&m, "pare.tensors", "{\"t.own\":{\"shape\":[2,2,7],\"type\":\"u8\"}}");
    info(&m, "t.f32", 2, (uint64_t[]){ 8, 4 }, 0, 0);
    info(&m, "t.q4", 2, (uint64_t[]){ 32, 2 }, 2, 128);
    info(&m, "t.own", 2, (uint64_t[]){ 7, 4 }, 24, 192);
    label(&m, "end", 0);
    pad(&m, 32);
    label(&m, "data", 0);
    for (int i = 0; i < 32; i++) {
        float    f = (float)i - 3.5f;
        uint32_t u;

        memcpy(&u, &f, 4);
        put_num(&m, u, 4);
    }
    for (int i = 0; i < 36; i++) put_num(&m, (uint64_t)(i % 18 == 1 ? 0x38 : i * 7 % 251), 1); /* finite f16 scales */
    pad(&m, 32);
    for (int i = 0; i < 28; i++) put_num(&m, (uint64_t)i * 9, 1);
    pad(&m, 32);
    return m;
}

/* A q4_0 matrix of 17 x 64 as panels: 2 of 576 bytes (scales of 2 blocks, 64; codes 2 x 256). Any bytes are panels. */
static inline struct maker packed_gguf(void)
{
    struct maker m = { 0 };

    gguf_head(&m, 1, 2);
    kv_num(&m, "general.alignment", 4, 64, 4);
    kv_text(&m, "pare.tensors", "{\"t.pk\":{\"packed\":1,\"shape\":[17,64],\"type\":\"q4_0\"}}");
    info(&m, "t.pk", 2, (uint64_t[]){ 576, 2 }, 24, 0);
    label(&m, "end", 0);
    pad(&m, 64);
    label(&m, "data", 0);
    for (int i = 0; i < 2 * 576; i++) put_num(&m, (uint64_t)(i % 576 < 64 && i % 2 == 1 ? 0x38 : i * 7 % 251), 1);
    return m;
}

/* ---- safetensors --------------------------------------------------------------------------------------------------- */

static inline struct maker make_st(const char *header, size_t data)
{
    struct maker m = { 0 };

    num(&m, "length", strlen(header), 8);
    label(&m, "header", 0);
    put(&m, header, strlen(header));
    for (size_t i = 0; i < data; i++) put_num(&m, i % 64, 1); /* as f32 and f16 finite and small */
    return m;
}

/* ---- llama2.c ------------------------------------------------------------------------------------------------------ */

/* Floats that count up, as `n` values. */
static inline void floats(struct maker *m, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float    f = (float)(m->n / 4 % 997) * 0.5f;
        uint32_t u;

        memcpy(&u, &f, 4);
        put_num(m, u, 4);
    }
}
struct l2 {
    int dim, hidden, layers, heads, kv, vocab, seq;
};
static inline void l2_sizes(struct maker *m, const struct l2 *h)
{
    num(m, "dim", (uint64_t)h->dim, 4);
    num(m, "hidden", (uint64_t)h->hidden, 4);
    num(m, "layers", (uint64_t)h->layers, 4);
    num(m, "heads", (uint64_t)h->heads, 4);
    num(m, "kv", (uint64_t)h->kv, 4);
    num(m, "vocab", (uint64_t)h->vocab, 4);
    num(m, "seq", (uint64_t)h->seq, 4);
}
static inline struct maker make_l2_v0(struct l2 h, bool shared)
{
    struct maker m = { 0 };
    size_t       d = (size_t)h.dim, hid = (size_t)h.hidden, L = (size_t)h.layers, v = (size_t)h.vocab,
           kv = d / (size_t)h.heads * (size_t)h.kv, head = d / (size_t)h.heads;

    if (!shared) h.vocab = -h.vocab;
    l2_sizes(&m, &h);
    floats(&m, v * d + L * d + L * (2 * d * d + 2 * kv * d) + L * d + 3 * L * d * hid + d + (size_t)h.seq * head);
    if (!shared) floats(&m, v * d);
    return m;
}
/* Versions 1 and 2; group: of version 2. */
static inline struct maker make_l2_v12(int version, struct l2 h, bool shared, int group)
{
    struct maker m = { 0 };
    size_t       d = (size_t)h.dim, hid = (size_t)h.hidden, L = (size_t)h.layers, v = (size_t)h.vocab,
           kv = d / (size_t)h.heads * (size_t)h.kv;

    num(&m, "magic", 0x616b3432u, 4);
    num(&m, "version", (uint64_t)version, 4);
    l2_sizes(&m, &h);
    num(&m, "shared", shared, 1);
    if (version == 2) num(&m, "group", (uint64_t)group, 4);
    while (m.n < 256) put(&m, "", 1);
    floats(&m, 2 * L * d + d);
    if (version == 1) {
        floats(&m, v * d + L * (2 * d * d + 2 * kv * d) + 3 * L * d * hid + (shared ? 0 : v * d));
        return m;
    }
    for (size_t i = 0; i < 1 + 7 * L + !shared; i++) { /* embedding, then seven kinds of matrices layer by layer, then the head */
        size_t kind = i == 0 || i == 7 * L + 1 ? 99 : (i - 1) / L,
               n = kind == 99 ? v * d : kind == 0 || kind == 3 ? d * d : kind < 3 ? kv * d : d * hid;

        for (size_t k = 0; k < n; k++) put_num(&m, (m.n * 31 + k) % 255, 1);
        floats(&m, n / (size_t)group);
    }
    return m;
}

#endif
