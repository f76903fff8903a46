/* SPDX-License-Identifier: Apache-2.0
 * tools/pare/table.h: JSON values as aligned text for people. */
#ifndef PARE_TOOL_TABLE_H
#define PARE_TOOL_TABLE_H

#include <jansson.h>

struct pare_cli_column {
    const char *key;   /* member of each row */
    const char *title;
    size_t      width; /* longest text shown, 0: any */
};

/* pare_cli_table prints an array of objects as columns; numbers stand right. Columns that no row has are left out. */
void pare_cli_table(const json_t *rows, const struct pare_cli_column *cols, size_t n, size_t indent);

/* pare_cli_tree prints any value: members of objects one a line, arrays of objects as tables. */
void pare_cli_tree(const json_t *v, size_t indent);

/* pare_cli_value_text writes a scalar or a short array for people into buf. @return buf. */
const char *pare_cli_value_text(const json_t *v, size_t width, char *buf, size_t size);

#endif
