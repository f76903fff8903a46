/* SPDX-License-Identifier: Apache-2.0
 * The hand-written matchers against PCRE2 running the very pattern each stands for, on random texts of awkward characters. And
 * what is linear must stay so: long runs of one character. */
#include "fixture.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "token/tok_match.h"
#include "token/tok_pats.h"
#include "token/tok_unicode.h"

static const char *const patterns[] = { PAT_GPT2, PAT_LLAMA3, PAT_LLAMA3_POSS, PAT_LLAMA3_CLS, PAT_QWEN2, PAT_QWEN2_CLS, PAT_QWEN35,
    PAT_MINICPM5, PAT_SEED, PAT_BAILING, PAT_UFAKZEKA, PAT_O200K, PAT_O200K_CLS, PAT_TEKKEN, PAT_YOUTU, PAT_DEEPSEEK3, PAT_N13, PAT_N1,
    PAT_NRUN, PAT_ASCII3, PAT_NEWLINE, PAT_CJK_KANA, PAT_CJK_DS, PAT_WS_L, PAT_WS_P, PAT_WS_END, PAT_THREES, PAT_AYA, PAT_LINES };

static const char *const parts[] = { "a", "B", "the", "The", "'s", "'S", "'re", "'LL", "'\xC5\xBF", "'", "1", "22", "345", "6789012",
    "\xD9\xA4\xD9\xA5", "\xC2\xBD", "\xE2\x85\xAB", " ", "  ", "   ", "\n", "\r\n", "\t", "\xC2\xA0", "\xE2\x80\x83", "\xC2\x85", ".", "!?",
    "--", "$", "/", "_", "e\xCC\x81", "\xCC\x81", "\xCC\x96", "\xC3\x89", "\xC7\x85", "\xCA\xB0", "\xE4\xB8\xAD\xE6\x96\x87",
    "\xE3\x81\xB2", "\xED\x95\x9C", "\xF0\x9F\x98\x80", "\xE2\x80\x8D", "\x01", "\x7F", "HTTPServer", "aB", "\xE0\xA4\xB9\xE0\xA4\xBF" };

static uint32_t rnd(uint32_t *s)
{
    *s = *s * 1664525u + 1013904223u; /* Numerical Recipes */
    return *s >> 8;
}

/* As PCRE2 sees it: \s is the property White_Space (its own \s has U+180E too, which is not in the texts). */
static void compare(const char *pattern, const pcre2_code *re, pcre2_match_data *md, const struct pare_match *m, const char *text, size_t n)
{
    size_t at = 0;

    while (at <= n) {
        size_t      from = 0, to = 0;
        int         rc = pcre2_match(re, (PCRE2_SPTR)text, n, at, 0, md, NULL);
        bool        got = pare_match_next(m, (const uint8_t *)text, n, at, &from, &to);
        PCRE2_SIZE *v = pcre2_get_ovector_pointer(md);
        uint32_t    cp;
        if (got != (rc > 0) || (got && (v[0] != from || v[1] != to)))
            fail_msg("pattern %s\ntext \"%s\" at %zu: %d %zu-%zu, PCRE2 %d %zu-%zu", pattern, text, at, got, from, to, rc,
                     rc > 0 ? v[0] : 0, rc > 0 ? v[1] : 0);
        if (!got) return;
        at = to > from ? to : to < n ? to + pare_utf8_next((const uint8_t *)text + to, n - to, &cp) : n + 1;
    }
}

static void test_against_pcre(void **state)
{
    uint32_t seed = 20261120;

    (void)state;
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        int               err;
        PCRE2_SIZE        off;
        /* PCRE2's \b counts every number as a word character; the tokenizers' library counts those of tr18 */
        const char       *text_re = strcmp(patterns[i], PAT_AYA) == 0
                              ? "\\d{1,3}(?=(?:\\d{3})*(?<=\\d)(?![\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{200C}\\x{200D}]))" : patterns[i];
        pcre2_code       *re = pcre2_compile((PCRE2_SPTR)text_re, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &err, &off, NULL);
        pcre2_match_data *md = pcre2_match_data_create(16, NULL);
        struct pare_match m;
        assert_non_null(re);
        assert_true(pare_match_lookup(&m, patterns[i], strlen(patterns[i])));
        for (int k = 0; k < 3000; k++) {
            char text[512] = "";
            for (uint32_t c = rnd(&seed) % 14; c > 0; c--) strcat(text, parts[rnd(&seed) % (sizeof parts / sizeof parts[0])]);
            compare(patterns[i], re, md, &m, text, strlen(text));
        }
        pcre2_match_data_free(md);
        pcre2_code_free(re);
    }
}

/* A quadratic matcher would need hours here. */
static void test_long_runs(void **state)
{
    static const char *const unit[] = { "a", "A", "7", " ", "\n", "'", "\xCC\x81", "\xE4\xB8\xAD", " a", "\xFF" };
    size_t                   n = 1 << 20;
    char                    *text = malloc(n + 8);

    (void)state;
    for (size_t u = 0; u < sizeof unit / sizeof unit[0]; u++) {
        for (size_t k = 0; k + strlen(unit[u]) <= n; k += strlen(unit[u])) memcpy(text + k, unit[u], strlen(unit[u]));
        text[n] = 'x'; /* white space before a word is where naive matchers go back */
        for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
            struct pare_match m;
            size_t            at = 0, from, to, last = 0;
            assert_true(pare_match_lookup(&m, patterns[i], strlen(patterns[i])));
            while (at <= n && pare_match_next(&m, (uint8_t *)text, n + 1, at, &from, &to)) {
                assert_true(from >= last && to >= from && to <= n + 1);
                last = to;
                at = to > from ? to : to + 1;
            }
        }
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_against_pcre), cmocka_unit_test(test_long_runs) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
