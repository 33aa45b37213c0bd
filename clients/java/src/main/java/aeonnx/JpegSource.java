package aeonnx;

import java.awt.image.Raster;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;

/**
 * A JPEG file. ImageIO unpacks the components, and gets nothing else, since it turns colours by
 * profiles; they are made RGB here, as libjpeg does.
 */
final class JpegSource implements Source {
    private static final int START_OF_IMAGE = 0xd8;
    private static final int END_OF_IMAGE = 0xd9;
    private static final int START_OF_SCAN = 0xda;
    private static final int APP0 = 0xe0;
    private static final int APP1 = 0xe1;
    private static final int APP14 = 0xee;
    private static final int APP15 = 0xef;
    private static final int COMMENT = 0xfe;

    private final byte[] data;
    private final ByteArrayOutputStream plain = new ByteArrayOutputStream();
    private ByteBuffer frame; // what the file says of width, height and components
    private boolean jfif;
    private int transform = -1; // what Adobe's programs say of colours
    private int orientation;

    JpegSource(byte[] data) throws IOException {
        this.data = data;
        plain.write(data, 0, 2);
        for (int at = marker(2); ; ) {
            int kind = data[at + 1] & 0xff;
            int end = at + 2;
            if (!stands(kind)) {
                end = at + 4 > data.length ? data.length + 1
                        : at + 2 + (ByteBuffer.wrap(data).getShort(at + 2) & 0xffff);
                if (end > data.length || end < at + 4) {
                    throw new IOException("it ends too early");
                }
                take(kind, ByteBuffer.wrap(data).slice(at + 4, end - at - 4));
            }
            int next = kind == END_OF_IMAGE ? end : marker(end);
            if (kind < APP0 || kind > APP15 && kind != COMMENT) {
                plain.write(data, at, (kind == START_OF_SCAN ? next : end) - at);
            }
            if (kind == END_OF_IMAGE) {
                break;
            }
            at = next;
        }
        if (frame == null) {
            throw new IOException("it has no pixels");
        }
    }

    @Override
    public int width() {
        return frame.getShort(3) & 0xffff;
    }

    @Override
    public int height() {
        return frame.getShort(1) & 0xffff;
    }

    @Override
    public int orientation() {
        return Math.max(orientation, 1);
    }

    @Override
    public boolean isCmyk() {
        return components() == 4;
    }

    @Override
    public byte[] rgba() throws IOException {
        Raster values = values();
        byte[] pixels = room();
        int[] value = new int[Math.max(values.getNumBands(), 3)];
        boolean rgb = isRgb();
        for (int i = 0; i < pixels.length / 4; i++) {
            values.getPixel(i % width(), i / width(), value);
            int red = value[0];
            int green = components() == 1 ? red : value[1];
            int blue = components() == 1 ? red : value[2];
            if (components() == 3 && !rgb) {
                int cb = value[1] - 128;
                int cr = value[2] - 128;
                red = level(value[0], 91881 * cr);
                green = level(value[0], -22554 * cb - 46802 * cr);
                blue = level(value[0], 116130 * cb);
            }
            ByteBuffer.wrap(pixels).putInt(4 * i, red << 24 | green << 16 | blue << 8 | 255);
        }
        return pixels;
    }

    private void take(int kind, ByteBuffer content) throws IOException {
        boolean isFrame = kind >= 0xc0 && kind <= 0xcf && kind != 0xc4 && kind != 0xc8 && kind != 0xcc;
        if (isFrame) {
            if (frame != null || content.remaining() < 9
                    || content.remaining() < 6 + 3 * (content.get(5) & 0xff)) {
                throw new IOException("it has not one header");
            }
            frame = content;
            if (content.get(0) != 8 || width() == 0 || height() == 0
                    || components() != 1 && components() != 3 && components() != 4) {
                throw new IOException("expected 8 bits per channel, and 1, 3 or 4 channels");
            }
        } else if (kind == APP0 && starts(content, "JFIF\0")) {
            jfif = true;
        } else if (kind == APP14 && starts(content, "Adobe") && content.remaining() >= 12) {
            transform = content.get(11);
        } else if (kind == APP1 && starts(content, "Exif\0\0") && orientation == 0) {
            orientation = Source.orientationIn(content.slice(6, content.remaining() - 6));
        }
    }

    // The next marker, behind what belongs to none, or to a scan's pixels.
    private int marker(int from) throws IOException {
        for (int at = from; at + 1 < data.length; at++) {
            int kind = data[at + 1] & 0xff;
            boolean restarts = kind >= 0xd0 && kind < START_OF_IMAGE;
            if ((data[at] & 0xff) == 0xff && kind != 0 && kind != 0xff && !restarts) {
                return at;
            }
        }
        throw new IOException("it ends too early");
    }

    // Whether nothing belongs to a marker.
    private static boolean stands(int kind) {
        return kind == 1 || kind == START_OF_IMAGE || kind == END_OF_IMAGE;
    }

    private int components() {
        return frame.get(5);
    }

    private boolean isRgb() {
        if (jfif || transform > 0) {
            return false;
        }
        return transform == 0 || frame.get(6) == 'R' && frame.get(9) == 'G' && frame.get(12) == 'B';
    }

    private Raster values() throws IOException {
        ImageReader reader = ImageIO.getImageReadersByFormatName("jpeg").next();
        List<String> warnings = new ArrayList<>();
        reader.addIIOReadWarningListener((source, warning) -> warnings.add(warning));
        try (var input = ImageIO.createImageInputStream(new ByteArrayInputStream(plain.toByteArray()))) {
            reader.setInput(input, true, true);
            Raster values = reader.readRaster(0, null);
            if (!warnings.isEmpty()) { // of pixels that it made up
                throw new IOException(warnings.get(0));
            }
            return values;
        } finally {
            reader.dispose();
        }
    }

    private static int level(int grey, int chroma) {
        return Math.min(Math.max(grey + (chroma + (1 << 15) >> 16), 0), 255);
    }

    private static boolean starts(ByteBuffer content, String magic) {
        for (int i = 0; i < magic.length(); i++) {
            if (i >= content.remaining() || content.get(i) != magic.charAt(i)) {
                return false;
            }
        }
        return true;
    }
}
