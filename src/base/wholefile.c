/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "base/status.h"

int pare_write_file(const char *path, const void *data, uint64_t n, struct pare_diag *diag)
{
    struct pare_out o = PARE_OUT_NONE;
    struct pare_buf tmp = { .max = 1u << 16 };
    const char     *name;
    int             rc, rc2;

    if (!pare_buf_printf(&tmp, "%s.part", path) || (name = pare_buf_cstr(&tmp)) == NULL) return PARE_NOMEM(diag);
    rc = pare_out_create(&o, name, diag);
    if (rc == PARE_OK) rc = pare_out_write(&o, 0, data, n, diag);
    if (rc == PARE_OK) rc = pare_out_sync(&o, diag);
    rc2 = pare_out_close(&o, diag);
    if (rc == PARE_OK) rc = rc2;
    if (rc == PARE_OK) rc = pare_file_rename(name, path, diag);
    if (rc < 0) (void)pare_file_remove(name, NULL); /* the first error is the one to tell */
    pare_buf_free(&tmp);
    return rc;
}
