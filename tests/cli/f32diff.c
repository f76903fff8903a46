/* SPDX-License-Identifier: Apache-2.0
 * tests/cli/f32diff.c: `f32diff A B TOLERANCE` compares two files of floats; B may be longer. Exit status 0 when A holds at least
 * one float and none is further than the tolerance from B's. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    FILE  *a = argc == 4 ? fopen(argv[1], "rb") : NULL, *b = argc == 4 ? fopen(argv[2], "rb") : NULL;
    double tolerance = argc == 4 ? atof(argv[3]) : 0, worst = 0;
    float  x, y;
    size_t n = 0;

    if (a == NULL || b == NULL) return 2;
    while (fread(&x, sizeof x, 1, a) == 1) {
        double d = fread(&y, sizeof y, 1, b) == 1 ? fabs((double)x - (double)y) : INFINITY;

        if (!(d <= worst)) worst = d; /* NaN counts as worse */
        n++;
    }
    fclose(a);
    fclose(b);
    printf("%zu floats, largest difference %g\n", n, worst);
    return n > 0 && worst <= tolerance ? 0 : 1;
}
