/* SPDX-License-Identifier: Apache-2.0
 * Tokenizers against hostile files, stray bytes, missing memory, long texts; the stream of text. Files are built here, byte by
 * byte, because nothing of ours would write them. */
#include "fixture.h"

#include "format/checkpoint.h"
#include "token/tokenizer.h"

/* ---- a GGUF of metadata only ---- */
struct gguf {
    uint8_t  b[1 << 16];
    size_t   n;
    uint64_t n_kv;
};
static void put(struct gguf *g, const void *p, size_t n)
{
    assert_true(g->n + n <= sizeof g->b);
    memcpy(g->b + g->n, p, n);
    g->n += n;
}
static void u32(struct gguf *g, uint32_t v) { put(g, &v, 4); }
static void u64(struct gguf *g, uint64_t v) { put(g, &v, 8); }
static void str(struct gguf *g, const char *s) { u64(g, strlen(s)); put(g, s, strlen(s)); }
static void begin(struct gguf *g)
{
    g->n = g->n_kv = 0;
    put(g, "GGUF", 4);
    u32(g, 3);
    u64(g, 0);
    u64(g, 0);
}
static void key(struct gguf *g, const char *k, uint32_t type) { str(g, k); u32(g, type); g->n_kv++; }
static void kv_str(struct gguf *g, const char *k, const char *v) { key(g, k, PARE_KV_STRING); str(g, v); }
static void kv_u32(struct gguf *g, const char *k, uint32_t v) { key(g, k, PARE_KV_U32); u32(g, v); }
static void kv_strs(struct gguf *g, const char *k, const char *const *v)
{
    uint64_t n = 0;
    while (v[n] != NULL) n++;
    key(g, k, PARE_KV_ARRAY);
    u32(g, PARE_KV_STRING);
    u64(g, n);
    for (uint64_t i = 0; i < n; i++) str(g, v[i]);
}
static void kv_i32s(struct gguf *g, const char *k, const int32_t *v, uint64_t n)
{
    key(g, k, PARE_KV_ARRAY);
    u32(g, PARE_KV_I32);
    u64(g, n);
    put(g, v, n * 4);
}
static void kv_f32s(struct gguf *g, const char *k, const float *v, uint64_t n)
{
    key(g, k, PARE_KV_ARRAY);
    u32(g, PARE_KV_F32);
    u64(g, n);
    put(g, v, n * 4);
}

/* Opens it through a file. text receives the error. */
static int open_gguf(struct gguf *g, struct pare_tokenizer **t, char text[1024])
{
    char             path[] = "/tmp/pare-test-XXXXXX";
    int              fd = mkstemp(path), rc;
    struct pare_diag d = { 0 };

    memcpy(g->b + 16, &g->n_kv, 8);
    assert_int_equal(write(fd, g->b, g->n), (ssize_t)g->n);
    close(fd);
    rc = pare_tokenizer_open(t, path, &d);
    unlink(path);
    pare_diag_format(&d, text, 1024);
    if (rc < 0) {
        assert_null(*t);
        assert_true(d.text[0] != '\0');
    }
    return rc;
}

static const char *const abc[] = { "<unk>", "<s>", "</s>", "a", "b", "ab", "\xE2\x96\x81", "<0x41>", NULL };
static const int32_t     abc_type[] = { 2, 3, 3, 1, 1, 1, 1, 6 };
static const float       abc_score[] = { 0, 0, 0, -3, -4, -1, -2, 0 };

static void spm(struct gguf *g, const char *const *tokens, const int32_t *types, const float *scores)
{
    begin(g);
    kv_str(g, "general.architecture", "llama");
    kv_str(g, "tokenizer.ggml.model", "llama");
    kv_strs(g, "tokenizer.ggml.tokens", tokens);
    kv_i32s(g, "tokenizer.ggml.token_type", types, 8);
    kv_f32s(g, "tokenizer.ggml.scores", scores, 8);
}

