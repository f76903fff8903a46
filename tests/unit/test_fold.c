/* SPDX-License-Identifier: Apache-2.0
 * Rewrites change no logit: bit for bit for neutral arguments and signs, by the order of sums for permutations, by f32 rounding for scales
 * and rotations; what would not be exact is refused; a written file holds the rewritten model. */
#include "fixture.h"

#include <math.h>

#include "golden/rig.h"

#include "base/rng.h"
#include "compress/fold_verbs.h"
#include "compress/rewrite.h"

#define N 24
static const int32_t IDS[N] = { 172, 220, 184, 56, 205, 43, 92, 1, 7, 250, 33, 61, 5, 99, 140, 12, 77, 200, 201, 3, 8, 90, 91, 17 };
#define WIDE 8192

struct bench {
    struct rig         r;
    struct pare_folds *f;
    struct pare_sites  s;
    float             *base, *now;
    const char        *name;
};

static void open_bench(struct bench *b, const char *path)
{
    struct pare_diag d = { 0 };

    rig_open(&b->r, path, 64, 2, N, PARE_ACT_F32, PARE_F32);
    b->name = path;
    b->base = malloc(N * b->r.n_vocab * sizeof(float));
    b->now = malloc(N * b->r.n_vocab * sizeof(float));
    rig_forward(&b->r, IDS, N, true, b->base);
    if (pare_folds_create(&b->f, b->r.model, &d) < 0 || pare_sites_of(&b->s, b->r.model, &d) < 0) say(&d);
}

static void close_bench(struct bench *b)
{
    pare_sites_free(&b->s);
    pare_folds_destroy(&b->f);
    rig_close(&b->r);
    free(b->base);
    free(b->now);
}

/* Largest difference of a logit, against the largest logit; then the folds are taken back. */
static double changed(struct bench *b, const float *base)
{
    struct pare_diag d = { 0 };
    double           diff = 0, most = 0;

    rig_reset(&b->r);
    if (pare_fold_reload(b->r.model, b->r.job, &d) < 0) say(&d);
    rig_forward(&b->r, IDS, N, true, b->now);
    pare_folds_back(b->f, (struct pare_fold_mark){ 0 });
    for (size_t i = 0; i < (size_t)N * b->r.n_vocab; i++) {
        assert_true(isfinite(b->now[i]));
        diff = fmax(diff, fabs((double)b->now[i] - (double)base[i]));
        most = fmax(most, fabs((double)base[i]));
    }
    return diff / most;
}

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        struct pare_diag d = { 0 };                                                                                    \
        if ((call) < 0) say(&d);                                                                                       \
    } while (0)

static double rnd(uint64_t seed, uint64_t i) { return pare_rng_f64(seed, PARE_RNG_TEST, i); }

static void shuffle(uint32_t *p, uint32_t n, uint64_t seed)
{
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = (uint32_t)(rnd(seed, i) * i), t = p[i - 1];

        p[i - 1] = p[j];
        p[j] = t;
    }
}

static void neutral(struct bench *b)
{
    static double   one[WIDE];
    static uint32_t same[WIDE];

    for (uint32_t i = 0; i < WIDE; i++) one[i] = 1, same[i] = i;
    for (uint32_t i = 0; i < b->s.n; i++) {
        const struct pare_site *x = &b->s.site[i];

        if (x->scales) OK(pare_site_scale(b->f, x, one, &d));
        if (x->kind != PARE_SITE_NORM) OK(pare_site_permute(b->f, x, same, &d));
    }
    for (uint32_t i = 0; i < b->s.n_qk; i++)
        if (b->s.qk[i].exact) OK(pare_qk_scale(b->f, &b->s, &b->s.qk[i], one, &d));
    if (b->s.res.no_order == NULL) OK(pare_residual_permute(b->f, &b->s, same, &d));
    if (b->s.res.no_sign == NULL) OK(pare_residual_sign(b->f, &b->s, one, &d));
    assert_true(changed(b, b->base) == 0);
    assert_memory_equal(b->base, b->now, N * b->r.n_vocab * sizeof(float));
}

