/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "generate/generate.h"

/* The earliest place from `from` on where a stop string stands whole; text.len when none does. */
static size_t find_whole(const struct pare_stops *s, size_t from)
{
    size_t best = s->text.len;

    for (uint32_t i = 0; i < s->n_stop; i++) {
        size_t n = strlen(s->stop[i]);

        if (n == 0) continue;
        for (size_t at = from; at + n <= s->text.len && at < best; at++)
            if (memcmp(s->text.data + at, s->stop[i], n) == 0) best = at;
    }
    return best;
}

/* The earliest place from which the rest of the text is the beginning of a stop string. */
static size_t find_begun(const struct pare_stops *s, size_t from)
{
    for (size_t at = from; at < s->text.len; at++)
        for (uint32_t i = 0; i < s->n_stop; i++) {
            size_t rest = s->text.len - at;

            if (rest < strlen(s->stop[i]) && memcmp(s->text.data + at, s->stop[i], rest) == 0) return at;
        }
    return s->text.len;
}

bool pare_stops_add(struct pare_stops *s, const char *t, size_t len, const char **from, size_t *n)
{
    size_t at, old = s->shown;

    *from = "";
    *n = 0;
    if (s->hit || !pare_buf_add(&s->text, t, len)) return false;
    /* Nothing before shown can belong to a stop string: it would have been held back. */
    at = find_whole(s, old);
    if (at < s->text.len) {
        s->hit = true;
        s->text.len = at;
    } else {
        at = find_begun(s, old);
    }
    s->shown = at;
    *from = (const char *)s->text.data + old;
    *n = at - old;
    return !s->hit;
}

void pare_stops_finish(struct pare_stops *s, const char **from, size_t *n)
{
    *from = s->text.data != NULL ? (const char *)s->text.data + s->shown : "";
    *n = s->text.len - s->shown;
    s->shown = s->text.len;
}