static void refuse(struct gguf *g, int code, const char *needle)
{
    struct pare_tokenizer *t;
    char                   text[1024];
    int                    rc = open_gguf(g, &t, text);

    if (rc != code || strstr(text, needle) == NULL) fail_msg("%d %s; want %d with \"%s\"", rc, text, code, needle);
    assert_int_equal(pare_mem_live(), 0);
}

static void test_hostile_gguf(void **state)
{
    static struct gguf     g;
    const char            *odd[9];
    float                  bad_score[8];
    int32_t                few[] = { 1 };
    struct pare_tokenizer *t;
    char                   text[1024];

    (void)state;
    spm(&g, abc, abc_type, abc_score);
    assert_int_equal(open_gguf(&g, &t, text), PARE_OK);
    pare_tokenizer_close(&t);

    memcpy(odd, abc, sizeof odd);
    odd[7] = "<0x-1>";
    spm(&g, odd, abc_type, abc_score);
    refuse(&g, PARE_E_CORRUPT, "<0x-1>");
    odd[7] = "<0xGG>";
    spm(&g, odd, abc_type, abc_score);
    refuse(&g, PARE_E_CORRUPT, "<0xGG>");
    odd[7] = "<0x4100>";
    spm(&g, odd, abc_type, abc_score);
    refuse(&g, PARE_E_CORRUPT, "<0x4100>");
    memcpy(odd, abc, sizeof odd);
    odd[4] = "\xFF\xFE";
    spm(&g, odd, abc_type, abc_score);
    refuse(&g, PARE_E_CORRUPT, "token 4 is not valid UTF-8");

    memcpy(bad_score, abc_score, sizeof bad_score);
    bad_score[3] = (float)strtod("nan", NULL);
    spm(&g, abc, abc_type, bad_score);
    refuse(&g, PARE_E_CORRUPT, "token 3");
    spm(&g, abc, abc_type, abc_score);
    kv_u32(&g, "tokenizer.ggml.bos_token_id", 8);
    refuse(&g, PARE_E_CORRUPT, "tokenizer.ggml.bos_token_id");
    spm(&g, abc, abc_type, abc_score);
    kv_u32(&g, "tokenizer.ggml.eos_token_id", 0x80000000u);
    refuse(&g, PARE_E_CORRUPT, "tokenizer.ggml.eos_token_id");

    begin(&g);
    kv_str(&g, "tokenizer.ggml.model", "llama");
    kv_strs(&g, "tokenizer.ggml.tokens", abc);
    kv_i32s(&g, "tokenizer.ggml.token_type", few, 1);
    kv_f32s(&g, "tokenizer.ggml.scores", abc_score, 8);
    refuse(&g, PARE_E_CORRUPT, "token_type");
    begin(&g);
    kv_str(&g, "tokenizer.ggml.model", "llama");
    kv_strs(&g, "tokenizer.ggml.tokens", abc);
    refuse(&g, PARE_E_CORRUPT, "scores");
    begin(&g);
    kv_str(&g, "tokenizer.ggml.model", "llama");
    refuse(&g, PARE_E_CORRUPT, "tokens");
    begin(&g);
    kv_str(&g, "tokenizer.ggml.model", "llama");
    kv_u32(&g, "tokenizer.ggml.tokens", 5);
    refuse(&g, PARE_E_CORRUPT, "array");
    begin(&g);
    kv_str(&g, "tokenizer.ggml.model", "rwkv");
    refuse(&g, PARE_E_UNSUPPORTED, "rwkv");
    begin(&g);
    kv_str(&g, "general.architecture", "llama");
    refuse(&g, PARE_E_UNSUPPORTED, "no tokenizer");
    /* a count that the file cannot hold */
    begin(&g);
    kv_str(&g, "tokenizer.ggml.model", "gpt2");
    key(&g, "tokenizer.ggml.tokens", PARE_KV_ARRAY);
    u32(&g, PARE_KV_STRING);
    u64(&g, (uint64_t)1 << 60);
    assert_true(open_gguf(&g, &t, text) < 0);
    assert_int_equal(pare_mem_live(), 0);
}

