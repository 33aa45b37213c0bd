package aeonnx;

import java.awt.image.Raster;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;

/**
 * A PNG file. ImageIO unpacks the samples, and gets nothing else, since it checks no sums and turns
 * colours by gamma and profiles; palette and transparency are applied here.
 */
final class PngSource implements Source {
    private static final int GREY = 0;
    private static final int RGB = 2;
    private static final int PALETTE = 3;
    private static final int GREY_ALPHA = 4;
    private static final int RGBA = 6;
    private static final Set<Integer> KINDS = Set.of( // colour type and depth
            1, 2, 4, 8, 16, 208, 216, 301, 302, 304, 308, 408, 416, 608, 616);

    private final ByteArrayOutputStream packed = new ByteArrayOutputStream();
    private ByteBuffer header;
    private byte[] palette;
    private byte[] clear; // of the palette's colours the alpha, or the one colour that is transparent
    private int orientation = 1;
    private long frames = 1;

    PngSource(byte[] data) throws IOException {
        ByteBuffer file = ByteBuffer.wrap(data).position(8);
        for (boolean ended = false; !ended; ) {
            int start = file.position() + 4;
            long length = file.remaining() < 12 ? -1 : file.getInt() & 0xffffffffL;
            if (length < 0 || length + 8 > file.remaining()) {
                throw new IOException("it ends too early");
            }
            String kind = new String(data, start, 4, StandardCharsets.ISO_8859_1);
            ByteBuffer content = file.slice(start + 4, (int) length);
            CRC32 sum = new CRC32();
            sum.update(data, start, (int) length + 4);
            file.position(start + 4 + (int) length);
            if (file.getInt() != (int) sum.getValue()) {
                throw new IOException("the sum of its part " + kind + " is wrong");
            }
            if ((header == null) != kind.equals("IHDR")) {
                throw new IOException("its header is not at its start");
            }
            take(kind, content);
            ended = kind.equals("IEND");
        }
        if (packed.size() == 0) {
            throw new IOException("it has no pixels");
        }
    }

    @Override
    public int width() {
        return header.getInt(0);
    }

    @Override
    public int height() {
        return header.getInt(4);
    }

    @Override
    public int orientation() {
        return orientation;
    }

    @Override
    public long frames() {
        return frames;
    }

    @Override
    public byte[] rgba() throws IOException {
        if (kind() == PALETTE && palette == null) {
            throw new IOException("it has no palette");
        }
        requireAllSamples();
        Raster samples = samples();
        byte[] pixels = room();
        int[] values = new int[4];
        for (int i = 0; i < pixels.length / 4; i++) {
            samples.getPixel(i % width(), i / width(), values);
            int colour = kind() == PALETTE ? ofPalette(values[0]) : ofSamples(values);
            ByteBuffer.wrap(pixels).putInt(4 * i, colour);
        }
        return pixels;
    }

    private void take(String kind, ByteBuffer content) throws IOException {
        boolean ahead = packed.size() == 0;
        byte[] bytes = new byte[content.remaining()];
        content.get(0, bytes);
        switch (kind) {
            case "IHDR" -> {
                header = content;
                boolean known = content.remaining() == 13 && KINDS.contains(100 * kind() + depth())
                        && content.getShort(10) == 0 && content.get(12) >> 1 == 0;
                if (!known || width() < 1 || height() < 1) {
                    throw new IOException("its header is not PNG's");
                }
            }
            case "PLTE" -> palette = bytes;
            case "tRNS" -> clear = ahead ? bytes : clear;
            case "IDAT" -> packed.write(bytes);
            case "eXIf" -> orientation = Source.orientationIn(content);
            case "acTL" -> frames = ahead && bytes.length >= 4
                    ? content.getInt(0) & 0xffffffffL : frames;
            default -> { }
        }
    }

    private int kind() {
        return header.get(9);
    }

    private int depth() {
        return header.get(8);
    }

