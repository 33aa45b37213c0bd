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

    /**
     * Refuse a row whose values are all missing; where a row is a single value, it may be.
     *
     * @param part its name in messages
     * @throws AeonnxException a row is NaN alone
     */
    static void requireSome(String part, TensorSpec spec, Tensor value) {
        if (!spec.missing() || value.shape().length < 2 || value.count() == 0) {
            return;
        }
        int each = Math.toIntExact(value.count() / value.rows());
        for (int row = 0; row < value.rows(); row++) {
            int place = 0;
            while (place < each && Double.isNaN(value.at(row * each + place))) {
                place++;
            }
            if (place == each) {
                throw new AeonnxException(part + ": " + spec.name() + ": expected a value in each row, "
                        + "got none in row " + row + ": remove it");
            }
        }
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
        requireRange(where, spec, low, high);
    }

    // As numbers of the input's type: 0.1 as a float32 is above 0.1.
    private static void requireRange(String where, TensorSpec spec, double low, double high) {
        double[] range = spec.range();
        if (range == null) {
            if (low < 0 && spec.isOfNumbers()) {
                throw new AeonnxException(where + "values of 0 or more, got " + shown(spec, low));
            }
            return;
        }
        boolean rounded = spec.dtype() == DType.FLOAT32;
        double lowest = rounded ? (float) range[0] : range[0];
        double highest = rounded ? (float) range[1] : range[1];
        if (low < lowest || high > highest) {
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
