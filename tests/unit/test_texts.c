/* SPDX-License-Identifier: Apache-2.0
 * The texts that ship with the library: large enough, valid UTF-8, of many scripts, and no passage stands in both. A proof on
 * text that the calibration has seen would prove nothing. */
#include "fixture.h"

#include "eval/texts.h"

/* Passages count as shared from this many bytes on: longer than any common turn of phrase ("the President of the United
 * States of"), shorter than a sentence. */
#define SHARED 60

/* Decodes one character of n bytes strictly (RFC 3629: shortest form, no surrogates, at most U+10FFFF). Its length, 0 if invalid. */
static size_t utf8_char(const unsigned char *p, size_t n, uint32_t *c)
{
    size_t   len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };

    if (len == 0 || len > n) return 0;
    *c = len == 1 ? p[0] : p[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        *c = *c << 6 | (p[i] & 0x3fu);
    }
    return *c < least[len] || *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000) ? 0 : len;
}

static void check_text(const char *text, size_t n, size_t least, size_t most)
{
    enum { LATIN, CYRILLIC, ARABIC, DEVANAGARI, KANA, HAN, HANGUL, SCRIPTS };
    static const uint32_t range[SCRIPTS][2] = {
        { 'A', 'z' }, { 0x400, 0x4ff }, { 0x600, 0x6ff }, { 0x900, 0x97f }, { 0x3040, 0x30ff }, { 0x4e00, 0x9fff }, { 0xac00, 0xd7a3 },
    };
    uint64_t seen[SCRIPTS] = { 0 };

    assert_in_range(n, least, most);
    assert_int_equal(text[n - 1], '\n');
    for (size_t i = 0, len; i < n; i += len) {
        uint32_t c = 0;
        len = utf8_char((const unsigned char *)text + i, n - i, &c);
        if (len == 0) fail_msg("byte %zu is not UTF-8", i);
        if (c < 32 && c != '\n' && c != '\t') fail_msg("byte %zu is a control character", i);
        if (c == 0x7f || c == 0xfeff || c == 0xfffd) fail_msg("byte %zu: U+%04X does not belong in a text", i, (unsigned)c);
        for (int s = 0; s < SCRIPTS; s++) seen[s] += c >= range[s][0] && c <= range[s][1];
    }
    for (int s = 0; s < SCRIPTS; s++)
        if (seen[s] < 100) fail_msg("script %d has %llu characters only", s, (unsigned long long)seen[s]);
}

static void calibration_is_sound(void **state)
{
    size_t      n;
    const char *t = pare_text_calibration(&n);

    (void)state;
    check_text(t, n, 100 * 1024, 200 * 1024);
}

static void proof_is_sound(void **state)
{
    size_t      n;
    const char *t = pare_text_proof(&n);

    (void)state;
    check_text(t, n, 60 * 1024, 120 * 1024);
}

/* The embedded bytes are those of the repository's files. */
static void same_as_the_file(const char *path, const char *text, size_t n)
{
    FILE *f = fopen(path, "rb");
    char *file = malloc(n + 1);

    assert_non_null(f);
    assert_non_null(file);
    assert_int_equal(fread(file, 1, n + 1, f), n);
    assert_memory_equal(file, text, n);
    free(file);
    fclose(f);
}

static void embedded_as_they_lie(void **state)
{
    size_t      n;
    const char *t = pare_text_calibration(&n);

    (void)state;
    same_as_the_file("data/text/calibration.txt", t, n);
    t = pare_text_proof(&n);
    same_as_the_file("data/text/proof.txt", t, n);
}

/* Polynomial hash of SHARED bytes, rolled along by one. */
#define BASE 0x100000001b3ull
static uint64_t roll(uint64_t h, uint64_t top, unsigned char out, unsigned char in) { return (h - out * top) * BASE + in; }

static uint64_t first(const char *t, uint64_t *top)
{
    uint64_t h = 0;

    *top = 1;
    for (int i = 0; i < SHARED; i++) h = h * BASE + (unsigned char)t[i];
    for (int i = 1; i < SHARED; i++) *top *= BASE;
    return h;
}

/* How many positions of b begin a run of SHARED bytes that stands in a too. */
static size_t count_shared(const char *a, size_t na, const char *b, size_t nb, size_t *where)
{
    const size_t slots = 1u << 19;
    uint32_t    *table = calloc(slots, sizeof *table);
    uint64_t     h, top;
    size_t       found = 0;

    assert_non_null(table);
    assert_true(na >= SHARED && nb >= SHARED && na < slots / 2);
    h = first(a, &top);
    for (size_t i = 0;; i++) {
        size_t s = (h ^ h >> 29) % slots;
        while (table[s] != 0) s = (s + 1) % slots;
        table[s] = (uint32_t)i + 1;
        if (i + SHARED >= na) break;
        h = roll(h, top, (unsigned char)a[i], (unsigned char)a[i + SHARED]);
    }
    h = first(b, &top);
    for (size_t i = 0;; i++) {
        for (size_t s = (h ^ h >> 29) % slots; table[s] != 0; s = (s + 1) % slots) {
            if (memcmp(a + table[s] - 1, b + i, SHARED) != 0) continue;
            if (found++ == 0) *where = i;
            break;
        }
        if (i + SHARED >= nb) break;
        h = roll(h, top, (unsigned char)b[i], (unsigned char)b[i + SHARED]);
    }
    free(table);
    return found;
}

static void no_passage_stands_in_both(void **state)
{
    size_t      nc, np, where = 0;
    const char *c = pare_text_calibration(&nc), *p = pare_text_proof(&np);

    (void)state;
    if (count_shared(c, nc, p, np, &where) != 0) fail_msg("at byte %zu of the proof text: \"%.*s\"", where, SHARED, p + where);
}

/* The search itself: plants one run in a copy and finds exactly the positions that it makes. */
static void the_search_finds_a_planted_passage(void **state)
{
    size_t      nc, np, where = 0;
    const char *c = pare_text_calibration(&nc), *p = pare_text_proof(&np);
    char       *copy = malloc(np);

    (void)state;
    assert_non_null(copy);
    memcpy(copy, p, np);
    memcpy(copy + 5000, c + nc - SHARED - 2, SHARED + 2); /* to the very end of the calibration text */
    assert_in_range(count_shared(c, nc, copy, np, &where), 3, 5); /* three, and chance neighbours */
    assert_in_range(where, 4998, 5000);
    memcpy(copy, p, np);
    memcpy(copy + np - SHARED, c, SHARED); /* first passage, last place */
    assert_int_equal(count_shared(c, nc, copy, np, &where), 1);
    assert_int_equal(where, np - SHARED);
    memcpy(copy, p, np);
    memcpy(copy + 9000, c + 7000, SHARED - 8);
    assert_int_equal(count_shared(c, nc, copy, np, &where), 0);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calibration_is_sound),
        cmocka_unit_test(proof_is_sound),
        cmocka_unit_test(embedded_as_they_lie),
        cmocka_unit_test(no_passage_stands_in_both),
        cmocka_unit_test(the_search_finds_a_planted_passage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
