/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_jinja.c: the template interpreter: 200 small templates against jinja2 3.1 (tests/golden/templates/cases.jsonl, made
 * with the sandboxed environment, trim_blocks, lstrip_blocks and loop controls), then what jinja2 does not have: bounds, memory that
 * fails, and methods that change their object. */
#include "fixture.h"

#include <pare/template.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "token/jinja.h"

static int render(const char *tmpl, const char *ctx, char **out, struct pare_diag *diag)
{
    size_t len = 0;

    *diag = (struct pare_diag){ 0 };
    return pare_template_render(tmpl, strlen(tmpl), ctx, "2026-11-20T09:05:07", out, &len, diag);
}

static void expect(const char *tmpl, const char *ctx, const char *want)
{
    struct pare_diag diag;
    char            *out, buf[1024];

    if (render(tmpl, ctx, &out, &diag) != 0) fail_msg("%s: %s", tmpl, pare_diag_format(&diag, buf, sizeof buf));
    assert_string_equal(out, want);
    pare_free(out);
}

static void refuse(const char *tmpl, const char *ctx, int code, const char *text)
{
    struct pare_diag diag;
    char            *out;
    int              rc = render(tmpl, ctx, &out, &diag);

    if (rc != code || strstr(diag.text, text) == NULL) fail_msg("%.200s: %d, %s", tmpl, rc, diag.text);
    assert_null(out);
}

/* ---- against the reference */

static void one_case(const json_t *c, const char *ctx, const char *date)
{
    const char      *tmpl = json_string_value(json_object_get(c, "template"));
    const json_t    *want = json_object_get(c, "expect");
    struct pare_diag diag = { 0 };
    char            *out = NULL, buf[1024];
    size_t           len = 0;
    int              rc = pare_template_render(tmpl, json_string_length(json_object_get(c, "template")), ctx, date, &out, &len, &diag);

    if (want == NULL) {
        if (rc == 0) fail_msg("%s: jinja2 raises %s, we render %s", tmpl, json_string_value(json_object_get(c, "error")), out);
        assert_memory_equal(diag.text, "line ", 5);
    } else {
        if (rc != 0) fail_msg("%s: %s", tmpl, pare_diag_format(&diag, buf, sizeof buf));
        if (len != json_string_length(want) || memcmp(out, json_string_value(want), len) != 0)
            fail_msg("%s:\ngot  %s\nwant %s", tmpl, out, json_string_value(want));
    }
    pare_free(out);
}

static void reference_cases(void **state)
{
    struct pare_diag diag = { 0 };
    uint8_t         *data;
    size_t           n, count = 0;
    char            *ctx = NULL;
    json_t          *head = NULL, *c;

    (void)state;
    assert_int_equal(pare_read_file("tests/golden/templates/cases.jsonl", 1 << 22, &data, &n, &diag), 0);
    for (char *p = (char *)data, *end; (end = memchr(p, '\n', n - (size_t)(p - (char *)data))) != NULL; p = end + 1) {
        assert_int_equal(pare_json_load(&c, p, (size_t)(end - p), "cases.jsonl", &diag), 0);
        if (head == NULL) { /* the first line holds the variables of all */
            head = c;
            ctx = pare_json_text(json_object_get(head, "context"));
            continue;
        }
        one_case(c, ctx, json_string_value(json_object_get(head, "date")));
        json_decref(c);
        count++;
    }
    assert_true(count >= 150);
    json_decref(head);
    pare_free(ctx);
    pare_free(data);
}

/* ---- what is ours */

static void changing_methods(void **state)
{
    (void)state;
    expect("{% set l = [1] %}{{ l.append(2) }}{{ l }}{{ l.pop() }}{{ l }}{{ l.insert(0, 5) }}{{ l }}{{ l.extend([7, 8]) }}{{ l }}{{ l.pop(0) }}"
           "{{ l.remove(7) }}{{ l }}",
           "{}", "None[1, 2]2[1]None[5, 1]None[5, 1, 7, 8]5None[1, 8]");
    expect("{% set d = {'a': 1} %}{{ d.update({'b': 2}, c=3) }}{{ d }}{{ d.pop('a') }}{{ d }}{{ d.pop('q', 9) }}{{ d.setdefault('z', 4) }}{{ d }}",
           "{}", "None{'a': 1, 'b': 2, 'c': 3}1{'b': 2, 'c': 3}94{'b': 2, 'c': 3, 'z': 4}");
    /* as in the sandbox, they cannot be seen: a tool parameter called "pop" is not a method */
    expect("{{ d.pop is defined }}{{ d['update'] is defined }}", "{\"d\":{}}", "FalseFalse");
    expect("{% set d = {} %}{% for i in range(100) %}{{ d.update({i: i * i}) or '' }}{% endfor %}{{ d[99] }} {{ d|length }} {{ 50 in d }} {{ 100 in d }}",
           "{}", "9801 100 True False");
}

