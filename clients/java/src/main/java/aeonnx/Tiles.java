package aeonnx;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

/**
 * Runs a part on rows of any size in tiles, whose outputs are those of the whole.
 *
 * <p>An output value depends on inputs within the margin of its axis. A tile computes a piece of the
 * outputs from inputs that reach a margin further, or to the border. Tiles begin at multiples of each
 * axis, so that strides fall on the same places as in the whole.
 */
final class Tiles {
    private static final long VALUES = 1 << 22; // of a row's largest tensor, that run on the whole
    private static final long[] SIDES = {0, 1 << 18, 512, 64}; // by the number of axes

    private Tiles() {}

    /**
     * A piece of one axis.
     *
     * @param start where the outputs begin that it computes; they end before `stop`
     * @param first where the inputs begin that it reads; they end before `last`
     */
    record Piece(long start, long stop, long first, long last) {}

    /** How an axis is cut: one after the other, as there may be millions. */
    record Cut(long size, long least, long margin, long step) {
        static Cut of(Axis axis, long size, long side) {
            long multiple = axis.multiple();
            long margin = (axis.margin() + multiple - 1) / multiple * multiple;
            long least = Math.max(4 * margin + multiple, axis.min());
            long length = Math.max(side / multiple * multiple, least);
            return size <= length ? new Cut(size, size, 0, size)
                    : new Cut(size, axis.min(), margin, length - 2 * margin);
        }

        long count() {
            return (size + step - 1) / step;
        }

        Piece at(long number) {
            long start = number * step;
            long stop = Math.min(start + step, size);
            long last = Math.min(size, stop + margin);
            long first = Math.max(0, Math.min(start - margin, last - least));
            return new Piece(start, stop, first, Math.max(last, first + least));
        }
    }

    /** Whether rows with axes of these sizes run in tiles. */
    static boolean isNeeded(Variant variant, Map<String, Long> sizes) {
        boolean possible = dynamic(variant).length > 0
                && variant.axes().values().stream().allMatch(axis -> axis.margin() != null);
        return possible && (isLarge(variant.inputs(), sizes) || isLarge(variant.outputs(), sizes));
    }

    /** A tile has its side in the tensor in which it is longest. */
    private static long largestFactor(Variant variant) {
        return Stream.concat(variant.inputs().stream(), variant.outputs().stream())
                .flatMap(spec -> spec.shape().stream())
                .filter(size -> !size.isNumber()).mapToLong(Size::factor).max().orElse(1);
    }

    /**
     * Run a part tile by tile, and put its outputs together.
     *
     * @param sizes of its axes
     * @param inputs of the whole
     * @param run from inputs to outputs; called with a tile of all rows
     */
    static Map<String, Tensor> run(Variant variant, Map<String, Long> sizes,
            Map<String, Tensor> inputs, UnaryOperator<Map<String, Tensor>> run) {
        String[] axes = dynamic(variant);
        Cut[] cuts = new Cut[axes.length];
        long side = SIDES[Math.min(axes.length, SIDES.length - 1)] / largestFactor(variant);
        for (int i = 0; i < axes.length; i++) {
            cuts[i] = Cut.of(variant.axes().get(axes[i]), sizes.get(axes[i]), side);
        }
        long[] counts = Arrays.stream(cuts).mapToLong(Cut::count).toArray();
        long[] place = new long[axes.length];
        Map<String, Tensor> outputs = new LinkedHashMap<>();
        for (boolean more = true; more; more = Tensor.next(place, counts)) {
            Map<String, Piece> tile = new LinkedHashMap<>();
            for (int i = 0; i < axes.length; i++) {
                tile.put(axes[i], cuts[i].at(place[i]));
            }
            Map<String, Tensor> taken = new LinkedHashMap<>();
            variant.inputs().forEach(spec ->
                    taken.put(spec.name(), taken(spec.shape(), inputs.get(spec.name()), tile)));
            Map<String, Tensor> found = run.apply(taken);
            for (TensorSpec spec : variant.outputs()) {
                if (!found.containsKey(spec.name())) {
                    continue; // it is not asked for
                }
                Tensor value = found.get(spec.name());
                Tensor whole = outputs.computeIfAbsent(spec.name(), name ->
                        Tensor.of(value.dtype(), whole(spec.shape(), value.rows(), sizes)));
                give(spec.shape(), value, whole, tile);
            }
        }
        return outputs;
    }

    // What a tile reads of an input.
    private static Tensor taken(List<Size> shape, Tensor whole, Map<String, Piece> tile) {
        long[] first = new long[shape.size()];
        long[] extent = whole.shape().clone();
        for (int i = 0; i < extent.length; i++) {
            Piece piece = tile.get(shape.get(i).axis());
            if (piece != null) {
                first[i] = shape.get(i).at(piece.first());
                extent[i] = shape.get(i).at(piece.last()) - first[i];
            }
        }
        Tensor taken = Tensor.of(whole.dtype(), extent);
        whole.copyTo(taken, first, new long[extent.length], extent);
        return taken;
    }

    // Puts what a tile computes of an output into the whole.
    private static void give(List<Size> shape, Tensor value, Tensor whole, Map<String, Piece> tile) {
        long[] from = new long[shape.size()];
        long[] to = new long[shape.size()];
        long[] extent = value.shape().clone();
        for (int i = 0; i < extent.length; i++) {
            Size size = shape.get(i);
            Piece piece = tile.get(size.axis());
            if (piece != null) {
                to[i] = size.at(piece.start());
                from[i] = to[i] - size.at(piece.first());
                extent[i] = size.at(piece.stop()) - to[i];
            }
        }
        value.copyTo(whole, from, to, extent);
    }

    private static long[] whole(List<Size> shape, long rows, Map<String, Long> sizes) {
        long[] whole = Size.at(shape, sizes);
        whole[0] = rows;
        return whole;
    }

    // The axes beside that of rows.
    private static String[] dynamic(Variant variant) {
        return variant.axes().keySet().stream()
                .filter(name -> !name.equals(Size.BATCH)).toArray(String[]::new);
    }

    private static boolean isLarge(List<TensorSpec> specs, Map<String, Long> sizes) {
        return specs.stream().anyMatch(spec -> {
            long[] shape = Size.at(spec.shape(), sizes);
            return Tensor.count(Arrays.copyOfRange(shape, 1, shape.length)) > VALUES;
        });
    }
}
