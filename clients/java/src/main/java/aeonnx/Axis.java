package aeonnx;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Which sizes a dynamic axis may have.
 *
 * @param multiple every size is a multiple of it
 * @param min the smallest size
 * @param max the largest size; null without a limit
 * @param margin how many places to either side of a place can change the outputs there; null if any can
 */
public record Axis(long multiple, long min, Long max, Long margin) {
    static final Axis ANY = new Axis(1, 1, null, 0L);

    /** A tensor as it is declared, and the sizes that it has. */
    record Sized(String name, List<Size> declared, long[] real) {}

    boolean allows(long size) {
        return size % multiple == 0 && min <= size && size <= (max == null ? Json.LARGEST : max);
    }

    /** The size nearest to `size` that the axis may have; of two, the larger. */
    long nearest(long size) {
        long whole = (size + multiple / 2) / multiple * multiple;
        return Math.min(Math.max(whole, min), max == null ? Long.MAX_VALUE : max);
    }

    /** The smallest size of `size` or more that is a multiple, and not below the smallest. */
    long atLeast(long size) {
        return Math.max(min, (size + multiple - 1) / multiple * multiple);
    }

    /**
     * The sizes of all axes, from tensors that have them.
     *
     * @param tensors with as many sizes as are declared, and the declared numbers
     * @throws AeonnxException names the axis, the sizes, and the rule that they break
     */
    static Map<String, Long> solve(List<Sized> tensors, Map<String, Axis> axes) {
        Map<String, Long> found = new LinkedHashMap<>();
        Map<String, String> whose = new LinkedHashMap<>();
        for (Sized tensor : tensors) {
            for (int i = 0; i < tensor.real.length; i++) {
                Size size = tensor.declared.get(i);
                if (size.isNumber()) {
                    continue;
                }
                long there = solved(tensor.name, size, tensor.real[i]);
                long before = found.computeIfAbsent(size.axis(), axis -> there);
                String who = whose.computeIfAbsent(size.axis(), axis -> tensor.name);
                if (before != there) {
                    throw new AeonnxException(size.axis() + ": expected one size in all inputs, got "
                            + before + " in " + who + " and " + there + " in " + tensor.name);
                }
            }
        }
        found.forEach((name, size) -> axes.get(name).require(whose.get(name), name, size));
        return found;
    }

    private static long solved(String tensor, Size size, long real) {
        if (real % size.factor() != 0) {
            throw new AeonnxException(tensor + ": expected a multiple of " + size.factor() + " for "
                    + size.text() + ", got " + real);
        }
        if (real / size.factor() > Json.LARGEST / size.divisor()) {
            throw new AeonnxException(
                    tensor + ": expected a smaller size for " + size.text() + ", got " + real);
        }
        return size.solve(real);
    }

    private void require(String tensor, String name, long size) {
        if (!allows(size)) {
            throw new AeonnxException(tensor + ": " + name + ": expected " + rule() + ", got " + size
                    + ": the nearest is " + nearest(size));
        }
    }

    private String rule() {
        String what = multiple > 1 ? "a multiple of " + multiple : "a size";
        return max == null ? what + " of at least " + min : what + " from " + min + " to " + max;
    }
}