static void json_in_and_out(void **state)
{
    (void)state;
    expect("{{ '[1, {\"a\": null}]'|from_json }}", "{}", "[1, {'a': None}]");
    refuse("{{ '[1'|from_json }}", "{}", PARE_E_CORRUPT, "not valid JSON");
    expect("{{ x|tojson }}", "{\"x\":{\"z\":1,\"a\":[true,false,null,1.0,\"\\u00e9\\n\"]}}", "{\"z\": 1, \"a\": [true, false, null, 1.0, \"\xc3\xa9\\n\"]}");
}

static void errors_say_where(void **state)
{
    (void)state;
    refuse("a\n\n{{ x.y }}", "{}", PARE_E_CORRUPT, "line 3: 'x' is undefined");
    refuse("{% if true %}\n{{ 1 + }}\n{% endif %}", "{}", PARE_E_CORRUPT, "line 2: expected an expression, got }}");
    refuse("\n{{ raise_exception('roles must\nalternate') }}", "{}", PARE_E_USAGE, "line 2: roles must alternate");
    refuse("{{ x|nothing }}", "{}", PARE_E_UNSUPPORTED, "no filter named 'nothing'");
    refuse("{% include 'x' %}", "{}", PARE_E_UNSUPPORTED, "other templates");
    refuse("{% macro f() %}\n{{ u.v }}{% endmacro %}\n\n{{ f() }}", "{}", PARE_E_CORRUPT, "line 2: 'u' is undefined");
    refuse("\xff", "{}", PARE_E_CORRUPT, "UTF-8 at byte 0");
    refuse("x", "[]", PARE_E_USAGE, "JSON object");
    refuse("x", "{", PARE_E_CORRUPT, "not valid JSON");
    refuse("{{ 9223372036854775807 + 1 }}", "{}", PARE_E_UNSUPPORTED, "64 bits");
    refuse("{{ 9223372036854775808 }}", "{}", PARE_E_UNSUPPORTED, "64 bits");
}

static void dates(void **state)
{
    struct pare_diag diag = { 0 };
    char            *out;
    size_t           n;

    (void)state;
    assert_int_equal(pare_template_render("{{ strftime_now('%d %b %Y') }}", 30, "{}", "2024-02-29", &out, &n, &diag), 0);
    assert_string_equal(out, "29 Feb 2024");
    pare_free(out);
    assert_int_equal(pare_template_render("x", 1, "{}", "2024-13-01", &out, &n, &diag), PARE_E_USAGE);
    diag = (struct pare_diag){ 0 };
    assert_int_equal(pare_template_render("x", 1, "{}", "tomorrow", &out, &n, &diag), PARE_E_USAGE);
    diag = (struct pare_diag){ 0 };
    assert_int_equal(pare_template_render("{{ strftime_now('%Y')|int > 2024 }}", 35, "{}", NULL, &out, &n, &diag), 0);
    assert_string_equal(out, "True");
    pare_free(out);
}

/* ---- bounds */

static char *repeat(const char *what, size_t times, const char *tail)
{
    size_t n = strlen(what), m = strlen(tail);
    char  *s = malloc(n * times + m + 1);

    assert_non_null(s);
    for (size_t i = 0; i < times; i++) memcpy(s + i * n, what, n);
    memcpy(s + n * times, tail, m + 1);
    return s;
}

