/* SPDX-License-Identifier: Apache-2.0
 * tests/crash/test_mutation.c: valid files from a seed, in each container, must load; the same files with one field changed
 * must load or be refused, quickly, without a leak and without asking for memory they only promise. */
#include "file_maker.h"

#include <time.h>

#include "base/mem.h"
#include "base/rng.h"
#include "format/checkpoint.h"

#define ROUNDS 10000u /* of each container */

static uint64_t draw(uint64_t seed, uint64_t i, uint64_t below) { return pare_rng_u64(seed, PARE_RNG_TEST, i) % below; }

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Reads whatever the file shows: every weight, every metadata element. */
static void use(const struct pare_checkpoint *c)
{
    struct pare_diag d;

    (void)pare_checkpoint_params(c);
    for (uint64_t i = 0; i < c->n_tensors; i++) {
        struct pare_weight w;
        float             *row;

        pare_diag_clear(&d);
        assert_ptr_equal(pare_checkpoint_tensor(c, c->tensors[i].name), &c->tensors[i]);
        if (pare_weight_find(&w, c, c->tensors[i].name, &d) != 0 || w.rows == 0 || w.cols == 0 || w.cols > 1 << 20) continue;
        row = malloc(w.cols * sizeof *row);
        assert_non_null(row);
        (void)pare_weight_rows(&w, 0, 1, row, &d);
        (void)pare_weight_rows(&w, w.rows - 1, 1, row, &d);
        free(row);
        if (w.foreign != NULL || w.row_bytes > 1 << 20) continue;
        row = malloc(w.row_bytes);
        assert_non_null(row);
        (void)pare_weight_bytes(&w, w.rows - 1, 1, (uint8_t *)row, &d);
        free(row);
    }
    for (uint64_t i = 0; i < c->n_kv; i++) {
        int64_t         n;
        double          r;
        struct pare_str s;
        uint64_t        k = c->kv[i].count - 1;

        assert_ptr_equal(pare_kv_find(c, c->kv[i].key), &c->kv[i]);
        if (pare_kv_elem_str(&c->kv[i], k, &s) && s.len != 0) (void)memchr(s.s, 0xff, s.len);
        (void)pare_kv_elem_int(&c->kv[i], k, &n);
        (void)pare_kv_elem_real(&c->kv[i], k, &r);
    }
}

static unsigned n_loaded, n_refused;

static void try_open(const char *path, uint64_t seed, bool must_load, bool io_ok)
{
    struct pare_checkpoint *c = NULL;
    struct pare_diag        d;
    uint64_t                live = pare_mem_live();
    double                  t = now();
    int                     rc;

    pare_diag_clear(&d);
    rc = pare_checkpoint_open(&c, path, &d);
    if (rc == 0) use(c);
    if (must_load && rc != 0) fail_msg("seed %llu: a valid file is refused: %s: %s", (unsigned long long)seed, d.where, d.text);
    if (rc != 0 && pare_error_exit_code(rc) != 3 && !(io_ok && rc == PARE_E_IO))
        fail_msg("seed %llu: code %d: %s", (unsigned long long)seed, rc, d.text);
    if (rc != 0 && (d.text[0] == '\0' || d.file[0] == '\0')) fail_msg("seed %llu: error without text or file", (unsigned long long)seed);
    pare_checkpoint_close(&c);
    if (pare_mem_live() != live) fail_msg("seed %llu: leaks", (unsigned long long)seed);
    if (now() - t > 1.0) fail_msg("seed %llu: takes %.1f s", (unsigned long long)seed, now() - t);
    if (rc == 0) n_loaded++;
    else n_refused++;
}

/* A file in memory that the library opens by name. */
static void try_bytes(const struct maker *m, uint64_t seed, bool must_load)
{
    char path[64];
    int  fd = memfd_create("model", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, m->p, m->n), m->n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    try_open(path, seed, must_load, false);
    close(fd);
}