static void permutations(struct bench *b)
{
    static uint32_t p[WIDE];
    double          e;

    for (uint32_t i = 0; i < b->s.n; i++) {
        const struct pare_site *x = &b->s.site[i];
        uint32_t                run = x->head != 0 ? x->head : (uint32_t)x->own;

        for (uint32_t k = 0; k < x->own; k++) p[k] = k;
        for (uint64_t k = 0; k < x->own; k += run) shuffle(p + k, run, i + k);
        if (x->kind != PARE_SITE_NORM) OK(pare_site_permute(b->f, x, p, &d));
    }
    for (uint32_t k = 0; k < b->s.res.n; k++) p[k] = k;
    shuffle(p, b->s.res.n, 99);
    if (b->s.res.no_order == NULL) OK(pare_residual_permute(b->f, &b->s, p, &d));
    e = changed(b, b->base);
    print_message("  permutations %.1e", e);
    assert_true(e > 0 && e < 3e-6);
}

static void signs(struct bench *b)
{
    static double s[WIDE];
    double        most = 0;

    for (uint32_t i = 0; i < b->s.n; i++) {
        if (b->s.site[i].norm_add != 0) most = 3e-6; /* 1 + w is not kept as such: -(1 + w) - 1 is rounded */
        for (uint32_t k = 0; k < b->s.site[i].own; k++) s[k] = rnd(i, k) < 0.5 ? -1 : 1;
        if (b->s.site[i].scales) OK(pare_site_scale(b->f, &b->s.site[i], s, &d));
    }
    for (uint32_t k = 0; k < b->s.res.n; k++) s[k] = rnd(77, k) < 0.5 ? -1 : 1;
    if (b->s.res.no_sign == NULL) OK(pare_residual_sign(b->f, &b->s, s, &d));
    assert_true(changed(b, b->base) <= most); /* products keep their bits, sums their order */
}

static void scales(struct bench *b)
{
    static double s[WIDE];
    uint32_t      half = b->s.rotary / 2;
    double        e;

    for (uint32_t i = 0; i < b->s.n; i++) {
        const struct pare_site *x = &b->s.site[i];

        for (uint32_t k = 0; k < x->own; k++) s[k] = 0.25 + 3 * rnd(i, k);
        if (x->scales) OK(pare_site_scale(b->f, x, s, &d));
        else {
            struct pare_diag d = { 0 };
            assert_int_equal(pare_site_scale(b->f, x, s, &d), PARE_E_UNSUPPORTED);
        }
    }
    for (uint32_t i = 0; i < b->s.n_qk; i++) {
        struct pare_diag d = { 0 };
        uint32_t         dk = b->s.dk;

        for (uint32_t k = 0; k < b->s.n_head_kv * dk; k++) {
            uint32_t in = k % dk, first = in >= b->s.rotary ? in : b->s.pairs ? in & ~1u : in < half ? in : in - half;
            s[k] = 0.25 + 3 * rnd(i + 1000, k - in + first);
        }
        if (b->s.qk[i].exact) OK(pare_qk_scale(b->f, &b->s, &b->s.qk[i], s, &d));
        if (b->s.rotary == 0 || !b->s.qk[i].exact) continue;
        s[0] += 0.5; /* one channel of a pair alone */
        assert_int_equal(pare_qk_scale(b->f, &b->s, &b->s.qk[i], s, &d), PARE_E_USAGE);
    }
    e = changed(b, b->base);
    print_message("  scales %.1e", e);
    assert_true(e > 0 && e < 1e-4);
}

static void rotations(struct bench *b)
{
    struct pare_rotation h = { 0 }, q = { 0 }, v = { 0 };
    struct pare_diag     d = { 0 };
    double               e;

    OK(pare_rotation_random(&v, b->s.dv, 5, &d));
    for (uint32_t i = 0; i < b->s.n; i++) {
        if (b->s.site[i].kind != PARE_SITE_VALUE || !b->s.site[i].scales) continue;
        OK(pare_site_rotate(b->f, &b->s.site[i], &v, &d));
    }
    if (b->f != NULL && pare_folds_mark(b->f).n != 0) {
        e = changed(b, b->base);
        print_message("  values rotated %.1e", e);
        assert_true(e > 0 && e < 1e-4);
    }
    OK(pare_rotation_hadamard(&h, b->s.res.n, 0, 3, &d));
    OK(pare_rotation_random(&q, b->s.res.n, 4, &d));
    if (b->s.res.no_rotation != NULL) {
        assert_int_equal(pare_residual_rotate(b->f, &h, &d), PARE_E_UNSUPPORTED);
        print_message("  refused: %s", b->s.res.no_rotation);
        assert_true(changed(b, b->base) == 0);
    } else {
        bool tied = b->s.tied;

        OK(pare_residual_rotate(b->f, &h, &d));
        e = changed(b, b->base);
        print_message("  %sHadamard %.1e", tied ? "untied, " : "", e);
        assert_true(e > 0 && e < 1e-4);
        OK(pare_residual_rotate(b->f, &q, &d));
        OK(pare_residual_rotate(b->f, &h, &d)); /* one behind the other */
        e = changed(b, b->base);
        print_message("  dense %.1e", e);
        assert_true(e > 0 && e < 1e-4);
    }
    pare_rotation_free(&h);
    pare_rotation_free(&q);
    pare_rotation_free(&v);
}

