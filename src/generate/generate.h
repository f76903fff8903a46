/* SPDX-License-Identifier: Apache-2.0
 * src/generate/generate.h: the growing text of one generation: stop strings are held back until they are decided. */
#ifndef PARE_GENERATE_GENERATE_H
#define PARE_GENERATE_GENERATE_H

#include <pare/generate.h>

#include "base/mem.h"

/* Text with stop strings taken out. What could still become a stop string is not shown before it is decided. */
struct pare_stops {
    struct pare_buf    text;     /* everything kept so far, shown or not */
    size_t             shown;
    const char *const *stop;
    uint32_t           n_stop;
    bool               hit;
};
/* Adds len bytes; *from, *n: what may be shown now. @return false when a stop string was completed (the text then ends before
 * it) or memory ran out (text.failed). */
bool pare_stops_add(struct pare_stops *s, const char *t, size_t len, const char **from, size_t *n);
/* The end: everything held back may be shown. */
void pare_stops_finish(struct pare_stops *s, const char **from, size_t *n);

#endif
