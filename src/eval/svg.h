/* SPDX-License-Identifier: Apache-2.0
 * src/eval/svg.h: a few marks of SVG in a plot area with linear or logarithmic axes; enough for the reports, no library. */
#ifndef PARE_EVAL_SVG_H
#define PARE_EVAL_SVG_H

#include "base/mem.h"

struct pare_svg {
    struct pare_buf *b;
    double w, h;               /* of the picture, pixels */
    double left, right, top, bottom;
    double x0, x1, y0, y1;     /* data ranges; y on a log axis when log_y */
    bool   log_y;
};
/* Opens the picture and draws frame, ticks and axis titles (escaped here). */
void pare_svg_begin(struct pare_svg *s, struct pare_buf *b, double w, double h, const char *title_x, const char *title_y);
void pare_svg_end(struct pare_svg *s);
double pare_svg_x(const struct pare_svg *s, double x);
double pare_svg_y(const struct pare_svg *s, double y);
/* cls is a CSS class; tip a hover text (escaped here), or NULL. */
void pare_svg_dot(struct pare_svg *s, double x, double y, double radius, const char *cls, const char *tip);
void pare_svg_line(struct pare_svg *s, double xa, double ya, double xb, double yb, const char *cls);
void pare_svg_label(struct pare_svg *s, double px, double py, const char *anchor, const char *text);
/* Adds text with the characters of HTML escaped. */
void pare_html_text(struct pare_buf *b, const char *text);

#endif