/* Channel 3 counts for nothing in both models; in the second, channel 5 is made twice in its place. */
static void split(struct bench *b)
{
    static double s[WIDE];
    float        *without = malloc(N * b->r.n_vocab * sizeof *without);

    for (int turn = 0; turn < 2; turn++) {
        for (uint32_t i = 0; i < b->s.n; i++) {
            const struct pare_site *x = &b->s.site[i];

            if (x->kind != PARE_SITE_HIDDEN) continue;
            for (uint32_t k = 0; k < x->width; k++) s[k] = k != 3;
            OK(pare_fold_in(b->f, x->to[0], &(struct pare_fold_op){ .verb = PARE_FOLD_SCALE, .n = x->width, .value = s }, &d));
            if (turn == 1) OK(pare_site_split(b->f, x, 5, 3, &d));
        }
        if (turn == 0) {
            assert_true(changed(b, b->base) > 1e-5);
            memcpy(without, b->now, N * b->r.n_vocab * sizeof *without);
        } else {
            double e = changed(b, without);
            print_message("  split %.1e", e);
            assert_true(e < 3e-6);
        }
    }
    free(without);
}

static void shifts(struct bench *b)
{
    static double z[WIDE];
    uint32_t      n = 0;
    double        e;

    for (uint32_t i = 0; i < b->s.n; i++) {
        const struct pare_site *x = &b->s.site[i];
        struct pare_diag        d = { 0 };

        for (uint32_t k = 0; k < x->own; k++) z[k] = rnd(i + 50, k) - 0.5;
        if (x->shifts) OK(pare_site_shift(b->f, x, z, &d));
        else assert_int_equal(pare_site_shift(b->f, x, z, &d), PARE_E_UNSUPPORTED);
        n += x->shifts;
    }
    if (n == 0) return;
    e = changed(b, b->base);
    print_message("  %u shifts %.1e", n, e);
    assert_true(e > 0 && e < 1e-4);
}

static void all_verbs(const char *path)
{
    struct bench b;

    open_bench(&b, path);
    print_message("%s:", strrchr(path, '/') + 1);
    neutral(&b);
    permutations(&b);
    signs(&b);
    scales(&b);
    split(&b);
    shifts(&b);
    rotations(&b);
    print_message("\n");
    close_bench(&b);
}

static void test_here(void **state)
{
    (void)state;
    all_verbs("tests/golden/arch/models/llama");
    all_verbs("tests/golden/arch/models/gemma2");
    all_verbs("tests/golden/arch/models/falcon");
}

static void test_families(void **state)
{
    static const char *const more[] = { "qwen2", "qwen3", "gemma", "phi", "phi3", "gpt2", "opt", "gpt_neox", "cohere", "stablelm", "bloom",
                                        "olmo", "olmo2", "granite", "smollm3", "glm4", "minicpm3", "starcoder2", "helium" };
    char        path[1024], name[64];
    const char *p = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        snprintf(name, sizeof name, "models/arch/%s", more[i]);
        p = fixture(path, name);
        if (p != NULL) all_verbs(p);
    }
    NEED_FIXTURE(p);
}

/* The demo model is bf16, tied, of a real size. */
static void test_demo(void **state)
{
    (void)state;
    all_verbs("data/demo-llama");
}