/* One field: a number becomes a bad one, text gets a bad byte; now and then the file is cut instead. */
static void mutate(struct maker *m, uint64_t seed)
{
    static const uint64_t bad[] = { 0, 1, 2, 3, 8, 13, 255, 256, 0x7fff, 0xffff, 0x7fffffff, 0x80000000u, 0xffffffffu, 1ull << 32,
                                    1ull << 40, 1ull << 61, 1ull << 62, 1ull << 63, INT64_MAX, UINT64_MAX, UINT64_MAX - 31 };
    const struct mark    *f = &m->marks[draw(seed, 1, (uint64_t)m->n_marks)];
    uint64_t              v = 0, how = draw(seed, 2, 10);

    if (draw(seed, 3, 12) == 0) {
        m->n = draw(seed, 4, m->n);
        return;
    }
    if (f->at >= m->n) return;
    if (f->width == 0) {
        m->p[f->at] = (uint8_t)draw(seed, 5, 256);
        return;
    }
    for (int i = 0; i < f->width; i++) v |= (uint64_t)m->p[f->at + (size_t)i] << (8 * i);
    v = how < 5 ? bad[draw(seed, 6, sizeof bad / sizeof *bad)] : how == 5 ? v + 1 : how == 6 ? v - 1 : how == 7 ? v ^ 1ull << draw(seed, 7, 64)
        : how == 8 ? v * 2 : pare_rng_u64(seed, PARE_RNG_TEST, 8);
    for (int i = 0; i < f->width; i++) m->p[f->at + (size_t)i] = (uint8_t)(v >> (8 * i));
}

/* ---- GGUF ---------------------------------------------------------------------------------------------------------- */

/* type number, elements and bytes of a block: from the format's specification */
static const struct {
    uint32_t id, block, bytes;
} types[] = { { 0, 1, 4 }, { 1, 1, 2 }, { 2, 32, 18 }, { 3, 32, 20 }, { 6, 32, 22 }, { 7, 32, 24 }, { 8, 32, 34 }, { 10, 256, 84 },
              { 11, 256, 110 }, { 12, 256, 144 }, { 13, 256, 176 }, { 14, 256, 210 }, { 16, 256, 66 }, { 20, 32, 18 }, { 23, 256, 136 },
              { 24, 1, 1 }, { 26, 1, 4 }, { 27, 1, 8 }, { 28, 1, 8 }, { 30, 1, 2 } };

static void random_kv(struct maker *m, uint64_t seed, uint64_t i)
{
    static const int width[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };
    char             key[32];
    uint32_t         type = (uint32_t)draw(seed, 100 + i, 13), elem = (uint32_t)draw(seed, 200 + i, 13);
    uint64_t         n = draw(seed, 300 + i, 6);

    snprintf(key, sizeof key, "k.%d", (int)i);
    if (type == 8) {
        kv_text(m, key, n < 3 ? "some text" : "\xff\xfe bytes");
    } else if (type == 9) {
        if (elem == 9) elem = 8;
        kv_array(m, key, elem, n);
        for (uint64_t k = 0; k < n; k++) {
            if (elem == 8) str(m, "element", "token");
            else put_num(m, elem == 7 ? k % 2 : draw(seed, 400 + k, UINT64_MAX), width[elem]);
        }
    } else {
        kv_num(m, key, type, type == 7 ? n % 2 : draw(seed, 500 + i, UINT64_MAX), width[type]);
    }
}

static struct maker random_gguf(uint64_t seed)
{
    struct maker m = { 0 };
    uint64_t     n_kv = draw(seed, 10, 8), n_t = draw(seed, 11, 6), align = 8ull << draw(seed, 12, 6), at = 0;

    gguf_head(&m, n_t, n_kv + 1);
    if (draw(seed, 13, 2) == 0) m.p[4] = 2; /* version 2 is the same on little-endian machines */
    kv_num(&m, "general.alignment", 4, align, 4);
    for (uint64_t i = 0; i < n_kv; i++) random_kv(&m, seed, i);
    for (uint64_t i = 0; i < n_t; i++) {
        size_t   t = draw(seed, 600 + i, sizeof types / sizeof *types);
        int      rank = 1 + (int)draw(seed, 700 + i, 4);
        uint64_t ne[4], bytes;
        char     name[32];

        ne[0] = types[t].block * (1 + draw(seed, 800 + i, 2));
        bytes = ne[0] / types[t].block * types[t].bytes;
        for (int k = 1; k < rank; k++) {
            ne[k] = 1 + draw(seed, 900 + i * 4 + (uint64_t)k, 3);
            bytes *= ne[k];
        }
        snprintf(name, sizeof name, "blk.%d.weight", (int)i);
        info(&m, name, rank, ne, types[t].id, at);
        at = (at + bytes + align - 1) & ~(align - 1);
    }
    pad(&m, align);
    for (uint64_t i = 0; i < at; i++) put_num(&m, draw(seed, 5000 + i, 256), 1);
    return m;
}

static void test_gguf(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct maker m = random_gguf(seed / 4); /* four mutations of each file */

        if (seed % 4 == 0) try_bytes(&m, seed, true);
        mutate(&m, seed);
        try_bytes(&m, seed, false);
        free_maker(&m);
    }
    print_message("gguf: %u loaded, %u refused\n", n_loaded, n_refused);
}

