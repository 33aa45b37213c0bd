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
    private final long colours; // of its table

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
            long most = 1L << bits;
            long used = file.getInt(46) & 0xffffffffL;
            long place = (start() - FILE_HEADER - header) / 4;
            colours = Math.min(used == 0 ? most : Math.min(used, most), place);
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
        byte[] pixels = room();
        long row = ((long) width() * bits + 31) / 32 * 4;
        long start = start();
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

    // Where the pixels begin, behind the table of colours.
    private long start() {
        return file.getInt(10) & 0xffffffffL;
    }

    private int rgba(int row, int x) {
        long bit = (long) x * bits; // of a wide row, more than an int holds
        int at = (int) (row + bit / 8);
        if (bits < 24) {
            int number = (file.get(at) & 0xff) >> 8 - bits - bit % 8 & (1 << bits) - 1;
            if (number >= colours) {
                return 0xff; // black, as other readers have it
            }
            at = FILE_HEADER + header + 4 * number;
        }
        int opacity = alpha ? file.get(at + 3) & 0xff : 255;
        return (file.get(at + 2) & 0xff) << 24 | (file.get(at + 1) & 0xff) << 16
                | (file.get(at) & 0xff) << 8 | opacity;
    }
}
