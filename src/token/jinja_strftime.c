/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_strftime.c: strftime in the C locale on the date of the rendering. Own, because libc's follows the locale that
 * the host program happened to set, and a prompt must not depend on it. */
#include <stdio.h>
#include <string.h>

#include "token/jinja_call.h"

static const char *const months[] = { "January", "February", "March",     "April",   "May",      "June",
                                      "July",    "August",   "September", "October", "November", "December" };
static const char *const days[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };

static bool leap(int y) { return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0; }

static int day_of_year(const struct pare_jinja_date *d) /* 1 .. 366 */
{
    static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };

    return before[d->month - 1] + d->day + (d->month > 2 && leap(d->year));
}

static int weekday(const struct pare_jinja_date *d) /* 0 Sunday: days since year 1, which began on a Monday */
{
    int64_t y = d->year - 1;

    return (int)((y * 365 + y / 4 - y / 100 + y / 400 + day_of_year(d)) % 7);
}

/* ISO 8601 week: the week of the year's first Thursday is the first. */
static void iso_week(const struct pare_jinja_date *d, int *year, int *week)
{
    int                    wd = (weekday(d) + 6) % 7, yd = day_of_year(d) - 1;
    struct pare_jinja_date last = { .year = d->year - 1, .month = 12, .day = 31 };

    *year = d->year;
    *week = (yd - wd + 10) / 7;
    if (*week < 1) {
        *year = d->year - 1;
        *week = (day_of_year(&last) - 1 - (weekday(&last) + 6) % 7 + 10) / 7;
    } else if (*week == 53 && yd - wd + 3 >= 365 + leap(d->year)) {
        *year = d->year + 1;
        *week = 1;
    }
}

/* "-" no padding, "_" blanks, else zeros (or what the directive pads with). */
static void num(struct pare_buf *b, int v, int width, char flag, char dflt)
{
    char t[24];

    if (flag == '\0') flag = dflt;
    if (flag == '-') snprintf(t, sizeof t, "%d", v);
    else snprintf(t, sizeof t, flag == '_' ? "%*d" : "%0*d", width, v);
    pare_buf_str(b, t);
}

static void directive(struct pare_jinja *J, struct pare_buf *b, char c, char flag);

static void composed(struct pare_jinja *J, struct pare_buf *b, const char *fmt)
{
    for (; *fmt != '\0'; fmt++) {
        if (*fmt != '%') pare_buf_add(b, fmt, 1);
        else directive(J, b, *++fmt, '\0');
    }
}

static void directive(struct pare_jinja *J, struct pare_buf *b, char c, char flag)
{
    const struct pare_jinja_date *d = &J->date;
    int                           hour12 = d->hour % 12 == 0 ? 12 : d->hour % 12, year, week;
    char                          t[3] = { '%', c, '\0' };

    iso_week(d, &year, &week);
    switch (c) {
    case 'Y': num(b, d->year, 1, flag, '0'); break;
    case 'C': num(b, d->year / 100, 2, flag, '0'); break;
    case 'y': num(b, d->year % 100, 2, flag, '0'); break;
    case 'm': num(b, d->month, 2, flag, '0'); break;
    case 'd': num(b, d->day, 2, flag, '0'); break;
    case 'e': num(b, d->day, 2, flag, '_'); break;
    case 'H': num(b, d->hour, 2, flag, '0'); break;
    case 'k': num(b, d->hour, 2, flag, '_'); break;
    case 'I': num(b, hour12, 2, flag, '0'); break;
    case 'l': num(b, hour12, 2, flag, '_'); break;
    case 'M': num(b, d->minute, 2, flag, '0'); break;
    case 'S': num(b, d->second, 2, flag, '0'); break;
    case 'f': pare_buf_str(b, "000000"); break;
    case 'j': num(b, day_of_year(d), 3, flag, '0'); break;
    case 'u': num(b, weekday(d) == 0 ? 7 : weekday(d), 1, flag, '0'); break;
    case 'w': num(b, weekday(d), 1, flag, '0'); break;
    case 'U': num(b, (day_of_year(d) + 6 - weekday(d)) / 7, 2, flag, '0'); break;
    case 'W': num(b, (day_of_year(d) + 6 - (weekday(d) + 6) % 7) / 7, 2, flag, '0'); break;
    case 'V': num(b, week, 2, flag, '0'); break;
    case 'G': num(b, year, 1, flag, '0'); break;
    case 'g': num(b, year % 100, 2, flag, '0'); break;
    case 'B': pare_buf_str(b, months[d->month - 1]); break;
    case 'b':
    case 'h': pare_buf_add(b, months[d->month - 1], 3); break;
    case 'A': pare_buf_str(b, days[weekday(d)]); break;
    case 'a': pare_buf_add(b, days[weekday(d)], 3); break;
    case 'p': pare_buf_str(b, d->hour < 12 ? "AM" : "PM"); break;
    case 'P': pare_buf_str(b, d->hour < 12 ? "am" : "pm"); break;
    case 'Z':
    case 'z': break; /* the reference's date has no time zone */
    case 'n': pare_buf_str(b, "\n"); break;
    case 't': pare_buf_str(b, "\t"); break;
    case '%': pare_buf_str(b, "%"); break;
    case 'F': composed(J, b, "%Y-%m-%d"); break;
    case 'T':
    case 'X': composed(J, b, "%H:%M:%S"); break;
    case 'R': composed(J, b, "%H:%M"); break;
    case 'r': composed(J, b, "%I:%M:%S %p"); break;
    case 'D':
    case 'x': composed(J, b, "%m/%d/%y"); break;
    case 'c': composed(J, b, "%a %b %e %H:%M:%S %Y"); break;
    default: pare_buf_str(b, t); break;
    }
}

struct pare_jv pare_jinja_strftime(struct pare_jinja *J, const struct pare_jstr *format)
{
    struct pare_buf b = { .max = 4096 };

    for (size_t i = 0; i < format->n && !b.failed; i++) {
        char flag = '\0';
        if (format->p[i] != '%' || i + 1 >= format->n) {
            pare_buf_add(&b, format->p + i, 1);
            continue;
        }
        i++;
        if (i + 1 < format->n && (format->p[i] == '-' || format->p[i] == '_' || format->p[i] == '0')) flag = format->p[i++];
        directive(J, &b, format->p[i], flag);
    }
    return pare_jv_take(J, &b);
}