static void bpe(struct gguf *g, const char *const *merges, const char *pre)
{
    static const char *const tokens[] = { "a", "b", "c", "ab", "abc", "\xC4\xA0", NULL };

    begin(g);
    kv_str(g, "tokenizer.ggml.model", "gpt2");
    if (pre != NULL) kv_str(g, "tokenizer.ggml.pre", pre);
    kv_strs(g, "tokenizer.ggml.tokens", tokens);
    kv_strs(g, "tokenizer.ggml.merges", merges);
}

static void test_merges(void **state)
{
    static struct gguf       g;
    static const char *const no_space[] = { "ab", NULL }, *const half[] = { "a ", NULL }, *const empty[] = { NULL };
    /* "b c" makes a text that is no token and that nothing can use; "ab c" twice; "abc a" and "a abc" go round */
    static const char *const odd[] = { "b c", "a b", "ab c", "ab c", "abc a", "a abc", "abca bc", NULL };
    struct pare_tokenizer   *t;
    struct pare_ids          ids = { 0 };
    struct pare_diag         d = { 0 };
    char                     text[1024];

    (void)state;
    bpe(&g, no_space, "gpt-2");
    refuse(&g, PARE_E_CORRUPT, "merge 0");
    bpe(&g, half, "gpt-2");
    refuse(&g, PARE_E_CORRUPT, "merge 0");
    bpe(&g, empty, "gpt-2");
    assert_int_equal(open_gguf(&g, &t, text), PARE_OK);
    assert_null(pare_tokenizer_warning(t));
    pare_tokenizer_close(&t);
    bpe(&g, odd, "no-such-pre");
    assert_int_equal(open_gguf(&g, &t, text), PARE_OK);
    assert_non_null(strstr(pare_tokenizer_warning(t), "no-such-pre"));
    assert_int_equal(pare_tokenizer_encode(t, "abcabc abz", 10, 0, &ids, &d), PARE_OK);
    for (size_t i = 0; i < ids.n; i++) assert_in_range(ids.ids[i], 0, 5);
    /* bc merges first and is no token: its letters come out; z is in no text of the vocabulary */
    assert_int_equal(ids.n, 8);
    const int32_t want[] = { 0, 1, 2, 0, 1, 2, 5, 3 };
    assert_memory_equal(ids.ids, want, sizeof want);
    pare_ids_free(&ids);
    pare_tokenizer_close(&t);
}

static int from_json(struct pare_tokenizer **t, const char *text, struct pare_diag *d)
{
    memset(d, 0, sizeof *d);
    return pare_tokenizer_from_json(t, text, strlen(text), NULL, d);
}

static void test_hostile_json(void **state)
{
    static const struct { const char *text, *needle; int code; } bad[] = {
        { "", "JSON", PARE_E_CORRUPT },
        { "[]", "no object", PARE_E_CORRUPT },
        { "{}", "model", PARE_E_CORRUPT },
        { "{\"model\":{\"type\":\"Magic\",\"vocab\":{}}}", "Magic", PARE_E_UNSUPPORTED },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":[],\"merges\":[]}}", "vocab", PARE_E_CORRUPT },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", "-1", PARE_E_CORRUPT },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":60000000},\"merges\":[]}}", "60000000", PARE_E_CORRUPT },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":\"x\"},\"merges\":[]}}", "integer", PARE_E_CORRUPT },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"aa\"]}}", "merge 0", PARE_E_CORRUPT },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}", "merge 0", PARE_E_CORRUPT },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}}", "empty", PARE_E_CORRUPT },
        { "{\"model\":{\"type\":\"Unigram\",\"vocab\":[[1,2]]}}", "element 0", PARE_E_CORRUPT },
        { "{\"model\":{\"type\":\"Unigram\",\"unk_id\":7,\"vocab\":[[\"a\",0]]}}", "unk_id", PARE_E_CORRUPT },
        { "{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}},\"normalizer\":{\"type\":\"Nope\"}}", "Nope", PARE_E_UNSUPPORTED },
        { "{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}},\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},"
          "\"behavior\":\"Isolated\"}}", "regular expression", PARE_E_CORRUPT },
        { "{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}},\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"//////8A\"}}",
          "charsmap", PARE_E_CORRUPT },
        { "{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}},\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"x\",9],\"cls\":[\"y\",0]}}",
          "token 9", PARE_E_CORRUPT },
        { "{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}},\"added_tokens\":[{\"content\":\"x\"}]}", "added_tokens", PARE_E_CORRUPT },
    };
    struct pare_tokenizer *t;
    struct pare_diag       d;
    char                   deep[4096] = "{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}},\"normalizer\":", text[1024];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int rc = from_json(&t, bad[i].text, &d);
        pare_diag_format(&d, text, sizeof text);
        if (rc != bad[i].code || strstr(text, bad[i].needle) == NULL) fail_msg("%s: %d %s", bad[i].text, rc, text);
        assert_null(t);
        assert_int_equal(pare_mem_live(), 0);
    }
    for (int i = 0; i < 40; i++) strcat(deep, "{\"type\":\"Sequence\",\"normalizers\":[");
    for (int i = 0; i < 40; i++) strcat(deep, "]}");
    strcat(deep, "}");
    assert_int_equal(from_json(&t, deep, &d), PARE_E_LIMIT);
}

