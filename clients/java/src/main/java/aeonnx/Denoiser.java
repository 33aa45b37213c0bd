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
        long[] real = Verb.row(image);
        if (image.dtype() != DType.UINT8 || !input.isLike(real)) {
            throw new AeonnxException("denoiser: expected an image uint8 "
                    + Size.text(input.shape().subList(1, input.shape().size())) + ", got "
                    + TensorSpec.typed(image.dtype().text, image.shape()));
        }
        long[] sizes = Reflection.allowed(input, part.variant.axes(), real);
        Tensor padded = Reflection.pad(image, sizes[2], sizes[3]);
        Tensor x = new Tensor(DType.UINT8, sizes, padded.data());
        UnaryOperator<Map<String, Tensor>> graph = part::runOnce;
        if (input.dtype() != DType.UINT8) { // a tile at a time: floats take four times the memory
            graph = pixels -> {
                Tensor floats = Pixels.of(input.range()).toFloats(pixels.get(input.name()));
                Tensor clean = part.runOnce(Map.of(input.name(), floats)).get(output.name());
                return Map.of(output.name(), Pixels.of(output.range()).fromFloats(clean));
            };
        }
        Tensor clean = part.run(Map.of(input.name(), x), graph).get(output.name());
        Tensor whole = new Tensor(
                DType.UINT8, new long[] {sizes[1], sizes[2], sizes[3]}, clean.data());
        return Reflection.crop(whole, real[2], real[3]);
    }
}
