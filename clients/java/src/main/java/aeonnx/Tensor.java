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
    /**
     * An array of these values.
     *
     * @throws AeonnxException they are not as many bytes as the shape needs
     */
    public Tensor {
        if (!fills(dtype, shape, data.capacity())) {
            throw new AeonnxException("expected the bytes of " + TensorSpec.typed(dtype.text, shape)
                    + ", got " + data.capacity() + " bytes");
        }
    }

    /**
     * An array of zeros, to be filled through `data`.
     *
     * @throws AeonnxException it would be larger than an array can be
     */
    public static Tensor of(DType dtype, long... shape) {
        try {
            int bytes = Math.toIntExact(bytes(dtype, shape));
            return new Tensor(dtype, shape, empty(bytes));
        } catch (ArithmeticException error) {
            throw new AeonnxException("an array " + TensorSpec.typed(dtype.text, shape)
                    + " is more than " + Integer.MAX_VALUE + " bytes");
        }
    }

    /**
     * The array in a file: little-endian, row-major.
     *
     * @throws AeonnxException it has not as many bytes as the shape needs
     */
    static Tensor of(DType dtype, long[] shape, byte[] stored) {
        ByteBuffer data = empty(stored.length).put(stored).flip();
        requireLittleEndian(dtype);
        return new Tensor(dtype, shape, data);
    }

    /** Refuse a machine whose arrays are not those of files. */
    static void requireLittleEndian(DType dtype) {
        if (ByteOrder.nativeOrder() == ByteOrder.BIG_ENDIAN && dtype.width > 1) {
            throw new AeonnxException(4, "this machine is big-endian, stored arrays are not");
        }
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
            case FLOAT16 -> half(data.getShort(2 * index));
            case FLOAT64 -> data.getDouble(8 * index);
            case UINT8, BOOL -> data.get(index) & 0xff;
            case INT32 -> data.getInt(4 * index);
            case INT64 -> data.getLong(8 * index);
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

    /**
     * Copy a block to another array of the same type and number of sizes.
     *
     * @param at where the block begins here
     * @param there where it begins in the other
     * @param extent its sizes
     */
    void copyTo(Tensor other, long[] at, long[] there, long[] extent) {
        int last = extent.length - 1;
        int length = Math.toIntExact(extent[last] * dtype.width);
        long[] place = new long[last]; // in the block
        for (boolean more = true; more; more = next(place, extent)) {
            int from = (int) (offset(shape, at, place) * dtype.width);
            int to = (int) (offset(other.shape, there, place) * dtype.width);
            other.data.put(to, data, from, length);
        }
    }

    /** The next place in sizes, the last one first; false behind the end. */
    static boolean next(long[] place, long[] sizes) {
        for (int i = place.length - 1; i >= 0; i--) {
            if (++place[i] < sizes[i]) {
                return true;
            }
            place[i] = 0;
        }
        return false;
    }

    /** Whether another has the same type and sizes. */
    boolean isLike(Tensor other) {
        return dtype == other.dtype && Arrays.equals(shape, other.shape);
    }

    /**
     * Largest |this - other| of two that are alike, NaN if one is; of int32, int64 and bool the share
     * of the values that differ.
     */
    double difference(Tensor other) {
        if (dtype == DType.INT32 || dtype == DType.INT64 || dtype == DType.BOOL) {
            int differ = 0;
            for (int i = 0; i < count(); i++) {
                differ += at(i) == other.at(i) ? 0 : 1;
            }
            return count() == 0 ? 0 : (double) differ / count();
        }
        double worst = 0;
        for (int i = 0; i < count(); i++) {
            worst = Math.max(worst, Math.abs(at(i) - other.at(i))); // NaN stays
        }
        return worst;
    }

    /** @throws ArithmeticException it has more than 63 bits */
    static long count(long[] shape) {
        return Arrays.stream(shape).reduce(1, Math::multiplyExact);
    }

    /** @throws ArithmeticException it has more than 63 bits */
    static long bytes(DType dtype, long[] shape) {
        return Math.multiplyExact(count(shape), (long) dtype.width);
    }

    private static boolean fills(DType dtype, long[] shape, long bytes) {
        try {
            return bytes(dtype, shape) == bytes;
        } catch (ArithmeticException error) {
            return false; // more than any number of bytes
        }
    }

    // Values before a place of a block that begins at `at`.
    private static long offset(long[] shape, long[] at, long[] place) {
        long offset = 0;
        for (int i = 0; i < shape.length; i++) {
            offset = offset * shape[i] + at[i] + (i < place.length ? place[i] : 0);
        }
        return offset;
    }

    // IEEE 754 binary16: a sign, 5 bits of exponent, 10 of fraction.
    private static double half(short bits) {
        int exponent = bits >> 10 & 0x1f;
        int fraction = bits & 0x3ff;
        double size = exponent == 0 ? Math.scalb(fraction, -24)
                : exponent < 31 ? Math.scalb(1024 + fraction, exponent - 25)
                : fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
        return bits < 0 ? -size : size;
    }

    private static ByteBuffer empty(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
    }
}
