/* SPDX-License-Identifier: Apache-2.0
 * Every dense family written as GGUF (f32, all slots in the order of units) and read again: the same logits. Rows that are
 * permuted on the way add up in another order, so the comparison allows the last bits; a wrong name, key or order costs all of
 * them. Families that GGUF cannot say must come back through pare.config, bit for bit. */
#include "fixture.h"

#include <math.h>

#include "base/file.h"
#include "base/rng.h"
#include "format/writer.h"
#include "golden/rig.h"

static char OUT[64], AGAIN[72]; /* files of this process */

static bool seen_before(struct pare_model *m, uint32_t u, uint32_t i)
{
    const char *name = pare_model_unit(m, u)->slot[i].name;

    for (uint32_t v = 0; v <= u; v++)
        for (uint32_t k = 0; k < (v == u ? i : pare_model_unit(m, v)->n_slots); k++)
            if (strcmp(pare_model_unit(m, v)->slot[k].name, name) == 0) return true;
    return false;
}

static void write_gguf(const char *in, const char *out)
{
    struct pare_diag            d = { 0 };
    struct pare_checkpoint     *c;
    struct pare_model          *m;
    struct pare_model_options   o = { .no_weights = true };
    struct pare_writer_settings s = { .path = out };
    struct pare_writer         *w;
    uint32_t                    n_units, t = 0;

    if (pare_checkpoint_open(&c, in, &d) < 0 || pare_model_create(&m, c, &o, NULL, &d) < 0 || pare_writer_create(&w, &s, &d) < 0 ||
        (c->n_kv == 0 && pare_model_emit_gguf(m, w, &d) < 0))
        say(&d);
    for (uint64_t i = 0; i < c->n_kv; i++)
        if (pare_writer_kv_copy(w, &c->kv[i], &d) < 0) say(&d);
    n_units = pare_model_info_of(m)->n_units;
    for (uint32_t u = 0; u < n_units; u++)
        for (uint32_t i = 0; i < pare_model_unit(m, u)->n_slots; i++) {
            const struct pare_slot *x = &pare_model_unit(m, u)->slot[i];
            uint64_t                dims[2] = { x->rows, x->cols };

            if (seen_before(m, u, i)) continue;
            if (pare_writer_declare(w, x->name, pare_dtype_of(PARE_F32), x->n_dims, x->n_dims == 1 ? &dims[1] : dims, &d) < 0) say(&d);
        }
    if (pare_writer_layout(w, &d) < 0) say(&d);
    for (uint32_t u = 0; u < n_units; u++)
        for (uint32_t i = 0; i < pare_model_unit(m, u)->n_slots; i++) {
            const struct pare_slot *x = &pare_model_unit(m, u)->slot[i];
            float                  *rows;

            if (seen_before(m, u, i)) continue;
            rows = malloc(x->rows * x->cols * sizeof *rows);
            if (pare_slot_out_rows(x, 0, x->rows, rows, &d) < 0) say(&d);
            if (pare_writer_data(w, t++, rows, x->rows * x->cols * sizeof *rows, &d) < 0) say(&d);
            free(rows);
        }
    if (pare_writer_finish(w, &d) < 0) say(&d);
    pare_writer_close(&w, false);
    pare_model_destroy(&m);
    pare_checkpoint_close(&c);
}

static double run_both(const char *family, const char *hf, const char *gguf, uint32_t n, double *std)
{
    struct rig a, b;
    int32_t    ids[40];
    float     *x, *y;
    double     far = 0, sq = 0, sum = 0;

    for (uint32_t i = 0; i < n; i++) ids[i] = (int32_t)((i * 37 + 11) % 256);
    rig_open(&a, hf, n, 2, 64, PARE_ACT_F32, PARE_F32);
    rig_open(&b, gguf, n, 2, 64, PARE_ACT_F32, PARE_F32);
    if (a.n_vocab != b.n_vocab) fail_msg("%s: vocabulary %u became %u", family, a.n_vocab, b.n_vocab);
    x = malloc((size_t)n * a.n_vocab * sizeof *x);
    y = malloc((size_t)n * a.n_vocab * sizeof *y);
    rig_forward(&a, ids, n, true, x);
    rig_forward(&b, ids, n, true, y);
    for (size_t i = 0; i < (size_t)n * a.n_vocab; i++) {
        far = fmax(far, fabs((double)x[i] - (double)y[i]));
        sum += (double)x[i];
        sq += (double)x[i] * (double)x[i];
    }
    sum /= n * a.n_vocab;
    *std = sqrt(sq / (n * a.n_vocab) - sum * sum);
    rig_close(&a);
    rig_close(&b);
    free(x);
    free(y);
    return far;
}

