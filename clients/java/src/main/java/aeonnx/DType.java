package aeonnx;

import ai.onnxruntime.OnnxJavaType;
import java.util.Arrays;
import java.util.Optional;

/** What the values of an array are. */
public enum DType {
    FLOAT32("float32", 4, OnnxJavaType.FLOAT),
    UINT8("uint8", 1, OnnxJavaType.UINT8),
    INT64("int64", 8, OnnxJavaType.INT64),
    FLOAT16("float16", 2, OnnxJavaType.FLOAT16),
    FLOAT64("float64", 8, OnnxJavaType.DOUBLE);

    /** As the manifest calls it. */
    public final String text;

    /** Bytes of one value. */
    public final int width;

    final OnnxJavaType type;

    DType(String text, int width, OnnxJavaType type) {
        this.text = text;
        this.width = width;
        this.type = type;
    }

    static Optional<DType> named(String text) {
        return Arrays.stream(values()).filter(dtype -> dtype.text.equals(text)).findFirst();
    }

    static String nameOf(OnnxJavaType type) {
        var found = Arrays.stream(values()).filter(dtype -> dtype.type == type).findFirst();
        return found.map(dtype -> dtype.text).orElse(type.toString());
    }
}
