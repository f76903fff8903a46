/* SPDX-License-Identifier: Apache-2.0
 * Tokenizers against other programs' results: the cases in tests/golden/tokenizer (Hugging Face's tokenizers), the vectors of
 * public GGUF vocabularies (llama.cpp), the demo model's cases. Each tokenizer is also written as GGUF and read again. */
#include "fixture.h"

#include <jansson.h>

#include "format/checkpoint.h"
#include "format/writer.h"
#include "token/tokenizer.h"

static const char *const names[] = { "llama3", "o200k", "tekken", "qwen35", "bailing", "seed", "deepseek3", "superbpe", "aya", "coder",
    "smollm", "removed", "regex", "previous", "next", "added", "falcon", "llama2", "llama2-unk", "metaspace-first", "metaspace-always",
    "unigram", "unigram-nfkc", "unigram-bytes", "unigram-words", "bert", "bert-cased", "bert-plain", "wordlevel", "clip",
    "subword-prefix", "byte-normalizer", "no-decoder" };

static struct pare_tokenizer *open_at(const char *path)
{
    struct pare_diag       d = { 0 };
    struct pare_tokenizer *t = NULL;
    char                   text[1024];

    if (pare_tokenizer_open(&t, path, &d) < 0) fail_msg("%s", pare_diag_format(&d, text, sizeof text));
    assert_non_null(t);
    return t;
}

static void check_ids(const struct pare_tokenizer *t, const char *what, size_t line, const char *text, size_t n, uint32_t flags,
                      const int32_t *want, size_t n_want)
{
    struct pare_ids  got = { 0 };
    struct pare_diag d = { 0 };

    assert_int_equal(pare_tokenizer_encode(t, text, n, flags, &got, &d), PARE_OK);
    if (got.n != n_want || (n_want > 0 && memcmp(got.ids, want, n_want * sizeof *want) != 0)) {
        for (size_t i = 0; i < got.n || i < n_want; i++)
            print_message("%zu: %d want %d\n", i, i < got.n ? got.ids[i] : -1, i < n_want ? want[i] : -1);
        fail_msg("%s, case %zu \"%.*s\"", what, line, (int)n, text);
    }
    pare_ids_free(&got);
}

/* Decoded at once and id by id: the same text, and no piece of the stream ends within a code point. */
static void check_text(const struct pare_tokenizer *t, const char *what, size_t line, const int32_t *ids, size_t n, const char *want, size_t m)
{
    struct pare_diag   d = { 0 };
    struct pare_detok *s;
    struct pare_buf    all = { .max = 1 << 24 };
    char              *text;
    const char        *piece;
    size_t             len;

    assert_int_equal(pare_tokenizer_decode(t, ids, n, PARE_TOK_VALID_UTF8, &text, &len, &d), PARE_OK);
    if (len != m || memcmp(text, want, m) != 0) fail_msg("%s, case %zu: \"%s\" want \"%s\"", what, line, text, want);
    assert_int_equal(pare_detok_create(&s, t, 0, &d), PARE_OK);
    for (size_t i = 0; i < n; i++) {
        json_t *whole;
        assert_int_equal(pare_detok_push(s, ids[i], &piece, &len, &d), PARE_OK);
        whole = json_stringn(piece, len); /* refuses anything but whole code points */
        assert_non_null(whole);
        json_decref(whole);
        pare_buf_add(&all, piece, len);
    }
    assert_int_equal(pare_detok_finish(s, &piece, &len, &d), PARE_OK);
    pare_buf_add(&all, piece, len);
    assert_int_equal(all.len, m);
    if (m > 0) assert_memory_equal(all.data, want, m);
    pare_buf_free(&all);
    pare_detok_destroy(&s);
    pare_free(text);
}

static int32_t *id_list(const json_t *a, size_t *n)
{
    int32_t *v = pare_alloc_array(json_array_size(a), sizeof *v);

    *n = json_array_size(a);
    for (size_t i = 0; i < *n; i++) v[i] = (int32_t)json_integer_value(json_array_get(a, i));
    return v;
}

static size_t check_lines(const struct pare_tokenizer *t, const char *path)
{
    FILE  *f = fopen(path, "rb");
    char   line[65536];
    size_t n = 0;

    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        json_t       *o = json_loads(line, JSON_ALLOW_NUL, NULL);
        const json_t *text = json_object_get(o, "text"), *decoded = json_object_get(o, "decoded");
        size_t        n_ids;
        int32_t      *ids = id_list(json_object_get(o, "ids"), &n_ids);
        assert_non_null(o);
        n++;
        check_ids(t, path, n, json_string_value(text), json_string_length(text), PARE_TOK_PARSE_SPECIAL, ids, n_ids);
        check_text(t, path, n, ids, n_ids, json_string_value(decoded), json_string_length(decoded));
        pare_free(ids);
        json_decref(o);
    }
    fclose(f);
    return n;
}

