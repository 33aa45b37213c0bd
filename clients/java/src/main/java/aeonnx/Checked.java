package aeonnx;

import aeonnx.Variant.Golden;
import aeonnx.Variant.Stored;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * What became of one golden output, by the worst of its rows: where error / tolerance is largest.
 *
 * @param error largest |output - golden| of the row, NaN if one of them is
 * @param tolerance of the row
 */
public record Checked(String part, String variant, String output, double error, double tolerance) {
    public boolean ok() {
        return error <= tolerance;
    }

    // All sets through the graph, each with all rows at once and each alone, beside what torch gave.
    static List<Checked> all(Bundle bundle, String name, String variantName) {
        Part part = bundle.part(name, variantName);
        List<Checked> outputs = new ArrayList<>();
        for (TensorSpec spec : part.variant.outputs()) {
            Stored first = part.variant.golden().get(0).outputs().get(spec.name());
            outputs.add(new Checked(name, variantName, spec.name(), 0, first.tolerance()[0]));
        }
        for (Golden set : part.variant.golden()) {
            Map<String, Tensor> inputs = bundle.golden(set.inputs());
            Map<String, Tensor> expected = bundle.golden(set.outputs());
            long rows = expected.values().iterator().next().rows();
            judge(outputs, part.run(inputs), expected, set, 0);
            for (long row = 0; part.variant.fixedRows() == 0 && row < rows; row++) {
                judge(outputs, part.run(part.rowsOf(inputs, row, 1)), expected, set, row);
            }
        }
        return outputs;
    }

    private static void judge(List<Checked> outputs, Map<String, Tensor> found,
            Map<String, Tensor> expected, Golden set, long first) {
        outputs.replaceAll(checked -> checked.and(found.get(checked.output),
                expected.get(checked.output), set.outputs().get(checked.output).tolerance(), first));
    }

    // By its own tolerance, and NaN before all others.
    private boolean isWorseThan(Checked other) {
        return !Double.isNaN(other.error) && !(error / tolerance <= other.error / other.tolerance);
    }

    // The worst of this and of rows of the output, from `first` on.
    private Checked and(Tensor found, Tensor expected, double[] tolerances, long first) {
        Checked worst = this;
        for (long row = 0; row < found.rows() && !Double.isNaN(worst.error); row++) {
            double error = found.rows(row, 1).difference(expected.rows(first + row, 1));
            var next = new Checked(part, variant, output, error, tolerances[(int) (first + row)]);
            worst = next.isWorseThan(worst) ? next : worst;
        }
        return worst;
    }
}
