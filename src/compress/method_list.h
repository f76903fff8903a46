/* SPDX-License-Identifier: Apache-2.0
 * One line per method, in the order `pare methods` shows them. */
METHOD(keep)
METHOD(rtn)
METHOD(importance)
METHOD(gptq)
METHOD(sensitivity)
METHOD(mixed)
METHOD(int8_activations)
METHOD(kv_cache)
METHOD(divergence)
METHOD(asvd)
METHOD(svd_llm)
METHOD(zeroquant_v2)
