/* SPDX-License-Identifier: Apache-2.0
 * src/eval/report_html.c: the report of a fit as one self-contained page: no scripts, no outside references. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "eval/fit.h"
#include "eval/svg.h"

static double num(const json_t *o, const char *k)
{
    const json_t *v = json_object_get(o, k);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static const char *str(const json_t *o, const char *k)
{
    const char *s = json_string_value(json_object_get(o, k));
    return s == NULL ? "" : s;
}

static const char style[] =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:940px;margin:2em auto;padding:0 1em;color:#1c2733;background:#fff}"
    "h1{font-size:1.5em;margin-bottom:.1em}h2{font-size:1.1em;margin:2em 0 .4em;border-bottom:1px solid #d5dde5}"
    "table{border-collapse:collapse}td,th{padding:.2em 1em .2em 0;text-align:right}td:first-child,th:first-child{text-align:left}"
    "th{font-weight:600;border-bottom:1px solid #d5dde5}.se{color:#6b7a89;font-size:.9em}svg{width:100%;max-width:860px;height:auto}"
    "svg text{font-size:12px;fill:#3b4a59}.grid{stroke:#e7ecf1}.curve{stroke:#2f6fb0;stroke-width:2;fill:none}"
    ".pred{fill:#2f6fb0}.tried{fill:#e08a1e}.meas{fill:#c0392b}.bar{fill:#8fb4d9}.note{color:#55636f}"
    "@media(prefers-color-scheme:dark){body{background:#14191f;color:#d8e0e8}svg text{fill:#b6c2ce}.grid{stroke:#2a343e}"
    "td,th,h2{border-color:#2a343e}}";

static void cell(struct pare_buf *b, double v, const char *fmt, double se)
{
    if (v - v != 0) {
        pare_buf_str(b, "<td>–</td>");
        return;
    }
    pare_buf_str(b, "<td>");
    pare_buf_printf(b, fmt, v); /* fmt: one of the literals below */
    if (se - se == 0) {
        pare_buf_str(b, " <span class=\"se\">± ");
        pare_buf_printf(b, fmt, se);
        pare_buf_str(b, "</span>");
    }
    pare_buf_str(b, "</td>");
}

static void row(struct pare_buf *b, const char *name, const char *fmt, double before, double se_before, double after, double se)
{
    pare_buf_printf(b, "<tr><td>%s</td>", name);
    cell(b, before, fmt, se_before);
    cell(b, after, fmt, se);
    pare_buf_str(b, "</tr>\n");
}

static void summary(struct pare_buf *b, const json_t *doc)
{
    const json_t *o = json_object_get(doc, "original"), *m = json_object_get(doc, "measured"), *p = json_object_get(doc, "predicted");

    pare_buf_str(b, "<table><tr><th></th><th>original</th><th>fitted</th></tr>\n");
    row(b, "file, MB", "%.3f", num(o, "bytes") / 1e6, NAN, (m ? num(m, "bytes") : num(p, "bytes")) / 1e6, NAN);
    row(b, "bits a weight", "%.3f", num(o, "bpw"), NAN, num(p, "bpw"), NAN);
    if (m != NULL) {
        row(b, "peak memory of a run, MB", "%.1f", num(o, "peak_rss") / 1e6, NAN, num(m, "peak_rss") / 1e6, NAN);
        row(b, "decode, tokens/s", "%.1f", num(o, "decode_tps"), NAN, num(m, "decode_tps"), NAN);
        row(b, "prefill, tokens/s", "%.1f", num(o, "prefill_tps"), NAN, num(m, "prefill_tps"), NAN);
        row(b, "perplexity", "%.4f", num(m, "ppl_base"), num(m, "ppl_base_se"), num(m, "ppl"), num(m, "ppl_se"));
        row(b, "KL divergence, mean (nats)", "%.6f", NAN, NAN, num(m, "kld_mean"), num(m, "kld_se"));
        row(b, "KL divergence, 99.9 %", "%.5f", NAN, NAN, num(m, "kld_p999"), num(m, "kld_p999_se"));
        row(b, "same first choice, %", "%.2f", NAN, NAN, 100 * num(m, "top1"), 100 * num(m, "top1_se"));
    }
    row(b, "predicted KL divergence", "%.6f", NAN, NAN, num(p, "kld"), NAN);
    row(b, "predicted peak memory of a run, MB", "%.1f", NAN, NAN, num(p, "peak_rss") / 1e6, NAN);
    pare_buf_str(b, "</table>\n");
    if (m != NULL)
        pare_buf_printf(b, "<p class=\"note\">Measured on %.0f tokens of text that calibration did not see; ± is one standard error. "
                           "%.0f of %.0f windows were left out because the original itself does not predict them.</p>\n",
                        num(m, "tokens"), num(m, "windows_left_out"), num(m, "windows"));
}

