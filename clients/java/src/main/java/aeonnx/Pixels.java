package aeonnx;

/**
 * uint8 pixels <-> the floats that they stand for: 0 to 255 is mapped to a range. Each operation is
 * rounded to float32, as in the graphs that take pixels.
 */
record Pixels(float low, float high, float width) {
    static Pixels of(double[] range) {
        float low = (float) range[0];
        float high = (float) range[1];
        return new Pixels(low, high, high - low);
    }

    /** Whether a range, which may be null, has a width that is a finite float32 above 0. */
    static boolean fit(double[] range) {
        return range != null && of(range).width > 0 && Float.isFinite(of(range).width);
    }

    /** low + (pixel / 255) * (high - low); for [0, 1] pixel / 255. */
    Tensor toFloats(Tensor pixels) {
        Tensor floats = Tensor.of(DType.FLOAT32, pixels.shape());
        for (int i = 0; i < pixels.count(); i++) {
            floats.data().putFloat(4 * i, low + (pixels.data().get(i) & 0xff) / 255f * width);
        }
        return floats;
    }

    /**
     * (clip(value, low, high) - low) / (high - low) * 255, to the nearest, ties to even; for [0, 1]
     * clip(value, 0, 1) * 255.
     *
     * @param part what gave them, in messages
     * @throws AeonnxException one is NaN
     */
    Tensor fromFloats(String part, Tensor floats) {
        Tensor pixels = Tensor.of(DType.UINT8, floats.shape());
        for (int i = 0; i < floats.count(); i++) {
            float value = floats.data().getFloat(4 * i);
            if (Float.isNaN(value)) {
                throw new AeonnxException(part + " gave NaN, which is no pixel");
            }
            float clipped = Math.min(Math.max(value, low), high);
            pixels.data().put(i, (byte) Math.rint((clipped - low) / width * 255f));
        }
        return pixels;
    }
}
