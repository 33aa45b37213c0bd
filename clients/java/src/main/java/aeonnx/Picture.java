package aeonnx;

import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.ComponentColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.Raster;
import java.awt.image.WritableRaster;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import javax.imageio.ImageIO;

/** Files of pictures <-> pixels. */
public final class Picture {
    /** As in Python: a small file can hold more than memory does. */
    static final long MOST_PIXELS = 178_956_970;

    private static final int GREY = 128;
    private static final long LARGEST = 1 << 30; // bytes of a file

    private Picture() {}

    /**
     * The picture in a PNG, JPEG or BMP file as uint8 [C, H, W]: turned as EXIF says, its colours made C
     * channels.
     *
     * @param shape [C, H, W]: C a number, H and W numbers, or axes for any size
     * @throws AeonnxException it is missing, damaged, of another size or too large, in CMYK or one of
     *     several; or some of it is transparent, and C is 1 or 3
     */
    public static Tensor read(Path path, List<Size> shape) {
        requireChannels(shape.get(0).isNumber() ? shape.get(0).factor() : 0);
        String name = Names.text(path);
        try {
            Source source = Source.of(Input.read(path, 0, LARGEST));
            if (source.isCmyk()) {
                throw new AeonnxException(name
                        + " is in CMYK, whose colours depend on its profile: convert it to RGB first");
            }
            if (source.frames() > 1) {
                throw new AeonnxException(
                        name + " holds " + source.frames() + " pictures: expected one");
            }
            boolean onSide = source.orientation() >= 5;
            int width = onSide ? source.height() : source.width();
            int height = onSide ? source.width() : source.height();
            if (isOther(shape.get(2), width) || isOther(shape.get(1), height)) { // before it is read
                throw new AeonnxException("%s: expected %sx%s pixels, got %dx%d: resize it first"
                        .formatted(name, shape.get(2).text(), shape.get(1).text(), width, height));
            }
            if (isTooLarge(width, height)) {
                throw new AeonnxException(name + " has " + width + "x" + height
                        + " pixels: expected at most " + MOST_PIXELS + ", resize it first");
            }
            int channels = (int) shape.get(0).factor();
            byte[] pixels = planes(source, channels);
            if (pixels == null) {
                throw new AeonnxException(name
                        + " has transparent pixels, and the model takes none: flatten it first");
            }
            return Tensor.of(DType.UINT8, new long[] {channels, height, width}, pixels);
        } catch (AeonnxException error) {
            throw error;
        } catch (Input.SizeException error) {
            throw new AeonnxException(error.getMessage());
        } catch (IOException | RuntimeException error) { // readers throw both at damaged data
            throw new AeonnxException(name + " is not a readable PNG, JPEG or BMP image: "
                    + AeonnxException.reason(error));
        }
    }

    /**
     * Write images, uint8 [count, C, H, W] or one [C, H, W], as one PNG: rows of ceil(sqrt(count)) on
     * a grey ground. The file is written whole or not at all, and keeps its mode; a device or pipe is
     * written through.
     *
     * @param replace whether a file that exists may be replaced
     * @throws AeonnxException it cannot be written
     */
    public static void writeGrid(Path path, Tensor images, boolean replace) {
        Output.write(path, png(images), replace);
    }

    /** What `writeGrid` writes. */
    static byte[] png(Tensor images) {
        try {
            var png = new ByteArrayOutputStream();
            ImageIO.setUseCache(false);
            ImageIO.write(grid(images), "png", png);
            return png.toByteArray();
        } catch (IOException error) {
            throw new IllegalStateException("memory is always written", error);
        }
    }

    private static BufferedImage grid(Tensor images) {
        int first = images.shape().length - 3; // of [C, H, W]
        int channels = (int) images.shape()[first];
        int height = (int) images.shape()[first + 1];
        int width = (int) images.shape()[first + 2];
        requireChannels(channels);
        int count = images.count() / (channels * height * width);
        int columns = (int) Math.ceil(Math.sqrt(count));
        int rows = (count + columns - 1) / columns;
        int gap = count == 1 ? 0 : 2; // pixels between images and around them
        int wide = Math.addExact(Math.multiplyExact(columns, width + gap), gap);
        int high = Math.addExact(Math.multiplyExact(rows, height + gap), gap);
        byte[] picture = new byte[Math.multiplyExact(Math.multiplyExact(wide, high), channels)];
        Arrays.fill(picture, (byte) GREY);
        for (int i = 0; i < images.count(); i++) {
            int image = i / (width * height * channels);
            int left = gap + image % columns * (width + gap) + i % width;
            int top = gap + image / columns * (height + gap) + i / width % height;
            int channel = i / (width * height) % channels;
            picture[(top * wide + left) * channels + channel] = images.data().get(i);
        }
        int space = channels < 3 ? ColorSpace.CS_GRAY : ColorSpace.CS_sRGB;
        boolean alpha = channels % 2 == 0;
        ColorModel model = new ComponentColorModel(ColorSpace.getInstance(space), alpha, false,
                alpha ? ColorModel.TRANSLUCENT : ColorModel.OPAQUE, DataBuffer.TYPE_BYTE);
        WritableRaster raster = Raster.createInterleavedRaster(
                DataBuffer.TYPE_BYTE, wide, high, channels, null);
        raster.setDataElements(0, 0, wide, high, picture);
        return new BufferedImage(model, raster, false, null);
    }

    // Channels one behind the other; null where pixels are transparent, and may not be.
    private static byte[] planes(Source source, int channels) throws IOException {
        byte[] stored = source.rgba();
        int area = stored.length / 4;
        int columns = source.orientation() >= 5 ? source.height() : source.width();
        byte[] pixels = new byte[Math.multiplyExact(area, channels)];
        for (int i = 0; i < area; i++) {
            int from = 4 * placeOf(i % columns, i / columns, source);
            int red = stored[from] & 0xff;
            int green = stored[from + 1] & 0xff;
            int blue = stored[from + 2] & 0xff;
            byte alpha = stored[from + 3];
            if (channels % 2 == 1 && alpha != (byte) 255) {
                return null;
            }
            if (channels < 3) {
                pixels[i] = (byte) (19595 * red + 38470 * green + 7471 * blue + 32768 >> 16);
            } else {
                pixels[i] = (byte) red;
                pixels[area + i] = (byte) green;
                pixels[2 * area + i] = (byte) blue;
            }
            if (channels % 2 == 0) {
                pixels[(channels - 1) * area + i] = alpha;
            }
        }
        return pixels;
    }

    // Where a pixel of what is seen is stored.
    private static int placeOf(int seenX, int seenY, Source source) {
        int turn = source.orientation();
        int x = turn >= 5 ? seenY : seenX;
        int y = turn >= 5 ? seenX : seenY;
        boolean mirrored = turn == 2 || turn == 3 || turn == 7 || turn == 8;
        boolean upsideDown = turn == 3 || turn == 4 || turn == 6 || turn == 7;
        x = mirrored ? source.width() - 1 - x : x;
        y = upsideDown ? source.height() - 1 - y : y;
        return y * source.width() + x;
    }

    /** Whether a picture of these sides has more pixels than one may have. */
    static boolean isTooLarge(long width, long height) {
        return width > MOST_PIXELS || height > MOST_PIXELS || width * height > MOST_PIXELS;
    }

    private static boolean isOther(Size expected, int size) {
        return expected.isNumber() && expected.factor() != size;
    }

    private static void requireChannels(long channels) {
        if (channels < 1 || channels > 4) {
            throw new AeonnxException(
                    "expected images [C, H, W] of 1 to 4 channels, got " + channels + " channels");
        }
    }
}