/* Our own key and the values of every type, mutated too. */
static void test_own_gguf(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct maker       m = base_gguf();
        const struct mark *f = find_mark(&m, "pare.tensors");

        if (seed % 2 == 0) m.p[f->at + draw(seed, 9, 39)] = (uint8_t)"0123456789{}[]\",:tqu.\\ \xc3"[draw(seed, 10, 25)];
        else mutate(&m, seed);
        try_bytes(&m, seed, false);
        free_maker(&m);
    }
}

/* Panels: their description, their sizes, any bytes in them. */
static void test_packed_gguf(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct maker       m = packed_gguf();
        const struct mark *f = find_mark(&m, "pare.tensors"), *data = find_mark(&m, "data");

        for (size_t i = data->at; i < m.n; i++) m.p[i] = (uint8_t)draw(seed, 2000 + i, 256);
        if (seed % 4 == 0) try_bytes(&m, seed, true);
        if (seed % 2 == 0) m.p[f->at + draw(seed, 9, 50)] = (uint8_t)"0123456789{}[]\",:tqk_.\\ \xc3"[draw(seed, 10, 26)];
        else mutate(&m, seed);
        try_bytes(&m, seed, false);
        free_maker(&m);
    }
}

/* ---- safetensors --------------------------------------------------------------------------------------------------- */

static void random_header(char *h, size_t size, size_t *data, uint64_t seed)
{
    static const struct {
        const char *name;
        size_t      bytes;
    } dt[] = { { "F32", 4 }, { "F16", 2 }, { "BF16", 2 }, { "F64", 8 }, { "I8", 1 }, { "I16", 2 }, { "I32", 4 }, { "I64", 8 }, { "U8", 1 }, { "BOOL", 1 } };
    uint64_t n = draw(seed, 20, 6);
    size_t   at = 0, len = 0;

    len += (size_t)snprintf(h, size, "{");
    if (draw(seed, 21, 2) == 0) len += (size_t)snprintf(h + len, size - len, "\"__metadata__\":{\"format\":\"pt\\n\\u00e9\"}%s", n ? "," : "");
    for (uint64_t i = 0; i < n; i++) {
        size_t t = draw(seed, 30 + i, sizeof dt / sizeof *dt), a = draw(seed, 40 + i, 5), b = 1 + draw(seed, 50 + i, 4), bytes = a * b * dt[t].bytes;

        len += (size_t)snprintf(h + len, size - len, "\"t\\u00e9.%d\": {\"dtype\":\"%s\",\"shape\":[%zu, %zu],\"data_offsets\":[%zu,%zu]}%s", (int)i,
                                dt[t].name, a, b, at, at + bytes, i + 1 < n ? "," : "");
        at += bytes;
    }
    len += (size_t)snprintf(h + len, size - len, "}%*s", (int)draw(seed, 60, 8), "");
    assert_true(len < size);
    *data = at;
}

static int kind(char c) { return c >= '0' && c <= '9' ? 1 : (c | 32) >= 'a' && (c | 32) <= 'z' ? 2 : 0; }

/* In JSON a field is a run of letters or digits, or one of the other characters. */
static void mutate_json(char *text, size_t size, uint64_t seed)
{
    static const char *const with[] = { "-1", "0", "1e5", "18446744073709551616", "9223372036854775808", "null", "true", "[]", "{}", "\"\"",
                                        "\"x\"", "1.5", ",", "}", "\"", "\\", "\xff", "", ":", "[[[[[[" };
    size_t                   n = strlen(text), from = draw(seed, 70, n), to;
    const char              *w = with[draw(seed, 71, sizeof with / sizeof *with)];
    char                     tail[4096];

    if (kind(text[from]) != 0)
        while (from > 0 && kind(text[from - 1]) == kind(text[from])) from--;
    to = from + 1;
    if (kind(text[from]) != 0)
        while (to < n && kind(text[to]) == kind(text[from])) to++;
    if (n - to >= sizeof tail || from + strlen(w) + n - to + 1 > size) return;
    strcpy(tail, text + to);
    strcpy(text + from, w);
    strcat(text, tail);
}

static void test_safetensors(void **state)
{
    (void)state;
    n_loaded = n_refused = 0;
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        char         h[4096];
        size_t       data;
        struct maker m;

        random_header(h, sizeof h, &data, seed / 4);
        m = make_st(h, data);
        if (seed % 4 == 0) try_bytes(&m, seed, true);
        if (seed % 3 != 0) { /* the header, with its length made right; else the length or a cut */
            free_maker(&m);
            mutate_json(h, sizeof h, seed);
            m = make_st(h, data);
        } else {
            mutate(&m, seed);
        }
        try_bytes(&m, seed, false);
        free_maker(&m);
    }
    print_message("safetensors: %u loaded, %u refused\n", n_loaded, n_refused);
}