static void test_oracle_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char                   path[256];
        struct pare_tokenizer *t;
        snprintf(path, sizeof path, "tests/golden/tokenizer/%s.json", names[i]);
        t = open_at(path);
        snprintf(path, sizeof path, "tests/golden/tokenizer/%s.jsonl", names[i]);
        assert_int_equal(check_lines(t, path), 48);
        pare_tokenizer_close(&t);
    }
}

/* Writes a GGUF that holds a tokenizer and one number, reads its tokenizer. */
static struct pare_tokenizer *through_gguf(const struct pare_tokenizer *t, bool without_json)
{
    char                        path[] = "/tmp/pare-test-XXXXXX";
    int                         fd = mkstemp(path);
    struct pare_writer_settings s = { .path = path };
    struct pare_writer         *w = NULL;
    struct pare_checkpoint     *c = NULL;
    struct pare_tokenizer      *back = NULL;
    struct pare_diag            d = { 0 };
    const uint64_t              dims[1] = { 1 };
    const float                 one = 1;
    char                        text[1024];

    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    if (pare_writer_create(&w, &s, &d) < 0 || pare_writer_kv_str(w, "general.architecture", "llama", 5, &d) < 0 ||
        pare_tokenizer_emit_gguf(t, w, &d) < 0 || pare_writer_declare(w, "x", pare_dtype_of(PARE_F32), 1, dims, &d) < 0 ||
        pare_writer_layout(w, &d) < 0 || pare_writer_data(w, 0, &one, sizeof one, &d) < 0 || pare_writer_finish(w, &d) < 0)
        fail_msg("%s", pare_diag_format(&d, text, sizeof text));
    pare_writer_close(&w, false);
    assert_int_equal(pare_checkpoint_open(&c, path, &d), PARE_OK);
    if (without_json) assert_null(pare_kv_find(c, "pare.tokenizer_json"));
    if (pare_tokenizer_from_checkpoint(&back, c, &d) < 0) fail_msg("%s", pare_diag_format(&d, text, sizeof text));
    assert_non_null(back);
    pare_checkpoint_close(&c);
    unlink(path);
    return back;
}

static void test_gguf_round_trip(void **state)
{
    /* what GGUF's own keys can say has to be read from them alone */
    static const char *const plain[] = { "llama3", "o200k", "tekken", "bailing", "seed", "deepseek3", "superbpe", "aya", "coder", "smollm" };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char                   path[256];
        struct pare_tokenizer *t, *back;
        bool                   own = false;
        snprintf(path, sizeof path, "tests/golden/tokenizer/%s.json", names[i]);
        t = open_at(path);
        for (size_t k = 0; k < sizeof plain / sizeof plain[0]; k++) own = own || strcmp(plain[k], names[i]) == 0;
        back = through_gguf(t, own);
        snprintf(path, sizeof path, "tests/golden/tokenizer/%s.jsonl", names[i]);
        assert_int_equal(check_lines(back, path), 48);
        assert_int_equal(pare_tokenizer_n_vocab(back), pare_tokenizer_n_vocab(t));
        assert_int_equal(pare_tokenizer_add_bos(back), pare_tokenizer_add_bos(t));
        pare_tokenizer_close(&back);
        pare_tokenizer_close(&t);
    }
}

static char *slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    char *p = malloc(1 << 20);

    assert_non_null(f);
    *n = fread(p, 1, (1 << 20) - 1, f);
    p[*n] = '\0';
    fclose(f);
    return p;
}

/* Cases stand between lines "__ggml_vocab_test__", the ids of each in one line. */
static void check_vectors(const struct pare_tokenizer *t, const char *inp, const char *out)
{
    static const char mark[] = "\n__ggml_vocab_test__\n";
    size_t            n, m, k = 0;
    char             *a = slurp(inp, &n), *b = slurp(out, &m), *line = b, *text = a;

    while (*line != '\0') {
        char   *end = strchr(line, '\n'), *stop = strstr(text, mark);
        int32_t ids[512];
        size_t  count = 0;
        assert_non_null(end);
        for (char *p = line; p < end;) {
            char *q;
            long  v = strtol(p, &q, 10);
            if (q == p || q > end) break;
            ids[count++] = (int32_t)v;
            p = q;
        }
        check_ids(t, inp, ++k, text, stop == NULL ? strlen(text) : (size_t)(stop - text), 0, ids, count);
        line = end + 1;
        text = stop == NULL ? text + strlen(text) : stop + sizeof mark - 1;
    }
    assert_true(k >= 46);
    free(a);
    free(b);
}