static void check_family(const char *models, const char *family)
{
    char   path[1200];
    double std, far;

    snprintf(path, sizeof path, "%s/%s", models, family);
    write_gguf(path, OUT);
    far = run_both(family, path, OUT, 33, &std);
    print_message("%-18s %.1e of the standard deviation\n", family, far / std);
    if (!(far <= 1e-4 * std)) fail_msg("%s: differs after the way through GGUF", family);
    /* What was read from GGUF is written as GGUF once more: nothing is permuted, so nothing may differ. */
    snprintf(AGAIN, sizeof AGAIN, "%s.2", OUT);
    write_gguf(OUT, AGAIN);
    far = run_both(family, OUT, AGAIN, 33, &std);
    if (far != 0) fail_msg("%s: differs when written a second time", family);
    unlink(AGAIN);
    unlink(OUT);
}

static void test_small_set(void **state)
{
    static const char *const names[] = { "llama", "gemma2", "falcon" };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) check_family("tests/golden/arch/models", names[i]);
}

static void test_all(void **state)
{
    static const char *const names[] = {
        "llama_scaled", "mistral", "qwen2", "qwen3", "gemma", "gemma3_text", "phi", "phi3", "gpt2", "gpt_neox", "gptj", "opt", "bloom",
        "falcon_rw", "starcoder2", "stablelm", "olmo", "olmo2", "olmo3", "granite", "cohere", "cohere2", "smollm3", "glm", "glm4",
        "exaone4", "internlm3", "nemotron", "seed_oss", "hunyuan_v1_dense", "ernie4_5", "minicpm3", "helium"
    };
    char        b[1024];
    const char *models = fixture(b, "models/arch"), *only = getenv("PARE_TEST_FAMILY");

    (void)state;
    NEED_FIXTURE(models);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (only == NULL || strcmp(only, names[i]) == 0) check_family(models, names[i]);
}

/* Single bytes of a good file's metadata changed: refused, or loaded and run, never anything else. */
static void test_mutations(void **state)
{
    uint8_t  *good;
    size_t    len, head = 0;
    uint32_t  ran = 0;

    (void)state;
    write_gguf("tests/golden/arch/models/gemma2", OUT);
    assert_int_equal(pare_read_file(OUT, 1 << 24, &good, &len, NULL), 0);
    while (memcmp(good + head, "blk.0.attn_norm.weight", 22) != 0) head++; /* names of tensors begin here */
    for (uint64_t trial = 0; trial < 1500; trial++) {
        struct pare_diag          d = { 0 };
        struct pare_checkpoint   *c = NULL;
        struct pare_model        *m = NULL;
        struct pare_job          *job;
        struct pare_job_settings  js;
        struct pare_model_options o = { .act_mode = PARE_ACT_F32, .n_ctx = 8 };
        size_t                    at = 8 + pare_rng_u64(1, PARE_RNG_TEST, trial) % (head - 8);
        uint8_t                   was = good[at];
        FILE                     *f = fopen(OUT, "wb");

        good[at] ^= (uint8_t)(1u << pare_rng_u64(2, PARE_RNG_TEST, trial) % 8);
        assert_int_equal(fwrite(good, 1, len, f), len);
        fclose(f);
        good[at] = was;
        pare_job_settings_default(&js);
        js.n_threads = 1;
        assert_int_equal(pare_job_create(&job, &js, &d), 0);
        if (pare_checkpoint_open(&c, OUT, &d) == 0 && pare_model_create(&m, c, &o, job, &d) == 0) {
            struct rig r = { .ckpt = c, .model = m, .job = job };
            int32_t    ids[3] = { 1, 2, 3 };
            float     *y = malloc(sizeof *y * pare_model_info_of(m)->n_vocab);

            if (pare_work_create(&r.work, m, 4, job, &d) == 0 && pare_session_create(&r.session, m, PARE_F32, 8, 0, &d) == 0) {
                rig_forward(&r, ids, 3, false, y);
                ran++;
            }
            free(y);
            rig_close(&r);
            continue;
        }
        assert_true(d.code < 0 && d.text[0] != '\0' && d.code != PARE_E_NOMEM);
        pare_checkpoint_close(&c);
        pare_job_destroy(&job);
    }
    assert_true(ran > 100 && ran < 1400);
    pare_free(good);
    unlink(OUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_small_set), cmocka_unit_test(test_all), cmocka_unit_test(test_mutations) };

    /* The writer syncs after every tensor; in memory that costs nothing. */
    snprintf(OUT, sizeof OUT, "%s/pare_test_arch_%d.gguf", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
