package aeonnx;

import static aeonnx.AxisTest.shape;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class PictureTest {
    private static final byte[] TWO_COLOURS = {30, 20, 10, 0, 60, 50, 40, 0}; // blue first

    private static ByteBuffer bmp(int bits, int width, int height, int used, byte[] table, byte[] rows) {
        int start = 54 + table.length;
        ByteBuffer file = ByteBuffer.allocate(start + rows.length).order(ByteOrder.LITTLE_ENDIAN);
        file.put(0, new byte[] {'B', 'M'}).putInt(10, start).putInt(14, 40).putInt(18, width)
                .putInt(22, height).putShort(26, (short) 1).putShort(28, (short) bits).putInt(46, used);
        return file.put(54, table).put(start, rows);
    }

    private static byte[] row(int... bytes) {
        byte[] row = new byte[(bytes.length + 3) / 4 * 4];
        for (int i = 0; i < bytes.length; i++) {
            row[i] = (byte) bytes[i];
        }
        return row;
    }

    private static int[] pixels(ByteBuffer file) throws IOException {
        ByteBuffer found = ByteBuffer.wrap(Source.of(file.array()).rgba());
        int[] pixels = new int[found.remaining() / 4];
        found.asIntBuffer().get(pixels);
        return pixels;
    }

    @Test
    void aNumberBeyondTheTableOfABmpIsBlack() throws IOException {
        int first = 0x0a141eff;
        int second = 0x28323cff;
        int black = 0xff;
        int[] expected = {first, second, black};
        assertArrayEquals(expected, pixels(bmp(8, 3, 1, 2, TWO_COLOURS, row(0, 1, 255))));
        assertArrayEquals(expected, pixels(bmp(4, 3, 1, 2, TWO_COLOURS, row(0x01, 0xf0))));
        assertArrayEquals(expected, pixels(bmp(8, 3, 1, 0, TWO_COLOURS, row(0, 1, 2)))); // 256 are said
        assertArrayEquals(expected, pixels(bmp(8, 3, 1, -1, TWO_COLOURS, row(0, 1, 2))));
        assertArrayEquals(new int[] {first, black, first},
                pixels(bmp(1, 3, 1, 1, TWO_COLOURS, row(0x5f))));
        byte[] full = new byte[16 * 4];
        full[2 * 4 + 2] = 7;
        assertArrayEquals(new int[] {black, 0x070000ff}, pixels(bmp(4, 2, 1, 16, full, row(0x02))));
        assertArrayEquals(new int[] {black, 0x070000ff}, pixels(bmp(4, 2, 1, 0, full, row(0x02))));
    }

    @Test
    void aBmpOfOneWideRowIsRead() throws IOException {
        int width = 1 << 20;
        byte[] row = new byte[4 * width];
        row[row.length - 4] = 9;
        int[] found = pixels(bmp(32, width, 1, 0, new byte[0], row));
        assertEquals(0x09ff, found[width - 1]);
        assertEquals(0xff, found[0]);
        assertThrows(IOException.class, () -> pixels(bmp(32, width, 2, 0, new byte[0], row)));
    }

    private static byte[] png(int width, int height) {
        byte[] file = Picture.png(Tensor.of(DType.UINT8, 1, 1, 1));
        ByteBuffer.wrap(file).putInt(16, width).putInt(20, height);
        CRC32 sum = new CRC32();
        sum.update(file, 12, 17);
        ByteBuffer.wrap(file).putInt(29, (int) sum.getValue());
        return file;
    }

    // Its pixels would be more than memory has, so they are not unpacked.
    @Test
    void aPictureOfTooManyPixelsIsRefused(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("in.png");
        for (int[] size : new int[][] {{60_000, 3000}, {1 << 30, 1 << 30}, {1, 178_956_971}}) {
            Files.write(file, png(size[0], size[1]));
            Refused.asFailure(file + " has " + size[0] + "x" + size[1]
                            + " pixels: expected at most 178956970, resize it first",
                    () -> Picture.read(file, shape(1, "height", "width")));
            Refused.asFailure(file + ": expected 8x8 pixels, got " + size[0] + "x" + size[1]
                            + ": resize it first",
                    () -> Picture.read(file, shape(1, 8, 8)));
        }
        Files.write(file, bmp(24, 60_000, -3000, 0, new byte[0], new byte[0]).array());
        Refused.asFailure(file + " has 60000x3000 pixels: expected at most 178956970, resize it first",
                () -> Picture.read(file, shape(3, "height", "width")));
        Files.write(file, png(1, 1));
        Tensor read = Picture.read(file, shape(1, "height", "width"));
        assertTrue(read.isLike(Tensor.of(DType.UINT8, 1, 1, 1)));
        assertFalse(Picture.isTooLarge(1, 178_956_970));
        assertTrue(Picture.isTooLarge(1L << 32, 1L << 32));
    }

    // 4 * 65535 * 65535 would be a small number as an int.
    @Test
    void roomForMorePixelsThanAnArrayHoldsIsNotMade() throws IOException {
        Source huge = Source.of(png(65_535, 65_535));
        assertThrows(ArithmeticException.class, huge::room);
    }

    @Test
    void nanIsNoPixel() {
        Tensor floats = Tensor.of(DType.FLOAT32, 3);
        floats.data().putFloat(0, Float.POSITIVE_INFINITY).putFloat(4, -9).putFloat(8, 0);
        Pixels pixels = Pixels.of(new double[] {-1, 1});
        byte[] found = new byte[3];
        pixels.fromFloats("denoiser", floats).data().get(0, found);
        assertArrayEquals(new byte[] {-1, 0, (byte) 128}, found);
        floats.data().putFloat(8, Float.NaN);
        Refused.asFailure("denoiser gave NaN, which is no pixel",
                () -> pixels.fromFloats("denoiser", floats));
    }
}
