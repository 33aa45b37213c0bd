package aeonnx;

import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.ComponentColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.awt.image.WritableRaster;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;

/** PNG files <-> pixels. */
public final class Picture {
    private static final int GREY = 128;

    private Picture() {}

    /**
     * A picture as uint8 [C, H, W]; its colours are made C channels.
     *
     * @throws AeonnxException it is missing, not an 8-bit PNG, or of another size
     */
    public static byte[] read(Path path, long[] shape) {
        if (!Files.exists(path)) {
            throw new AeonnxException(path + " does not exist");
        }
        ImageIO.setUseCache(false);
        ImageReader reader = ImageIO.getImageReadersByFormatName("png").next();
        try (var data = ImageIO.createImageInputStream(
                new ByteArrayInputStream(Files.readAllBytes(path)))) {
            reader.setInput(data);
            int width = reader.getWidth(0);
            int height = reader.getHeight(0);
            if (width != shape[2] || height != shape[1]) { // before its pixels take memory
                throw new AeonnxException("%s: expected %dx%d pixels, got %dx%d: resize it first"
                        .formatted(path, shape[2], shape[1], width, height));
            }
            return channels(reader.read(0), (int) shape[0]);
        } catch (AeonnxException error) {
            throw error;
        } catch (IOException | RuntimeException error) { // the reader throws both at damaged data
            throw new AeonnxException(path + " is not a readable PNG image: "
                    + AeonnxException.reason(error));
        } finally {
            reader.dispose();
        }
    }

    /**
     * Write images, uint8 [count, C, H, W], as one PNG: rows of ceil(sqrt(count)) on a grey ground.
     * The file is written whole or not at all.
     *
     * @throws AeonnxException it cannot be written
     */
    public static void writeGrid(Path path, byte[] images, long[] shape) {
        try {
            var png = new ByteArrayOutputStream();
            ImageIO.setUseCache(false);
            ImageIO.write(grid(images, shape), "png", png);
            writeWhole(path, png.toByteArray());
        } catch (IOException error) {
            throw new AeonnxException("cannot write " + path + ": " + error);
        }
    }

    private static BufferedImage grid(byte[] images, long[] shape) {
        int channels = (int) shape[0];
        int height = (int) shape[1];
        int width = (int) shape[2];
        int count = images.length / (channels * height * width);
        int columns = (int) Math.ceil(Math.sqrt(count));
        int rows = (count + columns - 1) / columns;
        int gap = count == 1 ? 0 : 2; // pixels between images and around them
        int wide = columns * (width + gap) + gap;
        int high = rows * (height + gap) + gap;
        byte[] picture = new byte[Math.multiplyExact(Math.multiplyExact(wide, high), channels)];
        Arrays.fill(picture, (byte) GREY);
        for (int i = 0; i < images.length; i++) {
            int image = i / (width * height * channels);
            int left = gap + image % columns * (width + gap) + i % width;
            int top = gap + image / columns * (height + gap) + i / width % height;
            int channel = i / (width * height) % channels;
            picture[(top * wide + left) * channels + channel] = images[i];
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

    private static byte[] channels(BufferedImage image, int channels) throws IOException {
        int area = image.getWidth() * image.getHeight();
        byte[] pixels = new byte[area * channels];
        for (int i = 0; i < area; i++) {
            int[] rgba = rgba(image, i % image.getWidth(), i / image.getWidth());
            int grey = (19595 * rgba[0] + 38470 * rgba[1] + 7471 * rgba[2] + 32768) >> 16;
            int[] values = channels < 3 ? new int[] {grey, rgba[3]} : rgba;
            for (int channel = 0; channel < channels; channel++) {
                pixels[channel * area + i] = (byte) values[channel];
            }
        }
        return pixels;
    }

    // As stored: getRGB of a grey picture would convert between colour spaces.
    private static int[] rgba(BufferedImage image, int x, int y) throws IOException {
        if (image.getColorModel() instanceof IndexColorModel) {
            int argb = image.getRGB(x, y);
            return new int[] {argb >> 16 & 0xff, argb >> 8 & 0xff, argb & 0xff, argb >>> 24};
        }
        Raster raster = image.getRaster();
        if (raster.getTransferType() != DataBuffer.TYPE_BYTE) {
            throw new IOException("it has 16 bits, expected 8");
        }
        int[] bands = raster.getPixel(x, y, (int[]) null);
        return switch (bands.length) {
            case 1 -> new int[] {bands[0], bands[0], bands[0], 255};
            case 2 -> new int[] {bands[0], bands[0], bands[0], bands[1]};
            case 3 -> new int[] {bands[0], bands[1], bands[2], 255};
            default -> bands;
        };
    }

    private static void writeWhole(Path path, byte[] data) throws IOException {
        Path beside = path.resolveSibling(path.getFileName() + ".part");
        try {
            Files.write(beside, data);
            Files.move(beside, path,
                    StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(beside);
        }
    }
}