static void bounds(void **state)
{
    static const struct {
        const char *what, *tail;
        size_t      times;
    } deep[] = { { "{{ ", "", 1 },          { "(", "", 100000 },   { "{% if 1 %}", "", 1000 },   { "-", "1", 100000 },
                 { "[", "", 100000 },       { "not ", "1", 10 },   { "x.", "x", 10000 },         { "x|e|", "e", 10000 },
                 { "1 if ", "1", 100000 },  { "x(", "", 10000 },   { "{'a':", "", 10000 },       { "x[", "", 100000 } };

    (void)state;
    for (size_t i = 0; i < sizeof deep / sizeof deep[0]; i++) {
        char            *inner = repeat(deep[i].what, deep[i].times, deep[i].tail), *s = repeat(inner[0] == '{' && inner[1] == '%' ? "" : "{{ ", 1, inner), *out;
        struct pare_diag diag;
        (void)render(s, "{}", &out, &diag); /* any answer, no crash */
        pare_free(out);
        free(inner);
        free(s);
    }
    refuse("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{}", PARE_E_LIMIT, "deeper");
    refuse("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "{}", PARE_E_LIMIT, "operations");
    refuse("{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}", "{}", PARE_E_LIMIT, "more than");
    refuse("{% for a in range(90000) %}{{ 'x' * 1000 }}{% endfor %}", "{}", PARE_E_LIMIT, "output exceeds 8 MiB");
    refuse("{{ 'x' * 999999999999 }}", "{}", PARE_E_LIMIT, "too long");
    refuse("{{ [0] * 99999999 }}", "{}", PARE_E_LIMIT, "");
    refuse("{{ 'x'.center(999999999) }}", "{}", PARE_E_LIMIT, "");
    refuse("{{ '%999999999d' % 1 }}{{ '{:999999999}'.format(1) }}", "{}", PARE_E_LIMIT, "wider");
    refuse("{{ range(100001) }}", "{}", PARE_E_LIMIT, "range()");
    refuse("{% set ns = namespace(s='x') %}{% for i in range(40) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "{}", PARE_E_LIMIT, "");
    refuse("{% set l = [] %}{{ l.append(l) }}{{ l }}", "{}", PARE_E_LIMIT, "deeper");
    refuse("{% set l = [] %}{{ l.append(l) }}{{ l|tojson }}", "{}", PARE_E_LIMIT, "deeper");
    refuse("{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}", "{}", PARE_E_LIMIT, "");
}

/* A conversation gathered piece by piece stays linear: 4 MB of text in 4,000 pieces fit the pool of 64 MB. */
static void gathering_is_linear(void **state)
{
    struct pare_diag diag;
    char            *out;

    (void)state;
    assert_int_equal(render("{% set ns = namespace(s='') %}{% set p = 'x' * 1000 %}{% for i in range(4000) %}{% set ns.s = ns.s + p + '\\n' %}"
                            "{% endfor %}{{ ns.s }}",
                            "{}", &out, &diag),
                     0);
    assert_int_equal(strlen(out), 4000 * 1001);
    for (size_t i = 0; i < 4000; i++) assert_true(out[i * 1001] == 'x' && out[i * 1001 + 1000] == '\n');
    pare_free(out);
    /* two strings grown from one prefix do not see each other */
    expect("{% set a = 'x' * 300 + 'y' %}{% set b = a + 'B' %}{% set c = a + 'C' %}{{ b[-2:] }}{{ c[-2:] }}{{ a[-1] }}", "{}", "yByCy");
}

/* Every allocation fails once; nothing crashes, nothing stays. */
static void failing_memory(void **state)
{
    static const char tmpl[] = "{% macro f(a) %}{{ a }}{{ caller() }}{% endmacro %}{% call f(1) %}x{% endcall %}{% for k, v in d|dictsort %}"
                               "{{ k ~ v|tojson }}{% endfor %}{% set b %}{{ 'a-b'.split('-') }}{{ '%5s' % 'q' }}{% endset %}{{ b|upper }}"
                               "{{ '{\"q\": [1]}'|from_json }}{{ ['b', 'a']|sort|join(',') }}";
    static const char ctx[] = "{\"d\":{\"b\":[1,2.5,\"\\u00e9\"],\"a\":{\"x\":null}}}";
    uint64_t          live = pare_mem_live();
    struct pare_diag  diag;
    char             *out;
    unsigned          failures = 0;

    (void)state;
    for (uint64_t n = 1; n < 1000; n++) {
        int rc;
        pare_mem_fail_after(n);
        rc = render(tmpl, ctx, &out, &diag);
        pare_mem_fail_after(0);
        if (rc == 0) {
            pare_free(out);
            assert_int_equal(pare_mem_live(), live);
            break;
        }
        failures++;
        assert_null(out);
        assert_int_equal(pare_mem_live(), live);
    }
    assert_true(failures > 5 && failures < 999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_cases), cmocka_unit_test(changing_methods), cmocka_unit_test(json_in_and_out),
        cmocka_unit_test(errors_say_where), cmocka_unit_test(dates),           cmocka_unit_test(bounds),
        cmocka_unit_test(gathering_is_linear), cmocka_unit_test(failing_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