    private int channels() {
        return switch (kind()) {
            case RGB -> 3;
            case GREY_ALPHA -> 2;
            case RGBA -> 4;
            default -> 1;
        };
    }

    // ImageIO reads no further than the last row, and the sum of all is behind it.
    private void requireAllSamples() throws IOException {
        long expected = 0;
        int[][] passes = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4},
            {1, 0, 2, 2}, {0, 1, 1, 2}};
        int[][] whole = {{0, 0, 1, 1}};
        for (int[] pass : header.get(12) == 0 ? whole : passes) {
            long columns = (width() - pass[0] + pass[2] - 1L) / pass[2];
            long rows = (height() - pass[1] + pass[3] - 1L) / pass[3];
            if (columns > 0) {
                expected += rows * (1 + (columns * channels() * depth() + 7) / 8);
            }
        }
        Inflater inflater = new Inflater();
        inflater.setInput(packed.toByteArray());
        byte[] some = new byte[1 << 16];
        try {
            while (!inflater.finished()) {
                int count = inflater.inflate(some);
                expected -= count;
                if (count == 0 && (inflater.needsInput() || inflater.needsDictionary()) || expected < 0) {
                    break;
                }
            }
            if (!inflater.finished() || expected != 0) {
                throw new IOException(expected < 0 ? "it has too many pixels" : "pixels are missing");
            }
        } catch (DataFormatException error) {
            throw new IOException("its pixels are damaged: " + error.getMessage());
        } finally {
            inflater.end();
        }
    }

    private Raster samples() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (DataOutputStream file = new DataOutputStream(bytes)) {
            file.writeLong(0x89504e470d0a1a0aL);
            byte[] described = new byte[13];
            header.get(0, described);
            described[9] = (byte) (kind() == PALETTE ? GREY : kind()); // numbers of colours, not colours
            write(file, "IHDR", described);
            write(file, "IDAT", packed.toByteArray());
            write(file, "IEND", new byte[0]);
        }
        ImageReader reader = ImageIO.getImageReadersByFormatName("png").next();
        try (var input = ImageIO.createImageInputStream(new ByteArrayInputStream(bytes.toByteArray()))) {
            reader.setInput(input, true, true);
            return reader.read(0).getRaster();
        } finally {
            reader.dispose();
        }
    }

    private static void write(DataOutputStream file, String kind, byte[] content) throws IOException {
        byte[] name = kind.getBytes(StandardCharsets.ISO_8859_1);
        CRC32 sum = new CRC32();
        sum.update(name);
        sum.update(content);
        file.writeInt(content.length);
        file.write(name);
        file.write(content);
        file.writeInt((int) sum.getValue());
    }

    private int ofPalette(int number) {
        int at = 3 * number;
        if (at + 3 > palette.length) {
            return 0xff; // black, as other readers have it
        }
        int alpha = clear != null && number < clear.length ? clear[number] & 0xff : 255;
        return colour(palette[at] & 0xff, palette[at + 1] & 0xff, palette[at + 2] & 0xff, alpha);
    }

    private int ofSamples(int[] values) {
        int count = channels();
        boolean isClear = clear != null && clear.length == 2 * count && count % 2 == 1;
        int[] bytes = new int[count];
        for (int i = 0; i < count; i++) {
            isClear = isClear && values[i] == (ByteBuffer.wrap(clear).getShort(2 * i) & 0xffff);
            bytes[i] = depth() == 16 ? values[i] >> 8 : values[i] * 255 / ((1 << depth()) - 1);
        }
        int alpha = count % 2 == 0 ? bytes[count - 1] : isClear ? 0 : 255;
        return count < 3 ? colour(bytes[0], bytes[0], bytes[0], alpha)
                : colour(bytes[0], bytes[1], bytes[2], alpha);
    }

    private static int colour(int red, int green, int blue, int alpha) {
        return red << 24 | green << 16 | blue << 8 | alpha;
    }
}