/* A regular expression that tries everything ends with an error, not with the afternoon. */
static void test_evil_regex(void **state)
{
    struct pare_tokenizer *t;
    struct pare_diag       d;
    struct pare_ids        ids = { 0 };
    char                   text[4000];

    (void)state;
    assert_int_equal(from_json(&t, "{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"a\",\"vocab\":{\"a\":0}},\"pre_tokenizer\":{\"type\":\"Split\","
                               "\"pattern\":{\"Regex\":\"((a|aa)+)+$b|(.*)*x\"},\"behavior\":\"Isolated\"}}", &d), PARE_OK);
    memset(text, 'a', sizeof text);
    assert_int_equal(pare_tokenizer_encode(t, text, sizeof text, 0, &ids, &d), PARE_E_LIMIT);
    assert_int_equal(ids.n, 0);
    pare_ids_free(&ids);
    pare_tokenizer_close(&t);
}

/* jansson has no NUL in keys; vocabularies have it. */
static void test_nul_key(void **state)
{
    static const char text[] = "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"\\u0000\":0,\"b\":1,\"\\u0000b\":2,\"\\\\u0000\":3},\"merges\":[[\"\\u0000\",\"b\"]]}}";
    struct pare_tokenizer *t;
    struct pare_diag       d;
    struct pare_ids        ids = { 0 };

    (void)state;
    assert_int_equal(from_json(&t, text, &d), PARE_OK);
    assert_int_equal(pare_tokenizer_find(t, "\\u0000", 6), 3);
    assert_int_equal(pare_tokenizer_encode(t, "\0b\0", 3, 0, &ids, &d), PARE_OK);
    assert_int_equal(ids.n, 2);
    assert_int_equal(ids.ids[0], 2);
    assert_int_equal(ids.ids[1], 0);
    pare_ids_free(&ids);
    pare_tokenizer_close(&t);
}

static void test_hostile_spm(void **state)
{
    static const uint8_t ok[] = { 0x0A, 0x0A, 0x0A, 3, 'a', 'b', 'c', 0x15, 0, 0, 0x80, 0x3F, 0x12, 2, 0x18, 2 };
    struct pare_tokenizer *t;
    struct pare_diag       d = { 0 };
    uint8_t                b[sizeof ok];

    (void)state;
    assert_int_equal(pare_tokenizer_from_spm(&t, ok, sizeof ok, &d), PARE_OK);
    assert_int_equal(pare_tokenizer_n_vocab(t), 1);
    pare_tokenizer_close(&t);
    for (size_t n = 0; n < sizeof ok; n++) { /* cut anywhere: an error or a shorter model, never more */
        memset(&d, 0, sizeof d);
        (void)pare_tokenizer_from_spm(&t, ok, n, &d);
        pare_tokenizer_close(&t);
    }
    for (size_t i = 0; i < sizeof ok; i++) /* every byte to every value */
        for (int v = 0; v < 256; v++) {
            memcpy(b, ok, sizeof b);
            b[i] = (uint8_t)v;
            memset(&d, 0, sizeof d);
            (void)pare_tokenizer_from_spm(&t, b, sizeof b, &d);
            pare_tokenizer_close(&t);
        }
    assert_int_equal(pare_mem_live(), 0);
}

