package aeonnx;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/**
 * A tensor that a graph takes or gives.
 *
 * @param shape rows first
 * @param range its lowest and highest value, both included; null if any may come
 * @param missing whether NaN stands for a missing value; else values are finite
 */
public record TensorSpec(
        String name, DType dtype, List<Size> shape, double[] range, Kind kind, boolean missing) {
    /** A tensor without missing values. */
    public TensorSpec(String name, DType dtype, List<Size> shape, double[] range, Kind kind) {
        this(name, dtype, shape, range, kind, false);
    }

    /** "z float32 [batch, 20]" */
    @Override
    public String toString() {
        return name + " " + typed();
    }

    /** "float32 [batch, 20]" */
    String typed() {
        return dtype + " " + Size.text(shape);
    }

    /** The same for any number of rows, where a graph is fixed to one. */
    TensorSpec withAnyRows() {
        List<Size> any = new ArrayList<>(shape);
        any.set(0, Size.ROWS);
        return new TensorSpec(name, dtype, List.copyOf(any), range, kind, missing);
    }

    /** The same without limits to its values. */
    TensorSpec withAnyRange() {
        return new TensorSpec(name, dtype, shape, null, kind, missing);
    }

    /** Whether its values are numbers of something, which begin at 0. */
    boolean isOfNumbers() {
        return kind == Kind.LABEL || kind == Kind.CODES;
    }

    /** Whether an array can be one: as many sizes, and those that are numbers. */
    boolean isLike(long[] sizes) {
        if (sizes.length != shape.size()) {
            return false;
        }
        for (int i = 0; i < sizes.length; i++) {
            if (shape.get(i).isNumber() && shape.get(i).factor() != sizes[i]) {
                return false;
            }
        }
        return true;
    }

    /** "float32 [3, 20]" */
    static String typed(String dtype, long[] sizes) {
        return dtype + Arrays.stream(sizes).mapToObj(Long::toString)
                .collect(Collectors.joining(", ", " [", "]"));
    }
}
