package aeonnx;

import ai.onnxruntime.OnnxJavaType;
import java.util.Arrays;

/** What the values of an array are. */
public enum DType {
    FLOAT32("float32", 4, OnnxJavaType.FLOAT),
    FLOAT16("float16", 2, OnnxJavaType.FLOAT16),
    FLOAT64("float64", 8, OnnxJavaType.DOUBLE),
    UINT8("uint8", 1, OnnxJavaType.UINT8),
    INT32("int32", 4, OnnxJavaType.INT32),
    INT64("int64", 8, OnnxJavaType.INT64),
    BOOL("bool", 1, OnnxJavaType.BOOL);

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

    boolean isFloat() {
        return this == FLOAT32 || this == FLOAT16 || this == FLOAT64;
    }

    @Override
    public String toString() {
        return text;
    }

    static String nameOf(OnnxJavaType type) {
        var found = Arrays.stream(values()).filter(dtype -> dtype.type == type).findFirst();
        return found.map(dtype -> dtype.text).orElse(type.toString());
    }
}
