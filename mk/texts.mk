# SPDX-License-Identifier: Apache-2.0
# The compiler does not see which files .incbin takes in: without this line an edited text would not be embedded anew.
$(BUILD)/obj/src/eval/texts.o: data/text/calibration.txt data/text/proof.txt