/* Ranges of the size-loss plot over all its points. */
static void bounds(struct pare_svg *s, const json_t *curve, double mx, double my)
{
    const json_t *p;
    size_t        i;

    s->x0 = s->y0 = INFINITY;
    s->x1 = s->y1 = 0;
    json_array_foreach(curve, i, p) {
        double x = num(p, "bytes") / 1e6, y = num(p, "kld");
        if (!(y > 0)) continue;
        s->x0 = fmin(s->x0, x);
        s->x1 = fmax(s->x1, x);
        s->y0 = fmin(s->y0, y);
        s->y1 = fmax(s->y1, y);
    }
    if (my > 0) {
        s->x0 = fmin(s->x0, mx);
        s->x1 = fmax(s->x1, mx);
        s->y0 = fmin(s->y0, my);
        s->y1 = fmax(s->y1, my);
    }
    s->y0 *= 0.8;
    s->y1 *= 1.25;
    s->x0 -= 0.02 * (s->x1 - s->x0);
    s->x1 += 0.02 * (s->x1 - s->x0) + 1e-6;
}

static void size_loss(struct pare_buf *b, const json_t *doc)
{
    const json_t   *curve = json_object_get(doc, "curve"), *m = json_object_get(doc, "measured"), *p;
    struct pare_svg s = { .log_y = true };
    double          data = 0, lx = NAN, ly = NAN;
    size_t          i;
    char            tip[96];

    json_array_foreach(json_object_get(doc, "plan"), i, p) data += num(p, "bytes");
    if (json_array_size(curve) < 3) return;
    pare_buf_str(b, "<h2>Loss against size</h2>\n");
    bounds(&s, curve, data / 1e6, m != NULL ? num(m, "kld_mean") : 0);
    if (!(s.y1 > s.y0)) return;
    pare_svg_begin(&s, b, 860, 360, "tensor data, MB", "KL divergence, nats a token");
    json_array_foreach(curve, i, p) {
        double x = num(p, "bytes") / 1e6, y = num(p, "kld");
        if (!(y > 0) || json_is_number(json_object_get(p, "tried"))) continue;
        if (lx - lx == 0) pare_svg_line(&s, lx, ly, x, y, "curve");
        snprintf(tip, sizeof tip, "predicted: %.3f MB, %.6f", x, y);
        pare_svg_dot(&s, x, y, 3, "pred", tip);
        lx = x;
        ly = y;
    }
    json_array_foreach(curve, i, p) {
        if (!json_is_number(json_object_get(p, "tried")) || !(num(p, "tried") > 0)) continue;
        snprintf(tip, sizeof tip, "tried on calibration text: %.3f MB, %.6f", num(p, "bytes") / 1e6, num(p, "tried"));
        pare_svg_dot(&s, num(p, "bytes") / 1e6, num(p, "tried"), 5, "tried", tip);
    }
    if (m != NULL && num(m, "kld_mean") > 0) {
        snprintf(tip, sizeof tip, "measured on the proof text: %.6f", num(m, "kld_mean"));
        pare_svg_dot(&s, data / 1e6, num(m, "kld_mean"), 5, "meas", tip);
    }
    pare_svg_end(&s);
    pare_buf_str(b, "<p class=\"note\">Blue: the best plan at each size, predicted. Orange: plans that were tried on calibration text. "
                    "Red: the file that was written, on the proof text.</p>\n");
}

/* Bits of every tensor: a row a role, a column a layer, darker is more bits. */
static void bits_map(struct pare_buf *b, const json_t *plan)
{
    char          roles[32][48];
    uint32_t      n_roles = 0, layers = 0;
    const json_t *e;
    size_t        i;
    double        cw, ch = 22;

    json_array_foreach(plan, i, e) {
        unsigned layer;
        int      at = 0;
        uint32_t k;
        if (sscanf(str(e, "tensor"), "blk.%u.%n", &layer, &at) != 1 || at == 0) continue;
        if (layer + 1 > layers) layers = layer + 1;
        for (k = 0; k < n_roles && strcmp(roles[k], str(e, "tensor") + at) != 0; k++) {}
        if (k == n_roles && n_roles < 32 && strlen(str(e, "tensor") + at) < sizeof roles[0]) snprintf(roles[n_roles++], sizeof roles[0], "%s", str(e, "tensor") + at);
    }
    pare_buf_str(b, "<h2>Bits per tensor</h2>\n");
    if (n_roles == 0) return;
    cw = 700.0 / layers;
    pare_buf_printf(b, "<svg viewBox=\"0 0 860 %.0f\" role=\"img\">\n", n_roles * ch + 30);
    for (uint32_t k = 0; k < n_roles; k++) {
        pare_buf_printf(b, "<text x=\"140\" y=\"%.1f\" text-anchor=\"end\">", k * ch + 15);
        pare_html_text(b, roles[k]);
        pare_buf_str(b, "</text>\n");
    }
    json_array_foreach(plan, i, e) {
        unsigned layer;
        int      at = 0;
        uint32_t k;
        double   bits = 8 * num(e, "bytes") / (num(e, "rows") * num(e, "cols")), dark = (bits - 2) / 7;
        if (sscanf(str(e, "tensor"), "blk.%u.%n", &layer, &at) != 1 || at == 0) continue;
        for (k = 0; k < n_roles && strcmp(roles[k], str(e, "tensor") + at) != 0; k++) {}
        if (k == n_roles) continue;
        dark = dark < 0 ? 0 : dark > 1 ? 1 : dark;
        pare_buf_printf(b, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"hsl(208 60%% %.0f%%)\"><title>",
                        150 + layer * cw, k * ch, cw - 1, ch - 1, 92 - 62 * dark);
        pare_html_text(b, str(e, "tensor"));
        pare_buf_printf(b, ": %s, %.3f bits a weight, error %.2e, loss %.2e</title></rect>\n", str(e, "type"), bits, num(e, "error"), num(e, "loss"));
        if (cw > 26)
            pare_buf_printf(b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" style=\"fill:%s\">%.1f</text>\n",
                            150 + layer * cw + cw / 2, k * ch + 15, dark > 0.5 ? "#fff" : "#1c2733", bits);
    }
    pare_buf_printf(b, "<text x=\"500\" y=\"%.1f\" text-anchor=\"middle\">layer 0 … %u</text>\n</svg>\n", n_roles * ch + 18, layers - 1);
}

