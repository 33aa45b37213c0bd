package aeonnx;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Arrays in numpy's .npy files, format version 1.0 to 3.0: a magic text, the version, the length of the
 * header, a header that Python reads as a dictionary, and the values, little-endian.
 */
public final class Npy {
    private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
    private static final int ALIGNED = 64; // where numpy lets the values begin, a multiple of this
    private static final Map<String, DType> TYPES = Map.of(
            "<f4", DType.FLOAT32, "<f2", DType.FLOAT16, "<f8", DType.FLOAT64, "|u1", DType.UINT8,
            "<i4", DType.INT32, "<i8", DType.INT64, "|b1", DType.BOOL);
    private static final Pattern ENTRY = Pattern.compile("\\G\\s*(['\"])([a-z_]{1,20})\\1\\s*:\\s*"
            + "(['\"][^'\"]{1,20}['\"]|True|False|\\([0-9,\\s]*\\))\\s*(?:,|(?=\\s*\\}))");

    private Npy() {}

    /** Whether a file begins as an array does; not if it cannot be read. */
    static boolean isArray(Path path) {
        return Input.startsWith(path, MAGIC);
    }

    /**
     * The array in a file.
     *
     * @throws AeonnxException it is missing, or not a .npy file of one of the types of `DType`
     */
    public static Tensor read(Path path) {
        String name = Names.text(path);
        try {
            return parse(Input.read(path, 0, Input.MOST));
        } catch (Input.SizeException error) {
            throw new AeonnxException(error.getMessage());
        } catch (IOException error) {
            throw new AeonnxException(
                    name + " is not a readable .npy file: " + AeonnxException.reason(error));
        }
    }

    /**
     * Write an array to a file, whole or not at all.
     *
     * @param replace whether a file that exists may be replaced
     * @throws AeonnxException it cannot be written
     */
    public static void write(Path path, Tensor array, boolean replace) {
        Output.write(path, format(array), replace);
    }

    /** The array in the bytes of a file. */
    static Tensor parse(byte[] file) throws IOException {
        if (file.length < 12 || !Arrays.equals(MAGIC, Arrays.copyOf(file, MAGIC.length))) {
            throw new IOException("it does not begin as one");
        }
        ByteBuffer data = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).position(MAGIC.length);
        int major = data.get();
        int minor = data.get();
        if (major < 1 || major > 3 || minor != 0) {
            throw new IOException(
                    "expected format version 1.0 to 3.0, got " + (major & 0xff) + "." + (minor & 0xff));
        }
        long length = major == 1 ? data.getShort() & 0xffff : data.getInt() & 0xffffffffL;
        if (length > data.remaining()) {
            throw new IOException("it ends in its header");
        }
        byte[] header = new byte[(int) length];
        data.get(header);
        return array(entries(new String(header, StandardCharsets.UTF_8)), data);
    }

    /** The bytes of the file of an array, format version 1.0. */
    static byte[] format(Tensor array) {
        Tensor.requireLittleEndian(array.dtype());
        String type = TYPES.entrySet().stream().filter(known -> known.getValue() == array.dtype())
                .findFirst().orElseThrow().getKey();
        String shape = Arrays.stream(array.shape()).mapToObj(Long::toString)
                .collect(Collectors.joining(", ", "(", array.shape().length == 1 ? ",)" : ")"));
        String text = "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }";
        int before = MAGIC.length + 4;
        int length = (before + text.length() + ALIGNED) / ALIGNED * ALIGNED - before;
        String header = text + " ".repeat(length - 1 - text.length()) + "\n";
        var file = new ByteArrayOutputStream(Math.addExact(before + length, array.data().capacity()));
        file.writeBytes(MAGIC);
        file.writeBytes(new byte[] {1, 0, (byte) length, (byte) (length >> 8)});
        file.writeBytes(header.getBytes(StandardCharsets.ISO_8859_1));
        byte[] values = new byte[array.data().capacity()];
        array.data().get(0, values);
        file.writeBytes(values);
        return file.toByteArray();
    }

    // The values of the header's dictionary, as they are written.
    private static Map<String, String> entries(String header) throws IOException {
        String inside = header.strip();
        Map<String, String> found = new HashMap<>();
        if (inside.startsWith("{")) {
            Matcher entry = ENTRY.matcher(inside).region(1, inside.length());
            int end = 1;
            while (entry.find()) {
                found.put(entry.group(2), entry.group(3));
                end = entry.end();
            }
            if (inside.substring(end).strip().equals("}")
                    && found.keySet().equals(Set.of("descr", "fortran_order", "shape"))) {
                return found;
            }
        }
        throw new IOException("expected a header with descr, fortran_order and shape, got "
                + inside.substring(0, Math.min(inside.length(), 80)));
    }

    private static Tensor array(Map<String, String> header, ByteBuffer data) throws IOException {
        String descr = header.get("descr").replaceAll("['\"]", "");
        DType dtype = TYPES.get(descr);
        if (dtype == null) {
            throw new IOException("expected one of " + TYPES.keySet().stream().sorted().toList()
                    + " for its type, got " + descr);
        }
        long[] shape = shape(header.get("shape"));
        long bytes = bytes(dtype, shape);
        if (bytes != data.remaining()) {
            throw new IOException("expected " + bytes + " bytes of "
                    + TensorSpec.typed(dtype.text, shape) + ", got " + data.remaining());
        }
        byte[] values = new byte[data.remaining()];
        data.get(values);
        Tensor array = Tensor.of(dtype, shape, values);
        for (byte value : dtype == DType.BOOL ? values : new byte[0]) {
            if (value < 0 || value > 1) {
                throw new IOException("expected 0 and 1 for bool, got " + (value & 0xff));
            }
        }
        String order = header.get("fortran_order");
        if (!order.equals("True") && !order.equals("False")) {
            throw new IOException("expected True or False for fortran_order, got " + order);
        }
        return order.equals("True") ? transposed(array) : array;
    }

    private static long[] shape(String text) throws IOException {
        Matcher good = Pattern.compile("\\(\\s*((?:[0-9]{1,16}\\s*,\\s*){0,64})([0-9]{1,16})?\\s*\\)")
                .matcher(text);
        boolean lone = good.matches() && good.group(2) != null && good.group(1).isEmpty();
        if (!good.matches() || lone) {
            throw new IOException("expected a tuple of sizes, got " + text);
        }
        return Arrays.stream(text.substring(1, text.length() - 1).split(","))
                .map(String::strip).filter(size -> !size.isEmpty()).mapToLong(Long::parseLong).toArray();
    }

    private static long bytes(DType dtype, long[] shape) throws IOException {
        try {
            return Tensor.bytes(dtype, shape);
        } catch (ArithmeticException error) {
            throw new IOException("its shape has more than 63 bits of values");
        }
    }

    // Row-major, of values that are stored with the first place of the shape changing fastest.
    private static Tensor transposed(Tensor stored) {
        Tensor array = Tensor.of(stored.dtype(), stored.shape());
        long[] shape = stored.shape();
        long[] place = new long[shape.length];
        int width = stored.dtype().width;
        for (int to = 0; to < stored.count(); to++) {
            long from = 0;
            for (int i = shape.length - 1; i >= 0; i--) {
                from = from * shape[i] + place[i];
            }
            array.data().put(to * width, stored.data(), (int) from * width, width);
            Tensor.next(place, shape);
        }
        return array;
    }
}
