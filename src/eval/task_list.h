/* SPDX-License-Identifier: Apache-2.0
 * One line per task, in the order errors name them. */
TASK(piqa)
TASK(gsm8k)
TASK(humaneval)
