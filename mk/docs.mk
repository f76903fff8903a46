# SPDX-License-Identifier: Apache-2.0
# Documents that are made from the tables in the code: `make docs` after a table changed.
.PHONY: docs
docs: build
	$(BUILD)/pare help --man > docs/pare.1
	$(BUILD)/pare methods --markdown > docs/coverage.md
