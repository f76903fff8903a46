/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/svg.h"

#include <math.h>
#include <stdio.h>

void pare_html_text(struct pare_buf *b, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        switch (*p) {
        case '<': pare_buf_str(b, "&lt;"); break;
        case '>': pare_buf_str(b, "&gt;"); break;
        case '&': pare_buf_str(b, "&amp;"); break;
        case '"': pare_buf_str(b, "&quot;"); break;
        default: pare_buf_add(b, p, 1);
        }
    }
}

double pare_svg_x(const struct pare_svg *s, double x)
{
    return s->left + (x - s->x0) / (s->x1 - s->x0) * (s->w - s->left - s->right);
}

double pare_svg_y(const struct pare_svg *s, double y)
{
    double t = s->log_y ? (log10(y) - log10(s->y0)) / (log10(s->y1) - log10(s->y0)) : (y - s->y0) / (s->y1 - s->y0);
    return s->h - s->bottom - t * (s->h - s->top - s->bottom);
}

void pare_svg_label(struct pare_svg *s, double px, double py, const char *anchor, const char *text)
{
    pare_buf_printf(s->b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", px, py, anchor);
    pare_html_text(s->b, text);
    pare_buf_str(s->b, "</text>\n");
}

void pare_svg_line(struct pare_svg *s, double xa, double ya, double xb, double yb, const char *cls)
{
    pare_buf_printf(s->b, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", cls, pare_svg_x(s, xa),
                    pare_svg_y(s, ya), pare_svg_x(s, xb), pare_svg_y(s, yb));
}

void pare_svg_dot(struct pare_svg *s, double x, double y, double radius, const char *cls, const char *tip)
{
    pare_buf_printf(s->b, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\">", cls, pare_svg_x(s, x), pare_svg_y(s, y), radius);
    if (tip != NULL) {
        pare_buf_str(s->b, "<title>");
        pare_html_text(s->b, tip);
        pare_buf_str(s->b, "</title>");
    }
    pare_buf_str(s->b, "</circle>\n");
}

/* A step of 1, 2 or 5 times a power of ten that gives four to nine ticks. */
static double nice_step(double range)
{
    double p = pow(10, floor(log10(range / 5))), r = range / 5 / p;
    return p * (r < 1.5 ? 1 : r < 3.5 ? 2 : r < 7.5 ? 5 : 10);
}

static void ticks_x(struct pare_svg *s)
{
    double step = nice_step(s->x1 - s->x0);
    char   t[32];

    for (double v = ceil(s->x0 / step) * step; v <= s->x1 + step * 1e-9; v += step) {
        snprintf(t, sizeof t, "%.6g", v);
        pare_svg_line(s, v, s->y0, v, s->y1, "grid");
        pare_svg_label(s, pare_svg_x(s, v), s->h - s->bottom + 16, "middle", t);
    }
}

static void ticks_y(struct pare_svg *s)
{
    double step = s->log_y ? 0 : nice_step(s->y1 - s->y0);
    double v = s->log_y ? pow(10, ceil(log10(s->y0) - 1e-9)) : ceil(s->y0 / step) * step;
    char   t[32];

    for (; v <= s->y1 * (1 + 1e-9); v = s->log_y ? v * 10 : v + step) {
        snprintf(t, sizeof t, "%.6g", v);
        pare_svg_line(s, s->x0, v, s->x1, v, "grid");
        pare_svg_label(s, s->left - 6, pare_svg_y(s, v) + 4, "end", t);
    }
}

void pare_svg_begin(struct pare_svg *s, struct pare_buf *b, double w, double h, const char *title_x, const char *title_y)
{
    s->b = b;
    s->w = w;
    s->h = h;
    s->left = 66;
    s->right = 16;
    s->top = 12;
    s->bottom = 44;
    pare_buf_printf(b, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n", w, h);
    ticks_x(s);
    ticks_y(s);
    pare_svg_label(s, (s->left + w - s->right) / 2, h - 6, "middle", title_x);
    pare_buf_printf(b, "<text transform=\"translate(14 %.0f) rotate(-90)\" text-anchor=\"middle\">", (h - s->bottom + s->top) / 2);
    pare_html_text(b, title_y);
    pare_buf_str(b, "</text>\n");
}

void pare_svg_end(struct pare_svg *s) { pare_buf_str(s->b, "</svg>\n"); }
