# SPDX-License-Identifier: Apache-2.0
# Unit tests: every tests/*/test_NAME.c is one cmocka program, linked with the static library (which keeps hidden symbols).
# `make BUILD=build-x check-NAME` builds and runs one. PARE_FIXTURES names the folder of larger fixtures.
TESTSRC := $(wildcard tests/unit/test_*.c tests/kernel/test_*.c tests/golden/test_*.c tests/crash/test_*.c tests/method/test_*.c)
TESTBIN := $(foreach t,$(TESTSRC),$(BUILD)/tests/$(basename $(notdir $(t))))
TESTLIBS = $(shell pkg-config --libs cmocka 2>/dev/null || echo -lcmocka)
# What a single test needs besides: an oracle that the library itself must not touch.
TESTLIBS_test_linalg = -llapacke -llapack -lblas

define test_rule
$(BUILD)/tests/$(basename $(notdir $(1))): $(1) $(BUILD)/libpare.a tests/fixture.h
	@mkdir -p $$(@D)
	@echo "  CC $(1)"
	@$$(CC) $$(BASEFLAGS) $$(SAN) $$(CPPFLAGS_ALL) -Itests $$(CFLAGS) -o $$@ $(1) $(BUILD)/libpare.a $$(LDFLAGS) $$(LIBS) $$(TESTLIBS) $$(TESTLIBS_$(basename $(notdir $(1))))
check-$(patsubst test_%,%,$(basename $(notdir $(1)))): $(BUILD)/tests/$(basename $(notdir $(1)))
	$$<
endef
$(foreach t,$(TESTSRC),$(eval $(call test_rule,$(t))))

.PHONY: testbins
testbins: $(TESTBIN)

# Programs that time or print figures: tests/*/bench_NAME.c. Never part of the tests; `make bench-NAME` builds and runs one.
define bench_rule
$(BUILD)/tests/$(basename $(notdir $(1))): $(1) $(BUILD)/libpare.a
	@mkdir -p $$(@D)
	@$$(CC) $$(BASEFLAGS) $$(SAN) $$(CPPFLAGS_ALL) -Itests $$(CFLAGS) -o $$@ $(1) $(BUILD)/libpare.a $$(LDFLAGS) $$(LIBS)
bench-$(patsubst bench_%,%,$(basename $(notdir $(1)))): $(BUILD)/tests/$(basename $(notdir $(1)))
	$$<
endef
$(foreach t,$(wildcard tests/*/bench_*.c),$(eval $(call bench_rule,$(t))))