/* Every kind of width: rotation and back again is the identity, lengths are kept, blocks fall back where there is no matrix. */
static void test_rotation(void **state)
{
    static const struct { uint64_t n, block; uint32_t order; } w[] = {
        { 64, 64, 1 }, { 48, 48, 12 }, { 40, 40, 20 }, { 28, 28, 28 }, { 576, 576, 36 }, { 4864, 4864, 76 }, { 18944, 18944, 148 },
        { 688, 16, 1 } /* 43 * 16: no 172, 344 or 688 of Paley's */, { 35, 1, 1 }
    };

    (void)state;
    for (size_t i = 0; i < sizeof w / sizeof *w; i++) {
        struct pare_rotation r;
        uint64_t             n = w[i].n;
        double              *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y), *tmp = malloc(n * sizeof *tmp), a = 0, b = 0, worst = 0;

        OK(pare_rotation_hadamard(&r, n, 0, 7, &d));
        assert_int_equal(r.block, w[i].block);
        assert_int_equal(r.order, w[i].order);
        for (uint64_t k = 0; k < n; k++) x[k] = y[k] = rnd(i, k) - 0.5;
        pare_rotation_apply(&r, y, tmp);
        for (uint64_t k = 0; k < n; k++) a += x[k] * x[k], b += y[k] * y[k];
        assert_true(fabs(a - b) < 1e-10 * a);
        if (r.block > 1) { /* one number is spread over its block evenly */
            double e[64] = { 0 };
            if (n <= 64) {
                e[0] = 1;
                pare_rotation_apply(&r, e, tmp);
                for (uint64_t k = 0; k < r.block; k++) assert_true(fabs(fabs(e[k]) - 1 / sqrt((double)r.block)) < 1e-12);
            }
        }
        pare_rotation_back(&r, y, tmp);
        for (uint64_t k = 0; k < n; k++) worst = fmax(worst, fabs(x[k] - y[k]));
        assert_true(worst < 1e-11);
        pare_rotation_free(&r);
        free(x);
        free(y);
        free(tmp);
    }
    {
        struct pare_rotation r, copy;
        struct pare_diag     d = { 0 };
        double               x[35], tmp[35];

        OK(pare_rotation_random(&r, 35, 1, &d));
        OK(pare_rotation_dense(&copy, 35, r.dense, &d)); /* checks that it is orthonormal */
        for (int i = 0; i < 35; i++) x[i] = i;
        pare_rotation_apply(&r, x, tmp);
        pare_rotation_back(&copy, x, tmp);
        for (int i = 0; i < 35; i++) assert_true(fabs(x[i] - i) < 1e-10);
        r.dense[3] += 0.01;
        pare_rotation_free(&copy);
        assert_int_equal(pare_rotation_dense(&copy, 35, r.dense, &d), PARE_E_USAGE);
        pare_rotation_free(&r);
    }
}

/* Written and opened again: the rewritten model, with a head of its own where rotation untied it. */
static void written(const char *from)
{
    const char          *out = "/tmp/pare-test-fold.gguf";
    struct bench         b;
    struct pare_targets  ts;
    struct pare_rotation h;
    struct rig           again;
    uint32_t            *pick;
    double               diff = 0, most = 0;

    open_bench(&b, from);
    OK(pare_rotation_hadamard(&h, b.s.res.n, 0, 3, &d));
    OK(pare_residual_rotate(b.f, &h, &d));
    OK(pare_targets_create(&ts, b.r.model, &d));
    OK(pare_targets_candidates(&ts, false, NULL, &d));
    pick = calloc(ts.n, sizeof *pick);
    for (uint32_t i = 0; i < ts.n; i++)
        for (uint32_t k = 0; k < ts.t[i].n_cand; k++)
            if (ts.t[i].cand[k].type == ts.t[i].slot->weight.type) pick[i] = k;
    OK(pare_rewrite_run(&(struct pare_rewrite){ .out = out, .ckpt = b.r.ckpt, .model = b.r.model, .ts = &ts, .pick = pick }, b.r.job, &d));
    rig_open(&again, out, 64, 2, N, PARE_ACT_F32, PARE_F32);
    assert_non_null(pare_checkpoint_tensor(again.ckpt, "output.weight"));
    assert_non_null(pare_checkpoint_tensor(again.ckpt, "token_embd.weight"));
    rig_forward(&again, IDS, N, true, b.now);
    for (size_t i = 0; i < (size_t)N * again.n_vocab; i++) {
        diff = fmax(diff, fabs((double)b.now[i] - (double)b.base[i]));
        most = fmax(most, fabs((double)b.base[i]));
    }
    assert_true(diff > 0 && diff < 1e-4 * most);
    rig_close(&again);
    pare_rotation_free(&h);
    pare_targets_free(&ts);
    free(pick);
    close_bench(&b);
    unlink(out);
}

static void test_written(void **state)
{
    char path[1024];

    (void)state;
    written("tests/golden/arch/models/llama");
    if (fixture(path, "models/arch/qwen2") != NULL) written(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rotation), cmocka_unit_test(test_here), cmocka_unit_test(test_families),
                                        cmocka_unit_test(test_demo), cmocka_unit_test(test_written) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
