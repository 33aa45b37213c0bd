package aeonnx;

import java.util.Map;
import java.util.function.UnaryOperator;

/** Runs the graph that makes clean images of noisy ones. */
final class Denoiser {
    private Denoiser() {}

    /** See `Bundle.denoise`. */
    static Tensor denoise(Part part, Tensor image) {
        TensorSpec input = part.variant.inputs().get(0).withAnyRows();
        TensorSpec output = part.variant.outputs().get(0);
        long[] sizes = padded(input, part.variant.axes(), image);
        Tensor padded = Reflection.pad(image, sizes[2], sizes[3]);
        Tensor x = new Tensor(DType.UINT8, sizes, padded.data());
        UnaryOperator<Map<String, Tensor>> graph = part::runOnce;
        if (input.dtype() != DType.UINT8) { // a tile at a time: floats take four times the memory
            graph = pixels -> {
                Tensor floats = Pixels.of(input.range()).toFloats(pixels.get(input.name()));
                Tensor clean = part.runOnce(Map.of(input.name(), floats)).get(output.name());
                return Map.of(
                        output.name(), Pixels.of(output.range()).fromFloats("denoiser", clean));
            };
        }
        Tensor clean = part.run(Map.of(input.name(), x), graph).get(output.name());
        Tensor whole = new Tensor(
                DType.UINT8, new long[] {sizes[1], sizes[2], sizes[3]}, clean.data());
        return Reflection.crop(whole, image.shape()[1], image.shape()[2]);
    }

    /**
     * The sizes of an image as a row, as large as the input must be.
     *
     * @throws AeonnxException it is none of the input, or would have to be larger than a picture may be
     */
    static long[] padded(TensorSpec input, Map<String, Axis> axes, Tensor image) {
        long[] real = Verb.row(image);
        if (image.dtype() != DType.UINT8 || !input.isLike(real)) {
            throw new AeonnxException("denoiser: expected an image uint8 "
                    + Size.text(input.shape().subList(1, input.shape().size())) + ", got "
                    + TensorSpec.typed(image.dtype().text, image.shape()));
        }
        long[] sizes = Reflection.allowed(input, axes, real);
        if (Picture.isTooLarge(sizes[2], sizes[3])) {
            throw new AeonnxException("denoiser: " + input.name() + ": "
                    + TensorSpec.typed(DType.UINT8.text, real) + " needs images"
                    + TensorSpec.typed("", sizes) + ", of more than " + Picture.MOST_PIXELS + " pixels");
        }
        return sizes;
    }
}
