/* SPDX-License-Identifier: Apache-2.0
 * src/eval/task_rows.h: every row of task_list.h. */
#ifndef PARE_EVAL_TASK_ROWS_H
#define PARE_EVAL_TASK_ROWS_H

#include "eval/task.h"

#define TASK(id) extern const struct pare_task pare_task_##id;
#include "eval/task_list.h"
#undef TASK

#endif
