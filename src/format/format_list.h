/* SPDX-License-Identifier: Apache-2.0
 * src/format/format_list.h: one line per container, in the order in which their probes are asked. */
FORMAT(gguf)
FORMAT(hf_folder)
FORMAT(safetensors)
FORMAT(llama2c)
