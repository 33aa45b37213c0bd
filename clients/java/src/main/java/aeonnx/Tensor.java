package aeonnx;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * An array in memory.
 *
 * @param dtype of its values
 * @param shape sizes, rows first
 * @param data the values, row-major, in the machine's byte order, outside Java's heap
 */
public record Tensor(DType dtype, long[] shape, ByteBuffer data) {
    /** An array of zeros, to be filled through `data`. */
    public static Tensor of(DType dtype, long... shape) {
        int bytes = Math.toIntExact(Math.multiplyExact(count(shape), (long) dtype.width));
        return new Tensor(dtype, shape, empty(bytes));
    }

    /** The array in a file: little-endian, row-major. */
    static Tensor of(DType dtype, long[] shape, byte[] stored) {
        ByteBuffer data = empty(stored.length).put(stored).flip();
        if (ByteOrder.nativeOrder() == ByteOrder.BIG_ENDIAN && dtype.width > 1) {
            throw new AeonnxException(4, "this machine is big-endian, stored arrays are not");
        }
        return new Tensor(dtype, shape, data);
    }

    public long rows() {
        return shape.length == 0 ? 1 : shape[0];
    }

    public int count() {
        return data.capacity() / dtype.width;
    }

    /** A value as a number. */
    public double at(int index) {
        return switch (dtype) {
            case FLOAT32 -> data.getFloat(4 * index);
            case FLOAT64 -> data.getDouble(8 * index);
            case UINT8 -> data.get(index) & 0xff;
            case INT64 -> data.getLong(8 * index);
            case FLOAT16 -> throw new AeonnxException("float16 arrays cannot be compared here");
        };
    }

    /** Rows from `first` on; behind the last one, that one again. */
    Tensor rows(long first, long rows) {
        long[] sizes = shape.clone();
        sizes[0] = rows;
        int row = Math.toIntExact(data.capacity() / rows());
        ByteBuffer taken = empty(Math.toIntExact(row * rows));
        for (long i = first; i < first + rows; i++) {
            int from = (int) Math.min(i, rows() - 1) * row;
            taken.put(data.slice(from, row));
        }
        return new Tensor(dtype, sizes, taken.flip().order(ByteOrder.nativeOrder()));
    }

    /** Whether another has the same type and sizes. */
    boolean isLike(Tensor other) {
        return dtype == other.dtype && Arrays.equals(shape, other.shape);
    }

    /** Largest |this - other| of two that are alike; NaN if one is. */
    double difference(Tensor other) {
        double worst = 0;
        for (int i = 0; i < count(); i++) {
            worst = Math.max(worst, Math.abs(at(i) - other.at(i))); // NaN stays
        }
        return worst;
    }

    static long count(long[] shape) {
        return Arrays.stream(shape).reduce(1, Math::multiplyExact);
    }

    private static ByteBuffer empty(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
    }
}
