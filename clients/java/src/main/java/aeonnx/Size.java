package aeonnx;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * A size of a tensor: a number, or factor * axis / divisor, of which one is 1.
 *
 * @param text as the manifest and the graph have it: "28", "batch", "height/8", "320*frames"
 * @param axis its name; null for a number, which is `factor`
 */
public record Size(String text, String axis, long factor, long divisor) {
    /** The axis of rows: the first of a tensor, where it is dynamic. */
    public static final String BATCH = "batch";

    /** Any number of rows. */
    static final Size ROWS = new Size(BATCH, BATCH, 1, 1);

    private static final Pattern SCALED =
            Pattern.compile("(?:([1-9][0-9]{0,8})\\*)?([a-z][a-z0-9_]*)(?:/([1-9][0-9]{0,8}))?");

    static Size of(long number) {
        return new Size(Long.toString(number), null, number, 1);
    }

    /** The size that follows an axis; none if the text is no such size. */
    static Optional<Size> following(String text) {
        Matcher found = SCALED.matcher(text);
        if (!found.matches() || found.group(1) != null && found.group(3) != null) {
            return Optional.empty();
        }
        long factor = found.group(1) == null ? 1 : Long.parseLong(found.group(1));
        long divisor = found.group(3) == null ? 1 : Long.parseLong(found.group(3));
        return Optional.of(new Size(text, found.group(2), factor, divisor));
    }

    public boolean isNumber() {
        return axis == null;
    }

    /** Whether it is the axis of rows. */
    boolean isRows() {
        return BATCH.equals(axis);
    }

    /**
     * The size of the tensor where the axis has `size`, or the place in it of a place of the axis; both
     * are multiples of `divisor`.
     *
     * @throws ArithmeticException it has more than 63 bits
     */
    long at(long size) {
        return Math.multiplyExact(size, factor) / divisor;
    }

    /** The size of the axis where the tensor has `size`, a multiple of `factor`. */
    long solve(long size) {
        return size / factor * divisor;
    }

    /**
     * A shape where its axes, all of them, have these sizes.
     *
     * @throws ArithmeticException a size has more than 63 bits
     */
    static long[] at(List<Size> shape, Map<String, Long> sizes) {
        return shape.stream()
                .mapToLong(size -> size.isNumber() ? size.factor : size.at(sizes.get(size.axis)))
                .toArray();
    }

    /** "[batch, 1, height/8, 28]" */
    static String text(List<Size> shape) {
        return shape.stream().map(Size::text).collect(Collectors.joining(", ", "[", "]"));
    }
}