static struct pare_tokenizer *demo(void)
{
    struct pare_tokenizer *t;
    struct pare_diag       d = { 0 };

    assert_int_equal(pare_tokenizer_open(&t, "data/demo-llama", &d), PARE_OK);
    return t;
}

/* Whatever bytes go in come out. And a stream gives whole code points and U+FFFD only. */
static void test_any_bytes(void **state)
{
    struct pare_tokenizer *t = demo();
    uint32_t               seed = 7;

    (void)state;
    for (int k = 0; k < 2000; k++) {
        uint8_t            b[64];
        size_t             n = 0, len;
        struct pare_ids    ids = { 0 };
        struct pare_diag   d = { 0 };
        struct pare_detok *s;
        char              *text;
        const char        *piece;
        for (seed = seed * 1664525u + 1013904223u; n < (seed >> 8) % 64; n++) {
            static const uint8_t edge[] = { 0xC3, 0xA9, 0xE2, 0x96, 0x81, 0xF0, 0x9F, 0x98, 0x80, 0xFF, 0xC0, 0xED, 0xA0, ' ', 'a', 0 };
            uint32_t             r = (seed >> 4) * 2654435761u + (uint32_t)n * 40503u;
            b[n] = (r >> 9) % 3 != 0 ? edge[(r >> 16) & 15] : (uint8_t)(r >> 24);
        }
        assert_int_equal(pare_tokenizer_encode(t, (char *)b, n, 0, &ids, &d), PARE_OK);
        assert_int_equal(pare_tokenizer_decode(t, ids.ids, ids.n, 0, &text, &len, &d), PARE_OK);
        assert_int_equal(len, n);
        if (n > 0) assert_memory_equal(text, b, n);
        pare_free(text);
        assert_int_equal(pare_tokenizer_decode(t, ids.ids, ids.n, PARE_TOK_VALID_UTF8, &text, &len, &d), PARE_OK);
        assert_int_equal(pare_detok_create(&s, t, 0, &d), PARE_OK);
        size_t at = 0;
        for (size_t i = 0; i <= ids.n; i++) {
            size_t m;
            assert_int_equal(i < ids.n ? pare_detok_push(s, ids.ids[i], &piece, &m, &d) : pare_detok_finish(s, &piece, &m, &d), PARE_OK);
            assert_true(at + m <= len);
            assert_memory_equal(text + at, piece, m);
            assert_true(m == 0 || ((uint8_t)piece[0] & 0xC0) != 0x80);
            at += m;
        }
        assert_int_equal(at, len);
        pare_detok_destroy(&s);
        pare_free(text);
        pare_ids_free(&ids);
    }
    pare_tokenizer_close(&t);
}

