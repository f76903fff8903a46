# SPDX-License-Identifier: Apache-2.0
# Documents that are made from the tables in the code: `make docs` after a table changed.
.PHONY: docs
docs: build
	$(BUILD)/pare help --man > docs/pare.1
	{ printf '# Methods\n\nMade by `make docs` from the registry (src/compress/method.c).\n\n'; \
	  $(BUILD)/pare methods -v | sed 's/^/    /;s/ *$$//'; } > docs/coverage.md
