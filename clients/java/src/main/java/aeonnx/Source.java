package aeonnx;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** A picture's file: what its header says, and its pixels once they are asked for. */
interface Source {
    int width();

    int height();

    /** As stored, uint8 [H, W, RGBA]; of 16 bits the upper ones. */
    byte[] rgba() throws IOException;

    /** Room for what `rgba` gives. */
    default byte[] room() {
        return new byte[Math.multiplyExact(4, Math.multiplyExact(width(), height()))];
    }

    /** How EXIF says that it is to be turned, 1 to 8. */
    default int orientation() {
        return 1;
    }

    /** The pictures in it. */
    default long frames() {
        return 1;
    }

    default boolean isCmyk() {
        return false;
    }

    /**
     * Reads the header of a PNG, JPEG or BMP file, by what it starts with.
     *
     * @throws IOException it is none, or damaged
     */
    static Source of(byte[] data) throws IOException {
        if (startsWith(data, 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n')) {
            return new PngSource(data);
        }
        if (startsWith(data, 0xff, 0xd8, 0xff)) {
            return new JpegSource(data);
        }
        if (startsWith(data, 'B', 'M')) {
            return new BmpSource(data);
        }
        throw new IOException("it starts as none of them");
    }

    /** The orientation in the first folder of EXIF data; 1 where it has none. */
    static int orientationIn(ByteBuffer exif) {
        final int tag = 0x0112;
        final int shortNumber = 3;
        final int longNumber = 4;
        try {
            exif.order(exif.getShort(0) == 0x4d4d ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN);
            boolean known = exif.getShort(0) == (exif.order() == ByteOrder.BIG_ENDIAN ? 0x4d4d : 0x4949);
            int entry = exif.getInt(4) + 2;
            int entries = exif.getShort(entry - 2) & 0xffff;
            for (int i = 0; known && exif.getShort(2) == 42 && i < entries; i++, entry += 12) {
                if (exif.getShort(entry) == tag && exif.getInt(entry + 4) == 1) {
                    int type = exif.getShort(entry + 2);
                    int value = type == shortNumber ? exif.getShort(entry + 8)
                            : type == longNumber ? exif.getInt(entry + 8) : 0;
                    if (value >= 1 && value <= 8) {
                        return value;
                    }
                }
            }
        } catch (IndexOutOfBoundsException error) {
            // it is cut, and says nothing
        }
        return 1;
    }

    private static boolean startsWith(byte[] data, int... magic) {
        for (int i = 0; i < magic.length; i++) {
            if (i >= data.length || (data[i] & 0xff) != magic[i]) {
                return false;
            }
        }
        return true;
    }
}