static void tensor_table(struct pare_buf *b, const json_t *plan)
{
    const json_t *e;
    size_t        i;

    pare_buf_str(b, "<details><summary>Every tensor</summary><table><tr><th>tensor</th><th>type</th><th>shape</th><th>bytes</th>"
                    "<th>bits</th><th>relative error</th><th>predicted loss</th></tr>\n");
    json_array_foreach(plan, i, e) {
        pare_buf_str(b, "<tr><td>");
        pare_html_text(b, str(e, "tensor"));
        pare_buf_printf(b, "</td><td>%s</td><td>%.0f × %.0f</td><td>%.0f</td><td>%.3f</td><td>%.3e</td><td>%.3e</td></tr>\n", str(e, "type"),
                        num(e, "rows"), num(e, "cols"), num(e, "bytes"), 8 * num(e, "bytes") / (num(e, "rows") * num(e, "cols")),
                        num(e, "error"), num(e, "loss"));
    }
    pare_buf_str(b, "</table></details>\n");
}

/* Predicted and measured side by side, as bars of equal scale. */
static void predicted_measured(struct pare_buf *b, const json_t *doc)
{
    const json_t *p = json_object_get(doc, "predicted"), *m = json_object_get(doc, "measured");
    struct { const char *name; double a, z; } q[] = {
        { "KL divergence", num(p, "kld"), num(m, "kld_mean") },
        { "file size", num(p, "bytes"), num(m, "bytes") },
        { "peak memory of a run", num(p, "peak_rss"), num(m, "peak_rss") },
    };
    double y = 0;

    if (m == NULL) return;
    pare_buf_str(b, "<h2>Predicted against measured</h2>\n<svg viewBox=\"0 0 860 168\" role=\"img\">\n");
    for (size_t i = 0; i < sizeof q / sizeof *q; i++, y += 54) {
        double max = fmax(q[i].a, q[i].z);
        if (!(max > 0) || q[i].a - q[i].a != 0 || q[i].z - q[i].z != 0) continue;
        pare_buf_printf(b, "<text x=\"150\" y=\"%.0f\" text-anchor=\"end\">%s</text>"
                           "<rect class=\"bar\" x=\"160\" y=\"%.0f\" width=\"%.1f\" height=\"18\"/><text x=\"%.1f\" y=\"%.0f\">predicted %.6g</text>"
                           "<rect class=\"meas\" x=\"160\" y=\"%.0f\" width=\"%.1f\" height=\"18\"/><text x=\"%.1f\" y=\"%.0f\">measured %.6g</text>\n",
                        y + 24, q[i].name, y, 500 * q[i].a / max, 168 + 500 * q[i].a / max, y + 14, q[i].a, y + 20, 500 * q[i].z / max,
                        168 + 500 * q[i].z / max, y + 34, q[i].z);
    }
    pare_buf_str(b, "</svg>\n");
}

char *pare_report_html(const json_t *doc)
{
    struct pare_buf b = { .max = 32u << 20 };
    const json_t   *o = json_object_get(doc, "original");

    pare_buf_printf(&b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
                        "content=\"width=device-width\"><title>pare fit</title><style>%s</style></head><body>\n<h1>", style);
    pare_html_text(&b, str(doc, "output"));
    pare_buf_str(&b, "</h1>\n<p class=\"note\">made from ");
    pare_html_text(&b, str(o, "path"));
    pare_buf_printf(&b, " (%s, %.1f M weights) in %.1f s by pare " PARE_VERSION_STRING "</p>\n", str(o, "arch"), num(o, "params") / 1e6,
                    num(doc, "seconds"));
    summary(&b, doc);
    size_loss(&b, doc);
    bits_map(&b, json_object_get(doc, "plan"));
    tensor_table(&b, json_object_get(doc, "plan"));
    predicted_measured(&b, doc);
    pare_buf_str(&b, "</body></html>\n");
    return pare_buf_take(&b);
}
