package aeonnx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class NpyTest {
    private static final TensorSpec X = new TensorSpec(
            "x", DType.FLOAT32, AxisTest.shape("batch", 2), new double[] {0, 1}, Kind.OTHER);

    private static byte[] file(int major, String header, int... values) {
        var file = new ByteArrayOutputStream();
        file.writeBytes(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', (byte) major, 0});
        int length = header.length();
        file.writeBytes(new byte[] {(byte) length, (byte) (length >> 8)});
        file.writeBytes(new byte[major == 1 ? 0 : 2]);
        file.writeBytes(header.getBytes(StandardCharsets.ISO_8859_1));
        for (int value : values) {
            file.write(value);
        }
        return file.toByteArray();
    }

    private static String header(String descr, String order, String shape) {
        return "{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
    }

    private static void refused(String reason, byte[] file) {
        assertEquals(reason, assertThrows(IOException.class, () -> Npy.parse(file)).getMessage());
    }

    @Test
    void whatIsWrittenIsRead() throws IOException {
        for (DType dtype : DType.values()) {
            for (long[] shape : new long[][] {{}, {3}, {2, 3}, {1, 2, 3, 1}, {0, 2}}) {
                Tensor array = Tensor.of(dtype, shape);
                for (int i = 0; i < array.data().capacity(); i++) {
                    array.data().put(i, (byte) (dtype == DType.BOOL ? i % 2 : i + 1));
                }
                byte[] file = Npy.format(array);
                assertEquals(0, (file.length - array.data().capacity()) % 64);
                Tensor read = Npy.parse(file);
                assertTrue(read.isLike(array), dtype + " " + shape.length);
                assertEquals(array.data(), read.data());
            }
        }
    }

    @Test
    void versionsAndOrdersAreRead() throws IOException {
        for (int major = 1; major <= 3; major++) {
            Tensor rows = Npy.parse(file(major, header("'|u1'", "False", "(2, 3)"), 1, 2, 3, 4, 5, 6));
            Tensor columns = Npy.parse(file(major,
                    "{\"shape\":(2,3),'fortran_order':True ,'descr' : \"|u1\"}", 1, 4, 2, 5, 3, 6));
            assertTrue(rows.isLike(columns));
            assertEquals(0, rows.difference(columns));
            assertEquals(6, rows.at(5));
        }
    }

    @Test
    void othersAreRefused() {
        String types = "expected one of [<f2, <f4, <f8, <i4, <i8, |b1, |u1] for its type, got ";
        refused("it does not begin as one", new byte[0]);
        refused("it does not begin as one", "PK archive, .npz".getBytes(StandardCharsets.UTF_8));
        refused("expected format version 1.0 to 3.0, got 4.0", file(4, "{}      "));
        refused("it ends in its header", new byte[] {
                (byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 2, 0, -1, -1, -1, -1});
        refused(types + ">f4", file(1, header("'>f4'", "False", "(1,)"), 0, 0, 0, 0));
        refused(types + "|O", file(1, header("'|O'", "False", "(1,)"), 0));
        refused("expected 24 bytes of float32 [2, 3], got 4",
                file(1, header("'<f4'", "False", "(2, 3)"), 0, 0, 0, 0));
        refused("expected 1 bytes of uint8 [1], got 2", file(1, header("'|u1'", "False", "(1,)"), 0, 0));
        refused("its shape has more than 63 bits of values",
                file(1, header("'<f4'", "False", "(9999999999999999, 9999999999999999)")));
        refused("expected 0 and 1 for bool, got 2", file(1, header("'|b1'", "False", "(1,)"), 2));
        refused("expected a tuple of sizes, got (2)", file(1, header("'|u1'", "False", "(2)"), 0, 0));
        refused("expected a tuple of sizes, got (2 3)",
                file(1, header("'|u1'", "False", "(2 3)"), 0, 0));
        refused("expected True or False for fortran_order, got (1,)",
                file(1, header("'|u1'", "(1,)", "(1,)"), 0));
    }

    @Test
    void damagedHeadersAreRefused() {
        Random random = new Random(0);
        byte[] good = file(1, header("'<f4'", "False", "(1, 1)"), 0, 0, 0, 0);
        for (int i = 0; i < 20_000; i++) {
            byte[] bad = good.clone();
            for (int change = random.nextInt(3); change >= 0; change--) {
                bad[random.nextInt(bad.length)] = (byte) random.nextInt();
            }
            try {
                Npy.parse(bad);
            } catch (IOException refusal) {
                assertTrue(refusal.getMessage().length() > 5);
            }
        }
        String deep = "(" + "1,".repeat(30_000) + ")"; // no overflow of the stack
        assertThrows(IOException.class, () -> Npy.parse(file(1, header("'|u1'", "False", deep), 0)));
    }

    @Test
    void filesAreReadAndWritten(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("x.npy");
        Tensor array = Tensor.of(DType.INT64, 2);
        array.data().putLong(8, Long.MIN_VALUE);
        Npy.write(file, array, false);
        assertEquals(0, array.difference(Npy.read(file)));
        Refused.as(file + " exists already: pass --force to replace it, or name another",
                () -> Npy.write(file, array, false));
        Files.writeString(file, "hello");
        Refused.as(file + " is not a readable .npy file: it does not begin as one",
                () -> Npy.read(file));
    }

    @Test
    void inputsAreOfTheirTypeAndRange() {
        Refused.as("part: x: expected float32 [batch, 2], got uint8 [1, 2]",
                () -> Values.input("part", X, Tensor.of(DType.UINT8, 1, 2)));
        Refused.as("part: x: expected float32 [batch, 2], got float32 [2]",
                () -> Values.input("part", X, Tensor.of(DType.FLOAT32, 2)));
        Tensor doubles = Tensor.of(DType.FLOAT64, 1, 2);
        doubles.data().putDouble(0, 0.1);
        assertEquals(0.1f, Values.input("part", X, doubles).at(0));
        doubles.data().putDouble(0, -0.1);
        Refused.as("part: x: expected values in [0, 1], got -0.1 to 0",
                () -> Values.input("part", X, doubles));
        doubles.data().putDouble(0, 1e39);
        Refused.as("part: x: expected finite values, got NaN or infinity",
                () -> Values.input("part", X, doubles));
    }

    @Test
    void aRangeIsComparedInTheTypeOfTheInput() {
        double[] tenth = {-0.1, 0.1};
        TensorSpec narrow = new TensorSpec("x", DType.FLOAT32, X.shape(), tenth, Kind.OTHER);
        TensorSpec wide = new TensorSpec("x", DType.FLOAT64, X.shape(), tenth, Kind.OTHER);
        Tensor floats = Tensor.of(DType.FLOAT32, 1, 2);
        floats.data().putFloat(0, -0.1f).putFloat(4, 0.1f); // which is above 0.1
        assertEquals(0.1f, Values.input("part", narrow, floats).at(1));
        floats.data().putFloat(4, Math.nextUp(0.1f));
        Refused.asFailure("part: x: expected values in [-0.1, 0.1], got -0.1 to 0.10000001",
                () -> Values.input("part", narrow, floats));
        Tensor doubles = Tensor.of(DType.FLOAT64, 1, 2);
        doubles.data().putDouble(0, -0.1).putDouble(8, 0.1);
        assertEquals(0.1, Values.input("part", wide, doubles).at(1));
        doubles.data().putDouble(8, 0.1f);
        assertThrows(AeonnxException.class, () -> Values.input("part", wide, doubles));
        TensorSpec whole = new TensorSpec(
                "x", DType.INT64, X.shape(), new double[] {0, (1 << 24) + 1}, Kind.OTHER);
        Tensor numbers = Tensor.of(DType.INT64, 1, 2);
        numbers.data().putLong(8, (1 << 24) + 1);
        assertEquals((1 << 24) + 1, Values.input("part", whole, numbers).at(1));
        numbers.data().putLong(8, (1 << 24) + 2);
        Refused.asFailure("part: x: expected values in [0, 16777217], got 0 to 16777218",
                () -> Values.input("part", whole, numbers));
    }

    @Test
    void labelsAndCodesWithoutARangeAreNotNegative() {
        Tensor numbers = Tensor.of(DType.INT64, 1, 2);
        for (Kind kind : Kind.values()) {
            TensorSpec free = new TensorSpec("z", DType.INT64, X.shape(), null, kind);
            TensorSpec ranged = new TensorSpec("z", DType.INT64, X.shape(), new double[] {-2, 9}, kind);
            numbers.data().putLong(8, 1L << 40);
            assertEquals(1L << 40, Values.input("decoder", free, numbers).at(1));
            numbers.data().putLong(8, -1);
            assertEquals(-1, Values.input("decoder", ranged, numbers).at(1));
            if (kind == Kind.LABEL || kind == Kind.CODES) {
                Refused.asFailure("decoder: z: expected values of 0 or more, got -1",
                        () -> Values.input("decoder", free, numbers));
            } else {
                assertEquals(-1, Values.input("decoder", free, numbers).at(1));
            }
        }
    }

    @Test
    void anArrayHasTheBytesOfItsShape() {
        assertEquals(2, Tensor.of(DType.FLOAT32, new long[] {1, 2}, new byte[8]).count());
        assertEquals(0, Tensor.of(DType.FLOAT32, new long[] {0, 2}, new byte[0]).count());
        Refused.asFailure("expected the bytes of float32 [1, 2], got 7 bytes",
                () -> Tensor.of(DType.FLOAT32, new long[] {1, 2}, new byte[7]));
        Refused.asFailure("expected the bytes of int64 [2305843009213693952], got 0 bytes",
                () -> Tensor.of(DType.INT64, new long[] {1L << 61}, new byte[0]));
        Refused.asFailure("expected the bytes of uint8 [2], got 4 bytes",
                () -> new Tensor(DType.UINT8, new long[] {2}, Tensor.of(DType.UINT8, 4).data()));
    }

    @Test
    void nanStandsForAMissingValueWhereThereMayBeSome() {
        TensorSpec some = new TensorSpec("x", X.dtype(), X.shape(), X.range(), X.kind(), true);
        Tensor doubles = Tensor.of(DType.FLOAT64, 1, 2);
        doubles.data().putDouble(0, Double.NaN);
        assertTrue(Double.isNaN(Values.input("part", some, doubles).at(0)));
        doubles.data().putDouble(8, 7);
        Refused.as("part: x: expected values in [0, 1], got 7 to 7",
                () -> Values.input("part", some, doubles));
        doubles.data().putDouble(8, Double.NEGATIVE_INFINITY);
        Refused.as("part: x: expected finite values, got NaN or infinity",
                () -> Values.input("part", some, doubles));
        doubles.data().putDouble(8, Double.NaN);
        assertTrue(Double.isNaN(Values.input("part", some, doubles).at(1)));
        Refused.as("part: x: expected finite values, got NaN or infinity",
                () -> Values.input("part", X, doubles));
    }

    @Test
    void halvesAreRead() throws IOException {
        int[] bits = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0xfc00, 0x7e00, 0x8000};
        double[] values = {1, -2, Math.scalb(1, -24), 65504, Double.POSITIVE_INFINITY,
            Double.NEGATIVE_INFINITY, Double.NaN, -0.0};
        Tensor halves = Tensor.of(DType.FLOAT16, bits.length);
        double[] found = new double[bits.length];
        for (int i = 0; i < bits.length; i++) {
            halves.data().putShort(2 * i, (short) bits[i]);
            found[i] = halves.at(i);
        }
        assertArrayEquals(values, found);
    }
}
