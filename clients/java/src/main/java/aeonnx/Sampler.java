package aeonnx;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Runs the graph that makes images of a seed. */
final class Sampler {
    private static final int AT_ONCE = 64; // images of one run, at most
    private static final int VALUES = 1 << 22; // of the images of one run, if these are several

    private Sampler() {}

    /** See `Bundle.generate`: the label is known to be right. */
    static Tensor generate(Part part, long seed, int count, Long label, long... size) {
        Map<String, Long> sizes = imageSizes(part.variant, size);
        sizes.put(Size.BATCH, (long) count);
        TensorSpec image = Verb.image(part.variant).orElseThrow().withAnyRows();
        Tensor images = Tensor.of(DType.UINT8, Size.at(image.shape(), sizes));
        int each = images.count() / count;
        int step = atOnce(part.variant, each);
        for (int first = 0; first < count; first += step) {
            int rows = Math.min(step, count - first);
            sizes.put(Size.BATCH, (long) rows);
            Map<String, Tensor> inputs = new HashMap<>();
            for (TensorSpec spec : part.variant.anyInputs()) {
                inputs.put(spec.name(), drawn(spec, sizes, seed, first, label));
            }
            Tensor found = part.run(inputs).get(image.name());
            images.data().put(first * each, found.data(), 0, rows * each);
        }
        return images;
    }

    /**
     * The size of each axis of a sampler's images.
     *
     * @param size of the images along their axes, such as height and width; nothing for that of the
     *     first golden vectors
     * @throws AeonnxException the images cannot have this size
     */
    static Map<String, Long> imageSizes(Variant variant, long... size) {
        TensorSpec image = Verb.image(variant).orElseThrow();
        List<Size> declared = image.shape().subList(2, 4);
        if (size.length == 0) {
            long[] stored = variant.golden().get(0).outputs().get(image.name()).shape();
            return solve(variant, declared, Arrays.copyOfRange(stored, 2, 4));
        }
        List<Size> dynamic = declared.stream().filter(each -> !each.isNumber()).toList();
        if (dynamic.isEmpty()) {
            throw new AeonnxException(2, "size: expected none, the images of this bundle have one size");
        }
        String got = Arrays.stream(size).mapToObj(Long::toString).collect(Collectors.joining("x"));
        if (size.length != dynamic.size()) {
            String names = dynamic.stream().map(Size::text).collect(Collectors.joining(" and "));
            throw new AeonnxException(2, "size: expected " + dynamic.size()
                    + (dynamic.size() == 1 ? " number, " : " numbers, ") + names + ", got " + got);
        }
        if (Arrays.stream(size).anyMatch(each -> each < 0 || each > Json.LARGEST)) {
            throw new AeonnxException(
                    2, "size: expected whole numbers of at most 53 bits, got " + got);
        }
        return solve(variant, dynamic, size);
    }

    private static Map<String, Long> solve(Variant variant, List<Size> declared, long[] size) {
        try {
            return Axis.solve(List.of(new Axis.Sized("size", declared, size)), variant.axes());
        } catch (AeonnxException error) {
            throw new AeonnxException(2, error.getMessage());
        }
    }

    /** How many images of so many values are made in one run: large ones would not fit into memory. */
    static int atOnce(Variant variant, int values) {
        boolean inBatches = variant.fixedRows() > 0; // whatever it is asked for
        return inBatches ? AT_ONCE : Math.max(1, Math.min(AT_ONCE, VALUES / values));
    }

    /** An input of a sampler for images from `first` on. */
    static Tensor drawn(
            TensorSpec spec, Map<String, Long> sizes, long seed, long first, Long label) {
        Tensor values = Tensor.of(spec.dtype(), Size.at(spec.shape(), sizes));
        if (spec.kind() == Kind.CANVAS) { // its size alone is used
            return values;
        }
        for (int row = 0; row < values.rows(); row++) {
            values.data().putLong(8 * row, spec.kind() == Kind.SEED ? seed
                    : spec.kind() == Kind.LABEL ? label : first + row);
        }
        return values;
    }
}