static void test_small_questions(void **state)
{
    struct pare_tokenizer *t = demo();
    struct pare_diag       d = { 0 };
    struct pare_ids        ids = { 0 };
    int32_t                bad = 8192;
    char                  *text;
    size_t                 n;

    (void)state;
    assert_int_equal(pare_tokenizer_encode(t, "", 0, PARE_TOK_PARSE_SPECIAL, &ids, &d), PARE_OK);
    assert_int_equal(ids.n, 0);
    assert_int_equal(pare_tokenizer_encode(t, "<|eos|>", 7, 0, &ids, &d), PARE_OK);
    for (size_t i = 0; i < ids.n; i++) assert_false(pare_tokenizer_is_special(t, ids.ids[i])); /* only when asked for */
    assert_int_equal(pare_tokenizer_decode(t, &bad, 1, 0, &text, &n, &d), PARE_E_USAGE);
    assert_null(text);
    bad = -1;
    memset(&d, 0, sizeof d);
    assert_int_equal(pare_tokenizer_decode(t, &bad, 1, 0, &text, &n, &d), PARE_E_USAGE);
    ids.n = 0;
    assert_int_equal(pare_tokenizer_encode(t, "<|user|>hi", 10, PARE_TOK_PARSE_SPECIAL, &ids, &d), PARE_OK);
    assert_int_equal(ids.ids[0], 4);
    assert_int_equal(pare_tokenizer_decode(t, ids.ids, ids.n, PARE_TOK_SKIP_SPECIAL, &text, &n, &d), PARE_OK);
    assert_string_equal(text, "hi");
    pare_free(text);
    text = pare_tokenizer_json(t, ids.ids, 1);
    assert_string_equal(text, "{\"ids\":[4],\"pieces\":[\"<|user|>\"]}");
    pare_free(text);
    pare_ids_free(&ids);
    pare_tokenizer_close(&t);
}

/* Fail allocation n for n = 1, 2, ... until it works: an error each time, nothing lost, nothing broken. */
static void test_out_of_memory(void **state)
{
    static const char json[] = "{\"added_tokens\":[{\"id\":3,\"content\":\"<x>\",\"special\":true}],\"normalizer\":{\"type\":\"NFC\"},"
        "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true},\"decoder\":{\"type\":\"ByteLevel\"},"
        "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}}";
    uint64_t n = 0;
    bool     done = false;

    (void)state;
    while (!done) {
        struct pare_tokenizer *t = NULL;
        struct pare_ids        ids = { 0 };
        struct pare_diag       d = { 0 };
        char                  *text = NULL;
        size_t                 len;
        int                    rc;
        pare_mem_fail_after(++n);
        rc = pare_tokenizer_from_json(&t, json, sizeof json - 1, NULL, &d);
        if (rc == PARE_OK) rc = pare_tokenizer_encode(t, "abab <x>\xC3\xA9", 10, PARE_TOK_PARSE_SPECIAL, &ids, &d);
        if (rc == PARE_OK) rc = pare_tokenizer_decode(t, ids.ids, ids.n, 0, &text, &len, &d);
        pare_mem_fail_after(0);
        done = rc == PARE_OK && n > 100;
        if (rc != PARE_OK) assert_int_equal(rc, PARE_E_NOMEM);
        pare_free(text);
        pare_ids_free(&ids);
        pare_tokenizer_close(&t);
        assert_int_equal(pare_mem_live(), 0);
    }
    assert_true(n < 2000);
}

/* Long runs in one word: n log n, so half a megabyte takes well under a second; a quadratic loop would take hours. */
static void test_long_words(void **state)
{
    static const char unit[] = { 'a', '7', ' ', '\n', '\xFF', '.' };
    struct pare_tokenizer *t = demo();
    size_t                 n = 1 << 19;
    char                  *b = malloc(n);

    (void)state;
    for (size_t i = 0; i < sizeof unit; i++) {
        struct pare_ids  ids = { 0 };
        struct pare_diag d = { 0 };
        char            *text;
        size_t           len;
        memset(b, unit[i], n);
        assert_int_equal(pare_tokenizer_encode(t, b, n, 0, &ids, &d), PARE_OK);
        assert_int_equal(pare_tokenizer_decode(t, ids.ids, ids.n, 0, &text, &len, &d), PARE_OK);
        assert_int_equal(len, n);
        assert_memory_equal(text, b, n);
        pare_free(text);
        pare_ids_free(&ids);
    }
    free(b);
    pare_tokenizer_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_gguf), cmocka_unit_test(test_merges),     cmocka_unit_test(test_hostile_json),
        cmocka_unit_test(test_evil_regex),   cmocka_unit_test(test_nul_key),    cmocka_unit_test(test_hostile_spm),
        cmocka_unit_test(test_any_bytes),    cmocka_unit_test(test_small_questions), cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_long_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
