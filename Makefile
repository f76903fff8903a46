# SPDX-License-Identifier: Apache-2.0
# pare: `make` builds, `make demo` shows the main job, `make test` runs all tests. Everything lands under $(BUILD).
BUILD   ?= build
ifeq ($(origin CC),default)
CC      := gcc
endif
OPT     ?= -O2
WERROR  ?= -Werror
SAN     ?=
KERNEL_SAN ?= $(SAN)

PKGS     = jansson libpcre2-8 libutf8proc libxxhash
BASEFLAGS = -std=c11 -g $(OPT) -Wall -Wextra -Wvla -Wmissing-prototypes -Wstrict-prototypes $(WERROR) \
            -fvisibility=hidden -fPIC -ffp-contract=off -pthread
CPPFLAGS_ALL = -Iinclude -Isrc $(CPPFLAGS) $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS     = $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm -pthread

ARCH    := $(shell uname -m)
SRCS    := $(shell find src -name '*.c' | LC_ALL=C sort)
ifneq ($(ARCH),x86_64)
SRCS    := $(filter-out src/kernel/x86/%,$(SRCS))
endif
OBJS    := $(SRCS:%.c=$(BUILD)/obj/%.o)
TOOLSRC := $(wildcard tools/pare/*.c)
TOOLOBJ := $(TOOLSRC:%.c=$(BUILD)/obj/%.o)

# Each instruction-set file has its own flags, by the end of its name; everything else the baseline of the platform.
isa_flags = $(if $(filter %_avx2.c,$1),-mavx2 -mfma -mf16c) \
            $(if $(filter %_avx512.c,$1),-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c -mprefer-vector-width=512) \
            $(if $(filter %_vnni.c,$1),-mavx512vnni -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c -mprefer-vector-width=512) \
            $(if $(filter %_vbmi2_vnni.c,$1),-mavx512vbmi2) \
            $(if $(filter %/enc_wide.c,$1),-Wno-psabi)

# Kernels may be left out of an instrumented build (KERNEL_SAN=): a fuzzer of file readers gains nothing there and clang takes minutes.
san_flags = $(if $(filter src/kernel/x86/%,$1),$(KERNEL_SAN),$(SAN))

.PHONY: all build demo test clean deps lib
# The packages come first; what follows is a make of its own, because pkg-config is asked when the file is read.
all:
	@sh mk/deps.sh build
	@$(MAKE) --no-print-directory -j$$(nproc) build
build: $(BUILD)/pare $(BUILD)/libpare.so

demo: all
	@sh mk/demo.sh $(BUILD)

test:
	@sh mk/deps.sh test
	@sh tests/run.sh $(BUILD)

lib: $(BUILD)/libpare.a

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(BASEFLAGS) $(call san_flags,$<) $(CPPFLAGS_ALL) $(call isa_flags,$<) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libpare.a: $(OBJS)
	@rm -f $@
	@ar rcsD $@ $^

$(BUILD)/libpare.so: $(OBJS)
	@echo "  LD $@"
	@$(CC) $(SAN) -shared -Wl,-soname,libpare.so.0 -o $@ $^ $(LDFLAGS) $(LIBS)

$(BUILD)/pare: $(TOOLOBJ) $(BUILD)/libpare.a
	@echo "  LD $@"
	@$(CC) $(SAN) -o $@ $(TOOLOBJ) $(BUILD)/libpare.a $(LDFLAGS) $(LIBS)

clean:
	rm -rf $(BUILD)

-include $(OBJS:.o=.d) $(TOOLOBJ:.o=.d)
include $(wildcard mk/*.mk)