static void test_public_vocabularies(void **state)
{
    static const char *const vocabs[] = { "bert-bge", "deepseek-coder", "falcon", "gpt-2", "llama-spm" };

    (void)state;
    for (size_t i = 0; i < sizeof vocabs / sizeof vocabs[0]; i++) {
        char                   name[256], path[1024], inp[1100], out[1100];
        struct pare_tokenizer *t, *back;
        snprintf(name, sizeof name, "data/tokenizers/gguf/ggml-vocab-%s.gguf", vocabs[i]);
        NEED_FIXTURE(fixture(path, name));
        snprintf(inp, sizeof inp, "%s.inp", path);
        snprintf(out, sizeof out, "%s.out", path);
        t = open_at(path);
        assert_null(pare_tokenizer_warning(t));
        check_vectors(t, inp, out);
        back = through_gguf(t, true);
        check_vectors(back, inp, out);
        pare_tokenizer_close(&back);
        pare_tokenizer_close(&t);
    }
}

static void check_as(const char *path, const char *vocab)
{
    struct pare_tokenizer *t = open_at(path), *back = through_gguf(t, false);
    char                   name[256], inp[1024], out[1024];

    snprintf(name, sizeof name, "data/tokenizers/gguf/ggml-vocab-%s.gguf.inp", vocab);
    NEED_FIXTURE(fixture(inp, name));
    snprintf(name, sizeof name, "data/tokenizers/gguf/ggml-vocab-%s.gguf.out", vocab);
    NEED_FIXTURE(fixture(out, name));
    check_vectors(t, inp, out);
    check_vectors(back, inp, out);
    pare_tokenizer_close(&t);
    pare_tokenizer_close(&back);
}

static void test_original_files(void **state)
{
    char path[1024];

    (void)state;
    NEED_FIXTURE(fixture(path, "data/tokenizers/llama2.tokenizer.model"));
    check_as(path, "llama-spm");
    NEED_FIXTURE(fixture(path, "data/tokenizers/gpt2"));
    check_as(path, "gpt-2");
}

static void test_demo_model(void **state)
{
    char                   path[1024];
    struct pare_tokenizer *t = open_at("data/demo-llama"), *back;
    struct pare_ids        ids = { 0 };
    struct pare_diag       d = { 0 };

    (void)state;
    assert_int_equal(pare_tokenizer_n_vocab(t), 8192);
    assert_int_equal(pare_tokenizer_bos(t), 0);
    assert_int_equal(pare_tokenizer_eos(t), 1);
    assert_true(pare_tokenizer_is_eog(t, 1));
    assert_int_equal(pare_tokenizer_encode(t, "hello world", 11, PARE_TOK_ADD_BOS, &ids, &d), PARE_OK);
    assert_int_equal(ids.n, 5);
    assert_int_equal(ids.ids[0], 0);
    pare_ids_free(&ids);
    pare_tokenizer_close(&t); /* a skipped test leaves nothing behind either */
    NEED_FIXTURE(fixture(path, "goldens/tokenizer/cases.jsonl"));
    t = open_at("data/demo-llama");
    assert_true(check_lines(t, path) >= 60);
    back = through_gguf(t, true);
    assert_true(check_lines(back, path) >= 60);
    pare_tokenizer_close(&back);
    pare_tokenizer_close(&t);
}

static void test_llama2c(void **state)
{
    char                   path[1024];
    struct pare_tokenizer *t;
    struct pare_ids        ids = { 0 };
    struct pare_diag       d = { 0 };
    const char            *text = "Once upon a time, there was a little girl named Zo\xC3\xAB.";
    char                  *back;
    size_t                 len;

    (void)state;
    NEED_FIXTURE(fixture(path, "data/stories260k/tok512.bin"));
    t = open_at(path);
    assert_int_equal(pare_tokenizer_n_vocab(t), 512);
    assert_int_equal(pare_tokenizer_encode(t, text, strlen(text), PARE_TOK_ADD_BOS, &ids, &d), PARE_OK);
    assert_int_equal(ids.ids[0], 1);
    assert_int_equal(pare_tokenizer_decode(t, ids.ids + 1, ids.n - 1, 0, &back, &len, &d), PARE_OK);
    assert_string_equal(back, text);
    pare_free(back);
    pare_ids_free(&ids);
    pare_tokenizer_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oracle_cases),   cmocka_unit_test(test_gguf_round_trip), cmocka_unit_test(test_public_vocabularies),
        cmocka_unit_test(test_original_files), cmocka_unit_test(test_demo_model),      cmocka_unit_test(test_llama2c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
