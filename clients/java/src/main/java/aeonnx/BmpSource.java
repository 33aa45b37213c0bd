package aeonnx;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/**
 * A BMP file of 1, 4, 8, 24 or 32 bits without compression. Read here, since ImageIO fills up with
 * black what is missing, and turns colours by profiles.
 */
final class BmpSource implements Source {
    private static final int FILE_HEADER = 14;
    private static final int NO_COMPRESSION = 0;
    private static final int MASKS = 3;

    private final ByteBuffer file;
    private final int header;
    private final int bits;
    private final boolean alpha;

    BmpSource(byte[] data) throws IOException {
        file = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
        try {
            header = file.getInt(14);
            bits = file.getShort(28);
            int compression = file.getInt(30);
            if (!List.of(40, 108, 124).contains(header) || file.getShort(26) != 1
                    || !List.of(1, 4, 8, 24, 32).contains(bits)) {
                throw new IOException("this kind of BMP is not read");
            }
            alpha = compression == MASKS && hasUsualMasks();
            if (compression != NO_COMPRESSION && !alpha) {
                throw new IOException("BMP with compression or masks of its own is not read");
            }
            if (width() < 1 || height() < 1) {
                throw new IOException("it has no pixels");
            }
        } catch (IndexOutOfBoundsException error) {
            throw new IOException("it ends too early");
        }
    }

    @Override
    public int width() {
        return file.getInt(18);
    }

    @Override
    public int height() {
        return Math.abs(file.getInt(22)); // below 0: the upper row comes first
    }

    @Override
    public byte[] rgba() throws IOException {
        byte[] pixels = new byte[Math.multiplyExact(4, Math.multiplyExact(width(), height()))];
        long row = ((long) width() * bits + 31) / 32 * 4;
        long start = file.getInt(10) & 0xffffffffL;
        if (start + row * height() > file.capacity()) {
            throw new IOException("it ends too early");
        }
        boolean upwards = file.getInt(22) > 0;
        for (int y = 0; y < height(); y++) {
            long from = start + row * (upwards ? height() - 1 - y : y);
            for (int x = 0; x < width(); x++) {
                ByteBuffer.wrap(pixels).putInt(4 * (y * width() + x), rgba((int) from, x));
            }
        }
        return pixels;
    }

    private boolean hasUsualMasks() {
        return header > 40 && bits == 32 && file.getInt(54) == 0xff0000 && file.getInt(58) == 0xff00
                && file.getInt(62) == 0xff && file.getInt(66) == 0xff000000;
    }

    private int rgba(int row, int x) throws IOException {
        int at = row + x * bits / 8;
        if (bits < 24) {
            int number = (file.get(at) & 0xff) >> 8 - bits - x * bits % 8 & (1 << bits) - 1;
            int used = file.getInt(46);
            if (used < 0 || used > 1 << bits || number >= (used == 0 ? 1 << bits : used)) {
                throw new IOException("it has a colour that is not in its palette");
            }
            at = FILE_HEADER + header + 4 * number;
            if (at + 4 > (file.getInt(10) & 0xffffffffL)) {
                throw new IOException("its palette is cut");
            }
        }
        int opacity = alpha ? file.get(at + 3) & 0xff : 255;
        return (file.get(at + 2) & 0xff) << 24 | (file.get(at + 1) & 0xff) << 16
                | (file.get(at) & 0xff) << 8 | opacity;
    }
}
