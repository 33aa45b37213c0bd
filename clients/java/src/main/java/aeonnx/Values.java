package aeonnx;

/** Checks of the values of an input, and their conversion to its type. */
final class Values {
    private Values() {}

    /**
     * An array as an input of a part: of its type, with values that are finite and in its range. NaN may
     * stand for missing values, where the input may have them.
     *
     * @param part its name in messages
     * @param value float16 and float64 are rounded where float32 is expected
     * @throws AeonnxException it has another type or shape, or other values
     */
    static Tensor input(String part, TensorSpec spec, Tensor value) {
        String where = part + ": " + spec.name() + ": expected ";
        boolean rounded = spec.dtype() == DType.FLOAT32 && value.dtype().isFloat();
        if (!spec.isLike(value.shape()) || value.dtype() != spec.dtype() && !rounded) {
            throw new AeonnxException(where + spec.typed() + ", got "
                    + TensorSpec.typed(value.dtype().text, value.shape()));
        }
        Tensor ready = value.dtype() == spec.dtype() ? value : toFloat32(value);
        requireValues(where, spec, ready);
        return ready;
    }

    /** "[-1, 0.5]" */
    static String inWords(double[] range) {
        return "[" + plain(range[0]) + ", " + plain(range[1]) + "]";
    }

    private static Tensor toFloat32(Tensor value) {
        Tensor rounded = Tensor.of(DType.FLOAT32, value.shape());
        for (int i = 0; i < value.count(); i++) {
            rounded.data().putFloat(4 * i, (float) value.at(i)); // what is too large becomes infinite
        }
        return rounded;
    }

    private static void requireValues(String where, TensorSpec spec, Tensor value) {
        double low = Double.POSITIVE_INFINITY;
        double high = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < value.count(); i++) {
            double next = value.at(i);
            if (spec.missing() && Double.isNaN(next)) {
                continue;
            }
            if (!Double.isFinite(next)) {
                throw new AeonnxException(where + "finite values, got NaN or infinity");
            }
            low = Math.min(low, next);
            high = Math.max(high, next);
        }
        double[] range = spec.range();
        if (range != null && (low < range[0] || high > range[1])) {
            throw new AeonnxException(where + "values in " + inWords(range) + ", got "
                    + shown(spec, low) + " to " + shown(spec, high));
        }
    }

    private static String shown(TensorSpec spec, double value) {
        boolean whole = value == Math.rint(value) && Math.abs(value) < 1e9;
        return spec.dtype() == DType.FLOAT32 && !whole ? Float.toString((float) value) : plain(value);
    }

    /** A whole number without a fraction. */
    static String plain(double value) {
        return value == Math.rint(value) && Math.abs(value) < 1e9
                ? Long.toString((long) value) : Double.toString(value);
    }
}