/* ---- folders ------------------------------------------------------------------------------------------------------- */

static void put_text(const char *name, const char *text) { write_file(in_scratch(name), text, strlen(text)); }

static void test_folder(void **state)
{
    static const char *const configs[] = {
        "{\"model_type\":\"llama\",\"hidden_size\":64,\"a\":[1,2,{\"b\":null}]}",
        "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":16,\"checkpoint_format\":\"gptq\"}}",
        "{\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":4,\"group_size\":16,\"version\":\"gemm\"}}",
        "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"pack-quantized\"}}",
    };
    static const char index[] = "{\"metadata\":{\"total_size\":1216},\"weight_map\":{\"l.qweight\":\"a.safetensors\","
                                "\"l.qzeros\":\"a.safetensors\",\"l.scales\":\"b.safetensors\",\"l.g_idx\":\"b.safetensors\"}}";
    static const char a[] = "{\"l.qweight\":{\"dtype\":\"I32\",\"shape\":[4,32],\"data_offsets\":[0,512]},"
                            "\"l.qzeros\":{\"dtype\":\"I32\",\"shape\":[2,4],\"data_offsets\":[512,544]}}";
    static const char b[] = "{\"l.scales\":{\"dtype\":\"F16\",\"shape\":[2,32],\"data_offsets\":[0,128]},"
                            "\"l.g_idx\":{\"dtype\":\"I32\",\"shape\":[32],\"data_offsets\":[128,256]}}";

    (void)state;
    n_loaded = n_refused = 0;
    assert_int_equal(mkdir(in_scratch("hf"), 0700), 0);
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        char         text[4][1024];
        struct maker m;
        uint64_t     which = draw(seed, 1, 8); /* what is changed: the index most often */

        strcpy(text[0], configs[seed / 4 % 2]);
        strcpy(text[1], index);
        strcpy(text[2], a);
        strcpy(text[3], b);
        if (seed % 4 != 0) mutate_json(text[which < 4 ? 1 : which < 6 ? 0 : which - 4], sizeof text[0], seed);
        else if (seed % 8 == 4) strcpy(text[0], configs[draw(seed, 2, 4)]);
        put_text("hf/config.json", text[0]);
        put_text("hf/model.safetensors.index.json", text[1]);
        m = make_st(text[2], 544);
        write_file(in_scratch("hf/a.safetensors"), m.p, m.n);
        free_maker(&m);
        m = make_st(text[3], 256);
        memset(m.p + m.n - 128, 0, 128);
        if (seed % 4 == 3) m.p[m.n - 1 - draw(seed, 3, 128)] = (uint8_t)draw(seed, 4, 256); /* a group number */
        write_file(in_scratch("hf/b.safetensors"), m.p, m.n);
        free_maker(&m);
        try_open(in_scratch("hf"), seed, seed % 8 == 0, true);
    }
    print_message("folders: %u loaded, %u refused\n", n_loaded, n_refused);
}

/* ---- llama2.c ------------------------------------------------------------------------------------------------------ */

static void test_llama2c(void **state)
{
    (void)state;
    n_loaded = n_refused = 0;
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct l2    h = { .layers = 1 + (int)draw(seed, 20, 3), .heads = 1 << draw(seed, 21, 3), .vocab = 2 + (int)draw(seed, 22, 9), .seq = 4 };
        struct maker m;
        int          version = (int)draw(seed, 23, 3);

        h.kv = h.heads >> draw(seed, 24, 2);
        if (h.kv == 0) h.kv = 1;
        h.dim = h.heads * 2 * (1 + (int)draw(seed, 25, 2));
        h.hidden = 2 * h.dim;
        m = version == 0 ? make_l2_v0(h, seed % 2) : make_l2_v12(version, h, seed % 2, 2);
        if (seed % 4 == 0) try_bytes(&m, seed, true);
        mutate(&m, seed);
        try_bytes(&m, seed, false);
        free_maker(&m);
    }
    print_message("llama2.c: %u loaded, %u refused\n", n_loaded, n_refused);
}

static int teardown(void **state)
{
    (void)state;
    remove_scratch();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gguf),   cmocka_unit_test(test_own_gguf), cmocka_unit_test(test_packed_gguf), cmocka_unit_test(test_safetensors),
        cmocka_unit_test(test_folder), cmocka_unit_test(test_llama2c),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
